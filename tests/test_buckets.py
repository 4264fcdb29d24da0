"""Commands whose files are in a bucket only: a real S3 protocol on loopback."""

import json
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

from stylegan_tf.files.storage import Store
from tests.helpers import small_extractor
from tests.helpers.object_store import BUCKET
from tests.helpers.tiny_run import write_images
from tests.kill_training import FLAGS

ROOT = Path(__file__).resolve().parents[1]
KILLS = int(os.environ.get("STYLEGAN_TF_TEST_KILLS", "3"))  # More by hand.


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "tiny", resolution=8)


def _command(machine, *arguments):
    """A process on a machine of its own: an empty folder, an empty cache."""
    machine.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(machine / "cache")}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=machine,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ran(machine, *arguments):
    process = _command(machine, *arguments)
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return out


def _newest(store):
    """Images seen of the newest checkpoint, 0 without one."""
    found = [re.fullmatch(r"checkpoints/images-(\d+)\.npz", name) for name in store.names()]
    return max((int(match[1]) for match in found if match), default=0)


@pytest.mark.slow
def test_a_run_in_a_bucket_that_is_killed_resumes_on_empty_machines_and_equals_a_local_one(bucket, data_dir, tmp_path):
    flags = ["stylegan_tf.train", *FLAGS.split(), f"--total_kimg={max(0.48, 0.08 * KILLS):.2f}"]
    _ran(tmp_path / "local", *flags, f"--data_dir={data_dir}", "--run_dir=run")
    for path in data_dir.iterdir():
        Store(f"s3://{BUCKET}/data").put(path, path.name)
    flags += [f"--data_dir=s3://{BUCKET}/data", "--cache_gib=7e-6"]  # Less than the images at 8x8.
    store = Store(f"s3://{BUCKET}/run")
    for kill in range(KILLS):
        before = _newest(store)
        process = _command(tmp_path / f"machine{kill}", *flags, f"--run_dir={store.address}")
        until = time.monotonic() + 600
        while _newest(store) < before + 32 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert _newest(store) > before
    out = _ran(tmp_path / "last", *flags, f"--run_dir={store.address}")
    assert "resuming at" in out and not any((tmp_path / "last" / "cache" / "stylegan_tf" / "working_copies").iterdir())
    local = {str(path.relative_to(tmp_path / "local/run")): path for path in (tmp_path / "local/run").rglob("*")}
    pattern = re.compile(r"checkpoints/images-\d+\.npz|network-\d+\.npz|\w+\.png")
    expected = {name: path for name, path in local.items() if pattern.fullmatch(name)}
    names = {name for name in store.names() if pattern.fullmatch(name)}
    assert names == set(expected) and len(names) >= 5
    for name, path in expected.items():
        store.get(name, tmp_path / "found")
        if name.endswith(".npz"):
            with np.load(tmp_path / "found") as found, np.load(path) as whole:
                keys = [
                    key for key in whole.files if key != "checkpoint"
                ]  # The record of the run has its data's folder.
                assert all(np.array_equal(found[key], whole[key]) for key in keys), name
        else:
            assert (tmp_path / "found").read_bytes() == path.read_bytes(), name
    ticks = [store.read("stats.jsonl").count(b"\n"), (tmp_path / "local/run/stats.jsonl").read_bytes().count(b"\n")]
    assert ticks[0] == ticks[1] and ".claim" not in store.names()


@pytest.mark.slow
def test_networks_pictures_results_and_exports_may_be_in_a_bucket(bucket, data_dir, tmp_path):
    address = f"s3://{BUCKET}/out"
    from stylegan_tf.networks.network_file import DEMO_FILE

    Store(address).put(DEMO_FILE, "run/network-000001.npz")
    Store(address).put(DEMO_FILE, "run/network-000012.npz")
    network = f"--network={address}/run"
    _ran(tmp_path / "a", "stylegan_tf.generate", network, "--seeds=0-2", f"--outdir={address}/pictures")
    _ran(tmp_path / "b", "stylegan_tf.generate", "--network=demo", "--seeds=0-2", "--outdir=pictures")
    for seed in range(3):
        name = f"seed{seed:04d}.png"
        assert Store(address).read(f"pictures/{name}") == (tmp_path / "b" / "pictures" / name).read_bytes()
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"cache"}
    fetched = {path.name for path in (tmp_path / "a" / "cache").rglob("*.npz")}
    assert fetched == {"network-000012.npz"}  # The newest alone.
    out = _ran(tmp_path / "a", "stylegan_tf.export", network, f"--saved_model_dir={address}/models")
    out += _ran(tmp_path / "c", "stylegan_tf.export", network, f"--saved_model_dir={address}/models")
    assert out.split() == [f"{address}/models/1", f"{address}/models/2"]
    names = Store(f"{address}/models").names()
    assert {name.split("/", 1)[1] for name in names if name[0] == "1"} >= {
        "saved_model.pb",
        "variables/variables.index",
    }
    assert {name[1:] for name in names if name[0] == "1"} == {name[1:] for name in names if name[0] == "2"}


@pytest.mark.slow
def test_results_may_be_in_a_bucket(bucket, tmp_path):
    address = f"s3://{BUCKET}/results"
    from stylegan_tf.networks.network_file import DEMO_FILE

    Store(address).put(DEMO_FILE, "run/network-000012.npz")
    small_extractor.save_module(tmp_path / "module")
    flags = ["stylegan_tf.evaluate", "--metrics=is40", f"--feature_extractor={tmp_path / 'module'}"]
    flags.append(f"--network={address}/run")
    _ran(tmp_path / "a", *flags)
    _ran(tmp_path / "b", *flags, f"--out={address}/out")
    names = sorted(name for name in Store(address).names() if name.endswith(".jsonl"))
    assert {name.rpartition("/")[0] for name in names} == {"out", "run"}
    results = [json.loads(Store(address).read(name).splitlines()[0])["results"] for name in names]
    assert all(found == results[0] for found in results)


@pytest.mark.slow
def test_a_data_set_is_made_of_and_in_a_bucket(bucket, tmp_path):
    address = f"s3://{BUCKET}/sets"
    for number in range(4):
        Image.new("RGB", (8, 8), (60 * number, 0, 0)).save(tmp_path / f"{number}.png")
        Store(address).put(tmp_path / f"{number}.png", f"pictures/class{number % 2}/{number}.png")
    flags = ["stylegan_tf.create_tfrecords", f"--source={address}/pictures", "--shards=1", "--labels=folders"]
    assert f"{address}/reds is ready" in _ran(tmp_path / "a", *flags, f"--dest={address}/reds")
    assert f"{address}/reds is complete" in _ran(tmp_path / "a", *flags, f"--dest={address}/reds")
    pictures = [f"{address}/pictures/class{number % 2}/{number}.png" for number in range(4)]
    assert all(Store(picture).is_file for picture in pictures)
    flags[1] = f"--source={tmp_path / 'here'}"
    for number in range(4):
        folder = tmp_path / "here" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{number}.png").rename(folder / f"{number}.png")
    _ran(tmp_path / "b", *flags, "--dest=reds")
    local = {path.name: path.read_bytes() for path in (tmp_path / "b" / "reds").iterdir()}
    store = Store(f"{address}/reds")
    found = {name: store.read(name) for name in store.names()}
    assert found.keys() == local.keys()
    assert all(found[name] == local[name] for name in local if name.endswith((".tfrecords", ".labels")))
    again = _command(tmp_path / "c", *flags, f"--dest={address}/reds")
    assert "exists and is not empty" in again.communicate()[1] and again.returncode == 1
