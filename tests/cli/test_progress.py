"""The progress bar."""

import io

import pytest

from stylegan_tf.cli import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_line_has_count_rate_and_time_left(clock):
    bar = progress.ProgressBar(4096, "Converting", "images", io.StringIO())
    clock[0] += 10
    bar.update(1024)
    assert bar.text() == "Converting  1,024/4,096 images  25%  102 images/s  0:30 left"
    bar.update(4096)
    assert bar.text() == "Converting  4,096/4,096 images  100%  410 images/s  in 0:10"


def test_the_rate_leaves_out_what_an_earlier_run_did(clock):
    bar = progress.ProgressBar(100, "Training", "kimg", io.StringIO())
    bar.skip(80)
    clock[0] += 100
    bar.update(90)
    assert bar.text() == "Training  90/100 kimg  90%  0.10 kimg/s  1:40 left"


def test_a_log_file_gets_few_whole_lines(clock):
    stream = io.StringIO()
    with progress.ProgressBar(100, "Writing", "images", stream, log_interval=30) as bar:
        for done in range(1, 101):
            clock[0] += 0.7
            bar.update(done)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3  # After 30 and 60 of 70 seconds, and at the end.
    assert lines[-1].startswith("Writing  100/100") and "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_that_is_redrawn(clock):
    stream = Terminal()
    bar = progress.ProgressBar(1000, "Writing", "images", stream)
    for done in (999, 1):
        clock[0] += 1
        bar.update(done)
    lines = stream.getvalue().split("\r")
    assert "\n" not in stream.getvalue() and len(lines) == 3
    assert len(lines[2]) >= len(lines[1].rstrip())  # A shorter line covers the longer one before it.
    bar.close()
    assert stream.getvalue().endswith("\n")


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (59.6, "1:00"), (3725, "1:02:05"), (90061, "1d 01:01:01")])
def test_durations_are_readable(seconds, text):
    assert progress.format_duration(seconds) == text
