"""Runs of two real processes on this machine, started as a user starts them: TF_CONFIG and the command line."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from stylegan_tf import load_networks
from stylegan_tf.config import PRECISIONS
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.training.run.checkpoints import restore_on_all_workers
from stylegan_tf.training.run.initial_networks import initialise_on_all_workers
from stylegan_tf.training.run.setup import resolve_precision
from stylegan_tf.training.state import TrainState
from tests.helpers.tiny_run import tiny_config, write_images

PATIENCE = 420  # Seconds for a run that takes 20 on a machine with nothing else to do.
PARTS = ("generator", "discriminator", "generator_ema")
TINY = ["--fmap_base=32", "--fmap_max=8", "--latent_size=16", "--dlatent_size=16", "--mapping_fmaps=16"]
TINY += ["--mapping_layers=2", "--batch_sizes=8", "--grid_columns=2", "--grid_rows=1", "--start_resolution=4"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "tiny", resolution=8)


@pytest.fixture(scope="module")
def random_network(tmp_path_factory, data_dir):
    """A network file with no path at zero, as at the start, where the first instance norm blows up rounding errors."""
    config = tiny_config(data_dir, "unused")
    state = TrainState(config, *config.network_configs(8, 3))
    random = np.random.RandomState(1)
    for part in ("generator", "discriminator"):
        for name, variable in named_variables(getattr(state, part)).items():
            spread = 100.0 if name.startswith("mapping/") else 1.0  # Its weights are stored divided by lrmul = 0.01.
            variable.assign(random.randn(*variable.shape).astype(np.float32) * spread)
    path = tmp_path_factory.mktemp("network") / "random.npz"
    save_networks(path, Networks(state.generator, state.discriminator, None, {}))
    return path


@contextlib.contextmanager
def running(*commands):
    """The processes of several (arguments, environment), killed at the end if they still run; no orphans in CI."""
    with contextlib.ExitStack() as stack:
        processes = []
        for arguments, environment in commands:
            command = [sys.executable, "-m", "stylegan_tf.train", *map(str, arguments)]
            process = subprocess.Popen(
                command,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_NUM_INTRAOP_THREADS": "1", **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)  # Closes the pipes and waits; runs after the kill.
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def cluster_of_two():
    """TF_CONFIG for a chief and a worker on free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("localhost", 0))
        chief, worker = (f"localhost:{free.getsockname()[1]}" for free in sockets)
    roles = {"chief": [chief], "worker": [worker]}
    return [{"TF_CONFIG": json.dumps({"cluster": roles, "task": {"type": role, "index": 0}})} for role in roles]


def ended(process, code=0):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err
    return out, err


def wait_for(reached, *processes):
    deadline = time.monotonic() + PATIENCE
    while not reached():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def arrays_of(run_dir):
    networks = load_networks(run_dir)
    return {
        f"{part}/{name}": variable.numpy()
        for part in PARTS
        for name, variable in sorted(named_variables(getattr(networks, part)).items())
    }


@pytest.mark.end_to_end
@pytest.mark.slow
def test_two_processes_compute_what_one_computes(data_dir, random_network, tmp_path):
    """20 iterations: 4x4, the fade to 8x8, 8x8; the optimisers start afresh twice."""
    flags = [*TINY, "--training_kimg=0.032", "--transition_kimg=0.064", "--total_kimg=0.16"]
    flags += ["--tick_kimg=0.032", f"--data_dir={data_dir}", f"--init_from={random_network}", "--mirror_augment"]
    # The paper's epsilon of 1e-8 turns the rounding of a near-zero gradient into a whole step of Adam.
    flags += ["--iterations_per_update=2", "--adam_epsilon=0.1"]
    with running(
        ([*flags, f"--run_dir={tmp_path / 'one'}"], {}),
        *(([*flags, f"--run_dir={tmp_path / 'two'}"], environment) for environment in cluster_of_two()),
    ) as (alone, chief, worker):
        ended(alone)
        chiefs, workers = ended(chief)[0], ended(worker)[0]
    assert "on 2 devices of 2 processes (this is number 0, the chief)" in chiefs
    assert "(this is number 1)" in workers and "kimg 0." not in workers, "only the chief reports"
    one, two = arrays_of(tmp_path / "one"), arrays_of(tmp_path / "two")
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
    before = {f"generator/{name}": v.numpy() for name, v in named_variables(load_networks(random_network)[0]).items()}
    assert max(np.abs(one[name] - before[name]).max() for name in before) > 1e-3
    crc = 0
    for value in two.values():
        crc = zlib.crc32(value.tobytes(), crc)
    assert f"weights {crc:08x}" in chiefs and f"weights {crc:08x}" in workers
    ticks = [json.loads(line) for line in (tmp_path / "two" / "stats.jsonl").read_text().splitlines()]
    assert [(tick["images_seen"], tick["resolution"], tick["alpha"]) for tick in ticks] == [
        (32, 4, 1.0), (64, 8, 0.25), (96, 8, 0.75), (128, 8, 1.0), (160, 8, 1.0)
    ]  # fmt: skip
    files = [{re.sub(r"\d{10}.*", "", path.name) for path in (tmp_path / run).rglob("*")} for run in ("one", "two")]
    assert files[0] == files[1], "the worker has left something"


