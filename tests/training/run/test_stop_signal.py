"""Signals that stop a run."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from stylegan_tf.config.callbacks import Progress
from stylegan_tf.training.run.stopping import Stopped, StopSignal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_the_handlers_are_restored(number):
    before = signal.signal(number, signal.SIG_DFL)  # Under nohup the tests begin with an ignored SIGHUP.
    try:
        notes = []
        with StopSignal(notes.append) as stop:
            assert not stop
            stop.check()
            signal.raise_signal(number)
            assert stop and stop.number == number
            with pytest.raises(Stopped):
                stop.check()
        assert signal.getsignal(number) == signal.SIG_DFL
        assert len(notes) == 1 and "stopping" in notes[0]
    finally:
        signal.signal(number, before)


def test_in_another_thread_signals_are_left_to_the_program():
    def train():
        with StopSignal() as stop:
            return bool(stop)

    before = signal.getsignal(signal.SIGTERM)
    assert ThreadPoolExecutor(1).submit(train).result() is False
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_ctrl_c_ends_the_process_without_python():
    """Nothing can be raised in the middle of TensorFlow then."""
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_long_work_with_progress_is_interrupted_at_its_next_update():
    shown = []

    class Bar(Progress):
        def update(self, done):
            shown.append(done)

    with StopSignal() as stop, stop.interrupting(Bar)(3, "Measuring", "images") as bar:
        bar.update(1)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            bar.update(2)
    assert shown == [1]


@pytest.mark.parametrize("error", [OSError("no terminal"), RuntimeError("reentrant call")])
def test_a_line_that_cannot_be_printed_does_not_matter(error):
    def fail(_line):
        raise error

    with StopSignal(fail) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop


def test_a_signal_that_was_ignored_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)
