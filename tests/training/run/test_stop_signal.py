"""Signals that stop a run."""

import signal

import pytest

from stylegan_tf.training.run.stop_signal import Stopped, StopSignal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_the_handlers_come_back(number, capsys):
    before = signal.signal(number, signal.SIG_DFL)  # Under nohup the tests begin with an ignored SIGHUP.
    try:
        with StopSignal() as stop:
            assert not stop
            signal.raise_signal(number)
            assert stop and stop.number == number
        assert signal.getsignal(number) == signal.SIG_DFL
        assert "stopping" in capsys.readouterr().err
    finally:
        signal.signal(number, before)


def test_a_second_ctrl_c_is_not_caught():
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_long_work_is_broken_off_at_once():
    with StopSignal() as stop:
        with pytest.raises(Stopped), stop.at_once():
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("it went on")
        with pytest.raises(Stopped), stop.at_once():
            pytest.fail("it began after the signal")
        signal.raise_signal(signal.SIGTERM)  # Outside it is only noted.


def test_a_signal_that_was_ignored_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)
