"""Training and generating as a user does: through the command line."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.array_source import write_numbered

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--fmap_base=32", "--fmap_max=8", "--latent_size=16", "--dlatent_size=16", "--mapping_fmaps=16"]
TINY += ["--mapping_layers=2", "--batch_sizes=8", "--grid_columns=4", "--grid_rows=1", "--tick_kimg=0.064"]
# Without a fade and from full resolution on there is a single level, so a single trace.
ONE_LEVEL = ["--resolution=4", "--start_resolution=4"]


def command(*arguments):
    return [sys.executable, *map(str, arguments)]


def call(*arguments, cwd):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command(*arguments), capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


def the_error(result):
    """The one line on stderr that tells what is wrong."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.end_to_end
def test_demo_data_to_pictures_in_three_commands(tmp_path):
    tool = ROOT / "tools" / "create_tfrecords.py"
    made = call(tool, "--source", "demo", "--dest", "datasets/demo", "--resolution", "8", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    flags = ["--flagfile", ROOT / "configs" / "demo.cfg", *TINY, "--resolution=8", "--start_resolution=4"]
    flags += ["--training_kimg=0.064", "--transition_kimg=0.064", "--total_kimg=0.192", "--run_dir=runs/tiny"]
    trained = call("-m", "stylegan_tf.train", *flags, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "8x8  alpha 1.00" in trained.stdout
    replayed = (tmp_path / "runs" / "tiny" / "flags.cfg").read_text()
    # Whichever of the two this CPU is faster in; float32 is the default, which is left out.
    precision = re.search(r" in (float32|bfloat16), starting at ", trained.stdout)[1]
    assert "--fmap_max=8" in replayed and "--precision=auto" not in replayed
    assert ("--precision=bfloat16" in replayed) == (precision == "bfloat16")
    flags = ["--network", "runs/tiny", "--seeds", "0-2,7", "--outdir", "out", "--grid", "out/grid.png"]
    generated = call("-m", "stylegan_tf.generate", *flags, cwd=tmp_path)
    assert generated.returncode == 0, generated.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["grid.png", "images.jsonl", "seed0000.png", "seed0001.png", "seed0002.png", "seed0007.png"]
    first = np.asarray(Image.open(tmp_path / "out" / "seed0000.png"))
    grid = np.asarray(Image.open(tmp_path / "out" / "grid.png"))
    assert first.shape == (8, 8, 3) and grid.shape == (256, 256, 3)  # Enlarged by 16.
    np.testing.assert_array_equal(grid[:128:16, :128:16], first)
    again = call("-m", "stylegan_tf.train", "--flagfile", "runs/tiny/flags.cfg", cwd=tmp_path)
    assert again.returncode == 0 and "complete at 0.2 kimg" in again.stdout, again.stderr


@pytest.mark.end_to_end
@pytest.mark.parametrize("number, exit_code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_signal_saves_and_the_same_command_resumes(tmp_path, number, exit_code):
    write_numbered(tmp_path / "data")
    flags = ["--data_dir=data", "--run_dir=run", *TINY, *ONE_LEVEL, "--checkpoint_ticks=1000", "--network_ticks=1000"]
    endless = command("-m", "stylegan_tf.train", *flags, "--total_kimg=100000")
    log = tmp_path / "run" / "log.txt"
    with subprocess.Popen(endless, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 240
            while not (log.exists() and log.read_text().count("kimg 0.") >= 1):
                assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
                time.sleep(0.2)
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == exit_code, err
    assert "the same command resumes from here" in out and "Traceback" not in err
    assert list((tmp_path / "run" / "checkpoints").glob("images-*.npz"))
    assert list((tmp_path / "run").glob("network-*.npz"))
    stopped_at = float(re.search(r"stopped at ([\d.]+) kimg", out)[1])
    again = call("-m", "stylegan_tf.train", *flags, f"--total_kimg={stopped_at + 0.2}", cwd=tmp_path)
    assert again.returncode == 0 and f"resuming at {stopped_at} of" in again.stdout, again.stderr


def test_a_missing_data_folder_is_one_clear_line(tmp_path):
    result = call("-m", "stylegan_tf.train", "--data_dir=nowhere", "--run_dir=run", cwd=tmp_path)
    assert "nowhere does not exist" in the_error(result)
    assert not (tmp_path / "run").exists(), "nothing is left of a run that could not start"


def test_an_empty_data_folder_is_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    result = call("-m", "stylegan_tf.train", "--data_dir=empty", "--run_dir=run", cwd=tmp_path)
    assert "create_tfrecords" in the_error(result)


def test_a_resolution_above_the_datas_is_one_clear_line(tmp_path):
    write_numbered(tmp_path / "data")
    result = call("-m", "stylegan_tf.train", "--data_dir=data", "--run_dir=run", "--resolution=16", cwd=tmp_path)
    assert "resolution 16 is above the 8 of the dataset" in the_error(result)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--grid=g.png"], "--network is missing"),
        (["--network=demo"], "nowhere to write to"),
        (["--network=x.npz", "--grid=g.png"], "x.npz does not exist"),
        (["--network=.", "--grid=g.png"], "holds no network-NNNNNN.npz"),
        (["--network=demo", "--grid=g.png", "--seeds=3-1"], "'3-1' is not a range"),
        (["--network=demo", "--grid=g.png", "--seeds=a"], "'a' is neither"),
        (["--network=x.npz", "--grid=g.png", "--sed=1"], "did you mean --seeds?"),
    ],
)
def test_generate_says_what_is_wrong_in_one_line(tmp_path, arguments, message):
    assert message in the_error(call("-m", "stylegan_tf.generate", *arguments, cwd=tmp_path))
