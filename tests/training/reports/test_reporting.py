"""The files that a run reports to, also when it is interrupted and resumed."""

import json
import math
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from stylegan_tf.networks.growth import Growth
from stylegan_tf.training.reports import reporting
from stylegan_tf.training.reports.log_backends import downscaled, repair_stats
from stylegan_tf.training.reports.reporting import open_report, tick_line
from stylegan_tf.training.schedule import Phase

RATES = {"learning_rate": 0.001, "discriminator_learning_rate": 0.001}
PHASE = Phase(lod=1.25, growth=Growth(16, 0.75), batch_size=32, batch_factor=1, **RATES, tick_kimg=1)


def _records(run_dir):
    return [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]


def _events(run_dir):
    """(step, tag) of every summary that TensorBoard would show."""
    found = []
    for path in sorted(run_dir.glob("events.out.tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(event.step, value.tag) for value in event.summary.value]
    return found


def test_a_tick_is_a_line_an_object_and_scalars(tmp_path):
    notes = []
    with open_report(tmp_path, total_images=4000, note=notes.append) as report:
        report.tick(2000, PHASE, {"loss/G": 0.5, "loss/D": tf.constant(1.25)})
    (printed,) = notes
    assert printed + "\n" == (tmp_path / "log.txt").read_text()
    assert "kimg 2.0" in printed and "16x16  alpha 0.75  batch 32" in printed and "loss/G 0.5  loss/D 1.25" in printed
    (record,) = _records(tmp_path)
    assert (record["images_seen"], record["kimg"], record["loss/D"], record["lod"]) == (2000, 2.0, 1.25, 1.25)
    assert 0.001 < record["memory_gib"] < 1000
    assert {(2000, "loss/G"), (2000, "loss/D"), (2000, "progress/alpha")} <= set(_events(tmp_path))


def test_speed_counts_the_images_of_the_tick_alone(tmp_path, monkeypatch):
    clock = iter([0.0, 100.0, 110.0, 110.0, 130.0, 130.0])
    monkeypatch.setattr(reporting, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time))
    with open_report(tmp_path, total_images=9000, images_seen=1000) as report:  # At 0 s.
        report.start_tick(1000)  # 100 s
        assert report.tick(3000, PHASE, {})["sec_per_kimg"] == pytest.approx(5.0)  # 110 s
        assert report.tick(4000, PHASE, {})["sec_per_kimg"] == pytest.approx(20.0)  # 130 s
    assert _records(tmp_path)[-1]["total_seconds"] == pytest.approx(130.0)


def test_a_resumed_run_appends_and_continues_its_time(tmp_path):
    with open_report(tmp_path, 9000) as report:
        report.log("first part")
        report.tick(1000, PHASE, {})
    earlier = _records(tmp_path)[0]["total_seconds"]
    with open_report(tmp_path, 9000, images_seen=1000) as report:
        report.log("second part")
        report.tick(2000, PHASE, {})
    first, second = _records(tmp_path)
    assert (first["images_seen"], second["images_seen"]) == (1000, 2000)
    assert second["total_seconds"] > earlier
    log = (tmp_path / "log.txt").read_text()
    assert log.index("first part") < log.index("second part")


@pytest.mark.parametrize("cut", ['{"images_seen": 3000, "ki', '{"images_seen": 3000}', "\x00\x00\n"])
def test_a_truncated_last_line_is_dropped(tmp_path, cut):
    path = tmp_path / "stats.jsonl"
    path.write_text('{"images_seen": 1000}\n{"images_seen": 2000}\n' + cut)
    assert repair_stats(path, images_seen=9000) == {"images_seen": 2000}
    assert path.read_text() == '{"images_seen": 1000}\n{"images_seen": 2000}\n'
    assert [entry.name for entry in tmp_path.iterdir()] == ["stats.jsonl"]


def test_what_came_after_the_checkpoint_is_dropped(tmp_path):
    path = tmp_path / "stats.jsonl"
    path.write_text('{"images_seen": 1000}\n{"images_seen": 2000}\n')
    assert repair_stats(path, images_seen=1500) == {"images_seen": 1000}
    assert path.read_text() == '{"images_seen": 1000}\n'


def test_values_that_json_lacks_become_null(tmp_path):
    with open_report(tmp_path, 9000) as report:
        report.tick(1000, PHASE, {"loss/G": math.nan, "loss/D": math.inf})
    (record,) = _records(tmp_path)
    assert record["loss/G"] is None and record["loss/D"] is None


def test_images_go_to_tensorboard(tmp_path):
    with open_report(tmp_path, 9000) as report:
        report.image("fakes", np.zeros([8, 8, 3], np.uint8), 1000)
    assert _events(tmp_path) == [(1000, "fakes")]


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_shrunk_to_means_of_squares(channels):
    image = np.zeros([6, 10, channels], np.uint8)
    image[:2, :2], image[0, 9] = [[[80], [120]], [[200], [0]]], 240
    assert downscaled(image, side=10) is image
    small = downscaled(image, side=5)
    assert small.shape == (3, 5, channels) and small.dtype == np.uint8
    np.testing.assert_array_equal(small[0, 0], 100)
    np.testing.assert_array_equal(small[0, 4], 60)
    assert small.sum() == 160 * channels


def test_the_line_shows_gpu_memory_only_where_there_is_a_gpu():
    record = {"kimg": 12.34, "resolution": 8, "alpha": 1.0, "batch_size": 4, "sec_per_kimg": 8.06, "total_seconds": 725}
    record.update(RATES)
    line = tick_line({**record, "memory_gib": 1.24}, {})
    assert line == "kimg 12.3      8x8  alpha 1.00  batch 4  rate 0.001  8.1 s/kimg  memory 1.2 GiB  time 12:05"
    assert "GPU 3.5 GiB" in tick_line({**record, "memory_gib": 1.24, "gpu_memory_gib": 3.5}, {})


def test_the_line_tells_both_learning_rates_where_they_differ():
    record = {"kimg": 1, "resolution": 8, "alpha": 1.0, "batch_size": 4, "sec_per_kimg": 8, "total_seconds": 7}
    record.update(memory_gib=1, learning_rate=0.002, discriminator_learning_rate=0.0005)
    assert "  rates G 0.002 D 0.0005  " in tick_line(record, {})


def test_tensorboard_forgets_what_a_killed_run_is_going_to_report_again(tmp_path):
    for first, seen in ((0, [1000, 2000, 3000]), (1000, [1500])):  # Killed after 3,000; its last checkpoint had 1,000.
        with open_report(tmp_path, 4000, first) as report:
            for images_seen in seen:
                report.tick(images_seen, PHASE, {"loss/G": 0.5})
        time.sleep(1.1)  # The files' names hold whole seconds.
    events = EventAccumulator(str(tmp_path)).Reload().Tensors("loss/G")
    assert [event.step for event in events] == [1000, 1500]


_LARGE_PARENT = """
import subprocess, sys
large = bytes(range(256)) * 2**23  # 2 GiB, all of it touched.
code = "from stylegan_tf.training.reports.reporting import peak_memory; print(peak_memory()['memory_gib'])"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
"""


def test_the_peak_memory_is_not_that_of_the_process_that_started_this_one():
    result = subprocess.run([sys.executable, "-c", _LARGE_PARENT], capture_output=True, text=True, check=True)
    assert 0.1 < float(result.stdout) < 1.5
