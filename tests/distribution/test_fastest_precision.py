"""--precision=auto: what is measured on a CPU, and the rule for GPUs and TPUs."""

import pytest
import tensorflow as tf

from stylegan_tf.distribution import fastest_precision as fastest
from stylegan_tf.distribution.fastest_precision import ConvolutionTimes

ONE = tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.mark.parametrize(
    "times, choice",
    [
        (ConvolutionTimes(2e-3, 1e-3), "bfloat16"),
        (ConvolutionTimes(2e-3, 2e-3), "float32"),
        (ConvolutionTimes(2e-3, 0.1), "float32"),
        (ConvolutionTimes(2e-3, None), "float32"),
    ],
)
def test_a_cpu_takes_the_faster_one_and_tells_both_times(monkeypatch, times, choice):
    monkeypatch.setattr(fastest, "convolution_times", lambda precision: times)
    precision, why = fastest.fastest_precision(ONE)
    assert precision == choice
    assert "2 ms in float32" in why
    assert ("does not run" if times.other is None else f"{times.other * 1e3:.2g} ms in bfloat16") in why


def test_the_measurement_takes_both_precisions_in_turns():
    times = fastest.convolution_times("bfloat16")
    assert 0 < times.float32 < 1
    assert times.other is None or 0 < times.other < 10


def test_a_precision_that_does_not_run_is_no_error(monkeypatch):
    timed = fastest._timed_convolution

    def failing(dtype):
        def fail():
            raise tf.errors.AbortedError(None, None, "could not create a primitive descriptor")

        return fail if dtype == tf.bfloat16 else timed(dtype)

    monkeypatch.setattr(fastest, "_timed_convolution", failing)
    times = fastest.convolution_times("bfloat16")
    assert times.other is None and times.factor == float("inf")


@pytest.mark.parametrize(
    "capabilities, choice",
    [
        ([(8, 0)], "bfloat16"),
        ([(9, 0), (8, 6)], "bfloat16"),
        ([(7, 5)], "float32"),
        ([(9, 0), (7, 0)], "float32"),
        ([None], "float32"),
        ([(9, 0), None], "float32"),
    ],
)
def test_gpus_compute_in_bfloat16_if_all_of_them_are_new(capabilities, choice):
    precision, why = fastest._of_gpus(capabilities)
    assert precision == choice
    assert "compute capability" in why


def test_what_is_slow_here_and_asked_for_by_name_is_one_line(monkeypatch):
    monkeypatch.setattr(fastest, "convolution_times", lambda precision: ConvolutionTimes(1e-3, 25e-3))
    here = tf.distribute.get_strategy()
    line = fastest.slowness_on_cpu("bfloat16", here)
    assert "bfloat16 is 25 times slower than float32 on this CPU" in line and "`precision=auto`" in line
    monkeypatch.setattr(fastest, "convolution_times", lambda precision: ConvolutionTimes(1e-3, 0.5e-3))
    assert fastest.slowness_on_cpu("bfloat16", here) is None
    assert fastest.slowness_on_cpu("float32", here) is None
    monkeypatch.setattr(fastest, "convolution_times", lambda precision: pytest.fail("the host of a TPU was timed"))
    assert fastest.slowness_on_cpu("bfloat16", object.__new__(tf.distribute.TPUStrategy)) is None