@pytest.mark.end_to_end
@pytest.mark.slow
def test_a_killed_worker_ends_the_run_and_all_of_them_started_again_go_on(data_dir, tmp_path):
    run_dir, log = tmp_path / "run", tmp_path / "run" / "log.txt"
    flags = [*TINY, "--resolution=4", "--tick_kimg=0.064", "--total_kimg=10000"]
    flags += [f"--data_dir={data_dir}", f"--run_dir={run_dir}"]
    with running(*((flags, environment) for environment in cluster_of_two())) as (chief, worker):
        wait_for(lambda: list(run_dir.glob("checkpoints/images-*.npz")), chief, worker)
        worker.kill()
        _, err = ended(chief, code=1)
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        # Which of its calls fails first, and whether TensorFlow says there with whom, is a matter of chance.
        assert re.match("error: (worker 0|another process) of this run ended or cannot be reached", line), line
    kept = max(int(path.stem.split("-")[1]) for path in run_dir.glob("checkpoints/images-*.npz"))
    log.unlink()
    with running(*((flags, environment) for environment in cluster_of_two())) as (chief, worker):
        wait_for(lambda: log.exists() and "\nkimg " in log.read_text(), chief, worker)
        worker.send_signal(signal.SIGTERM)  # One is told to stop: all of them stop.
        out, _ = ended(worker, code=143)
        chiefs, _ = ended(chief, code=143)
    assert f"resuming at {kept / 1000:.1f} of 10000 kimg" in chiefs and f"resuming at {kept / 1000:.1f}" in out
    stopped = [re.search(r"stopped at .* kimg; .*", output)[0] for output in (chiefs, out)]
    assert stopped[0] == stopped[1]
    ticks = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    assert (run_dir / "checkpoints" / f"images-{ticks[-1]['images_seen']}.npz").exists()


class OtherFolder:
    """A worker, its checkpoints and its state, where the chief has gone on from 32 images."""

    is_chief, index, images_seen = False, 1, 0

    def of_chief(self, _value):
        return 32

    def restore(self):
        return False


def test_a_worker_that_does_not_see_the_chiefs_checkpoint_says_so():
    with pytest.raises(UserError, match="process 1 finds no checkpoint in `run_dir`, the chief a checkpoint at 32"):
        restore_on_all_workers(OtherFolder(), OtherFolder(), OtherFolder())


class OtherWeights(OtherFolder):
    """The same names as on the chief's machine."""

    count, images_seen, fingerprint = 2, 32, 7

    def agree_on(self, _value):
        return False

    def restore(self):
        return True


def test_processes_that_would_start_with_different_weights_say_so(data_dir, random_network):
    worker = OtherWeights()
    with pytest.raises(UserError, match="find different weights at 32 images in `run_dir`: it has to be one folder"):
        restore_on_all_workers(worker, worker, worker)
    with pytest.raises(UserError, match="init_from: .*random.npz is not the same file for all processes"):
        initialise_on_all_workers(tiny_config(data_dir, "unused", init_from=str(random_network)), None, worker)


def test_a_worker_takes_the_chiefs_precision_whatever_checkpoint_it_finds(data_dir):
    class Worker:
        is_chief, of_chief = False, staticmethod(lambda _value: PRECISIONS.index("bfloat16"))

    config = tiny_config(data_dir, "unused", precision="auto")
    for found in (None, "float32"):
        assert resolve_precision(config, found, None, Worker())[0].precision == "bfloat16"


@pytest.mark.end_to_end
def test_processes_with_other_flags_are_sent_away_and_one_that_waits_hears_a_signal(data_dir, tmp_path):
    flags = [*TINY, "--resolution=4", "--total_kimg=0.1", f"--data_dir={data_dir}", f"--run_dir={tmp_path / 'run'}"]
    chiefs, workers = cluster_of_two()
    with running(([*flags, "--r1_gamma=5"], chiefs), ([*flags, "--r1_gamma=10"], workers)) as processes:
        for process in processes:
            _, err = ended(process, code=1)
            told = "^error: process 1 at .* has --r1_gamma 10.0, the chief has 5.0: start all"
            assert re.search(told, err, re.M), err
    with running((flags, workers)) as (waiting,):
        line = waiting.stdout.readline()
        assert "waiting for the others" in line
        time.sleep(1)
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(PATIENCE) == -signal.SIGTERM
    assert not (tmp_path / "run").exists()
