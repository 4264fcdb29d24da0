"""A run that is stopped anywhere and resumed equals, bit for bit, one that was not."""

import dataclasses
import json
import signal

import numpy as np
import pytest

from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.training.reports.reporting import RunReport
from stylegan_tf.training.run import setup
from stylegan_tf.training.run.loop import train
from tests.helpers.tiny_run import tiny_config, write_images

pytestmark = pytest.mark.end_to_end

# 4x4 until 32 images, fade to 8x8 until 64, then 8x8; ticks of 32. The schedule is looked at every 16 images.
TOTAL_KIMG = 0.08
# Augmentation changes its p every 32 images: what it has counted until then is kept, too.
OPTIONS = {
    "total_kimg": TOTAL_KIMG, "keep_checkpoints": 9, "mirror_augment": True, "augment": "ada", "augment_kimg": 0.1,
}  # fmt: skip


def run(config):
    train(config)


def checkpoint(run_dir, images):
    with np.load(run_dir / "checkpoints" / f"images-{images}.npz", allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def stats_of(run_dir):
    return [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]


def assert_equal(resumed, expected):
    """Bit for bit."""
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(config, run folder) of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    data_dir = write_images(folder / "data", resolution=8)
    config = tiny_config(data_dir, folder / "run", **OPTIONS)
    run(config)
    return config, folder / "run"


@pytest.fixture
def stop_at(monkeypatch):
    """SIGTERM during the iteration after which this number of images has been seen."""
    update = RunReport.update

    def stop(images):
        def update_and_stop(self, images_seen):
            if images_seen == images:
                signal.raise_signal(signal.SIGTERM)
            update(self, images_seen)

        monkeypatch.setattr(RunReport, "update", update_and_stop)

    return stop


@pytest.mark.parametrize(
    "images, ticks",
    [
        (24, [24, 32, 64, 80]),  # Within an update of the schedule, before the change from 4x4 to 8x8.
        (56, [32, 56, 64, 80]),  # Within one, in the middle of the fade.
    ],
)
def test_a_run_that_was_stopped_equals_an_uninterrupted_one(whole, tmp_path, stop_at, images, ticks):
    config, uninterrupted = whole
    config = dataclasses.replace(config, run_dir=str(tmp_path / "run"))
    stop_at(images)
    with pytest.raises(SystemExit) as exit_code:
        run(config)
    assert exit_code.value.code == 128 + signal.SIGTERM
    assert checkpoint(tmp_path / "run", images)["clock/images_seen"] == images
    stop_at(None)
    run(config)
    assert_equal(checkpoint(tmp_path / "run", 80), checkpoint(uninterrupted, 80))
    assert [tick["images_seen"] for tick in stats_of(tmp_path / "run")] == ticks
    assert [tick["images_seen"] for tick in stats_of(uninterrupted)] == [32, 64, 80]
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "stopped at 0." in log and "resuming at 0." in log


def test_a_batch_that_grows_equals_a_run_resumed_with_the_larger_one(tmp_path, stop_at):
    """R1 after every 32 images, of batches of 8 and of 16; also if the run is stopped after that."""
    data_dir = write_images(tmp_path / "data", resolution=4)

    def options(run_dir, batch, interval, kimg, **growth):
        schedule, losses = {"batch_sizes": {4: batch}, **growth}, {"r1_interval": interval}
        return tiny_config(data_dir, tmp_path / run_dir, schedule, losses, resolution=4, total_kimg=kimg)

    run(options("by_hand", 8, 4, 0.032))
    run(options("by_hand", 16, 2, 0.128))
    growing = options("growing", 8, 4, 0.128, batch_growth={0.032: 2})
    stop_at(48)
    with pytest.raises(SystemExit):
        run(growing)
    stop_at(None)
    run(growing)
    states = [checkpoint(tmp_path / name, 128) for name in ("growing", "by_hand")]
    for state in states:
        del state["checkpoint"]  # The record of the run: the flags differ.
    assert_equal(*states)
    ticks = [(tick["images_seen"], tick["batch_size"]) for tick in stats_of(tmp_path / "growing")]
    assert ticks == [(32, 8), (48, 16), (64, 16), (96, 16), (128, 16)], "those of the tick's images"
    log = (tmp_path / "growing" / "log.txt").read_text()
    assert [log.count(f"4x4, batch {size}: prepared") for size in (8, 16)] == [1, 2]


def test_a_signal_while_a_level_is_prepared_ends_that_in_order_and_loses_nothing(whole, tmp_path, monkeypatch):
    config, uninterrupted = whole
    config = dataclasses.replace(config, run_dir=str(tmp_path / "run"))
    reached = []

    def batches(strategy, info, resolution, *args, **options):
        if resolution == 8:
            signal.raise_signal(signal.SIGTERM)
            reached.append("what comes after the signal")
        return training_batches(strategy, info, resolution, *args, **options)

    monkeypatch.setattr(setup, "training_batches", batches)
    with pytest.raises(SystemExit):
        run(config)
    assert len(reached) == 1, "nothing is raised where the signal arrives"
    assert checkpoint(tmp_path / "run", 48)["clock/images_seen"] == 48  # The first images at 8x8 come next.
    monkeypatch.undo()
    run(config)
    assert_equal(checkpoint(tmp_path / "run", 80), checkpoint(uninterrupted, 80))
    assert [tick["images_seen"] for tick in stats_of(tmp_path / "run")] == [32, 48, 64, 80]


def test_a_finished_run_that_is_started_again_changes_nothing(whole):
    config, folder = whole
    before = {path.name: path.stat().st_mtime_ns for path in [*folder.iterdir(), *(folder / "checkpoints").iterdir()]}
    run(config)
    after = {path.name: path.stat().st_mtime_ns for path in [*folder.iterdir(), *(folder / "checkpoints").iterdir()]}
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"log.txt", ".lock", "checkpoints"}


def test_a_run_beyond_its_new_length_is_complete_and_keeps_its_flags(whole):
    config, folder = whole
    flags = (folder / "flags.cfg").read_text()
    run(dataclasses.replace(config, total_kimg=0.04))
    last = (folder / "log.txt").read_text().rpartition("images of")[2]
    assert "complete at 0.1 kimg (a higher `total_kimg` would continue it)" in last and "resuming" not in last
    assert (folder / "flags.cfg").read_text() == flags
