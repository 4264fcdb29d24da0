"""What the precision `auto` means on the devices of a run: measured on a CPU, a written rule elsewhere.

On a CPU, a convolution of the kind that training has is timed in float32 and bfloat16, forward and with both of its
gradients, and the faster precision is taken. The name of a CPU says little: bfloat16 needs instructions for it
(AVX512-BF16, AMX) and a library that uses them; without, TensorFlow emulates it, ten to a hundred times slower than
float32.
TPUs compute in bfloat16. GPUs do if all of them have compute capability 8.0 (Ampere) or newer, else float32: float16
must be requested, since its narrow range needs loss scaling.
"""

import time
from typing import Callable, NamedTuple, Optional

import tensorflow as tf

_IMAGES = (4, 16, 16, 64)  # [N, H, W, C] of the convolution: much smaller ones hardly differ in speed.
_ROUNDS, _SECONDS = 15, 0.2  # Maximum calls of each kind; no further one after this time.
_FIRST_BFLOAT16_GPU = (8, 0)


class ConvolutionTimes(NamedTuple):
    """Seconds of a 3x3 convolution with its gradients on a CPU, the best of a few calls."""

    float32: float
    other: Optional[float]  # In the half precision; None: it does not run here.

    @property
    def factor(self) -> float:
        """How many times slower the half precision is than float32; infinite if it does not run."""
        return float("inf") if self.other is None else self.other / self.float32

    def described(self, precision: str) -> str:
        """E.g. "a convolution with its gradients takes 3.1 ms in float32, 1.2 ms in bfloat16"."""
        other = "does not run" if self.other is None else f"{self.other * 1e3:.2g} ms"
        return f"a convolution with its gradients takes {self.float32 * 1e3:.2g} ms in float32, {other} in {precision}"


def fastest_precision(strategy: tf.distribute.Strategy) -> tuple[str, str]:
    """("float32" or "bfloat16", the reason) for the devices of `strategy`; the reason is for the log."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "bfloat16", "TPUs compute in it"
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
        return _of_gpus(capabilities)
    times = convolution_times("bfloat16")
    return ("bfloat16" if times.factor < 1 else "float32"), times.described("bfloat16")


def slowness_on_cpu(precision: str, strategy: tf.distribute.Strategy) -> Optional[str]:
    """One line if `precision`, requested explicitly, is slower on this CPU than float32; None if not, or elsewhere."""
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if precision == "float32" or on_tpu or tf.config.list_physical_devices("GPU"):
        return None
    times = convolution_times(precision)
    if times.factor <= 1:
        return None
    how = "does not run on" if times.other is None else f"is {times.factor:.3g} times slower than float32 on"
    return f"{precision} {how} this CPU ({times.described(precision)}): `precision=auto` takes the faster one"


def convolution_times(precision: str) -> ConvolutionTimes:
    """Times the convolution on the CPU in float32 and in `precision`, in turns; under a second, emulated as well."""
    with tf.device("CPU"):
        float32, other = _timed_convolution(tf.float32), _timed_convolution(tf.as_dtype(precision))
        float32()  # Traces.
        try:
            other()
        except tf.errors.OpError:  # oneDNN may be limited to fewer instructions than the CPU has (ONEDNN_MAX_CPU_ISA).
            return ConvolutionTimes(float32(), None)
        rounds: list[tuple[float, float]] = []
        while len(rounds) < _ROUNDS and sum(map(sum, rounds)) < _SECONDS:
            rounds.append((float32(), other()))
    return ConvolutionTimes(*map(min, zip(*rounds)))


def _of_gpus(capabilities: list) -> tuple[str, str]:
    """The rule for GPUs of these compute capabilities, (major, minor) each, None where it is not known."""
    known = [capability for capability in capabilities if capability is not None]
    named = ", ".join(f"{major}.{minor}" for major, minor in known) or "unknown"
    new = len(known) == len(capabilities) and all(capability >= _FIRST_BFLOAT16_GPU for capability in known)
    return ("bfloat16" if new else "float32"), f"compute capability {named}; bfloat16 needs 8.0"


def _timed_convolution(dtype: tf.DType) -> Callable[[], float]:
    """A function that computes it once and returns the seconds that this took."""
    channels = _IMAGES[-1]
    images = tf.random.stateless_normal(_IMAGES, [0, 1])
    weight = tf.random.stateless_normal([3, 3, channels, channels], [0, 2])

    @tf.function(autograph=False)
    def gradients(images, weight):
        with tf.GradientTape() as tape:
            tape.watch([images, weight])
            result = tf.nn.conv2d(tf.cast(images, dtype), tf.cast(weight, dtype), strides=1, padding="SAME")
            total = tf.reduce_sum(tf.square(tf.cast(result, tf.float32)))
        # Scalars only, so that copying is not measured.
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(total, [images, weight])]

    def timed() -> float:
        start = time.perf_counter()
        for result in gradients(images, weight):
            result.numpy()
        return time.perf_counter() - start

    return timed
