"""What decides about speed on a machine: its CPU's matrix instructions, oneDNN, and the fastest products it can do."""

import os
import time

import cpuinfo

# What to look for among the flags of a CPU, and what it is called in the table.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX (bfloat16)",
    "asimd": "NEON",
    "bf16": "BF16",
}
_MATRICES = (512, 1024, 2048)
_IMAGES = ((16, 32, 128), (16, 16, 256), (8, 64, 64), (32, 8, 512))  # Batch, size, channels.


def machine_line() -> str:
    """E.g. "AMD EPYC 7003, 2 cores: AVX2; oneDNN on (TF_ENABLE_ONEDNN_OPTS=1)"."""
    info = cpuinfo.get_cpu_info()
    flags = set(info.get("flags", ()))
    features = [name for flag, name in _FEATURES.items() if flag in flags] or ["none of the instructions looked for"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{info.get('brand_raw', 'unknown CPU')}, {cores} cores: {', '.join(features)}; {_onednn(os.environ)}"


def _onednn(environment) -> str:
    """As the environment has it: the commands of this package set the variable where the user did not."""
    setting = environment.get("TF_ENABLE_ONEDNN_OPTS")
    state = {None: "as TensorFlow chooses", "0": "off"}.get(setting, "on")
    limit = environment.get("ONEDNN_MAX_CPU_ISA")
    named = "" if setting is None else f" (TF_ENABLE_ONEDNN_OPTS={setting})"
    return f"oneDNN {state}{named}" + (f", limited to {limit}" if limit else "")


class Ceiling:
    """Matrix products and 3x3 convolutions in a few shapes; the best one of all rounds is the machine's ceiling."""

    def __init__(self, dtype: str):
        self._calls = {"matmul": [_matmul(size, dtype) for size in _MATRICES]}
        self._calls["conv3x3"] = [_convolution(*shape, dtype) for shape in _IMAGES]

    def measure(self, operation: str) -> float:
        """GFLOP/s of the best shape, each tried once."""
        best = 0.0
        for call, flops in self._calls[operation]:
            start = time.perf_counter()
            call().numpy()
            best = max(best, flops / (time.perf_counter() - start) / 1e9)
        return best


def _matmul(size, dtype):
    import tensorflow as tf

    repeats = max(1, 2048 // size)
    lefts = [_normal([size, size], index, dtype) for index in range(repeats)]
    right = _normal([size, size], repeats, dtype)
    # One number comes back, so that copying a result is not measured.
    call = tf.function(lambda: tf.add_n([tf.matmul(left, right)[0, 0] for left in lefts]), autograph=False)
    return call, 2 * size**3 * repeats


def _convolution(batch, size, channels, dtype):
    import tensorflow as tf

    images = [_normal([batch, size, size, channels], index, dtype) for index in range(2)]
    weight = _normal([3, 3, channels, channels], 2, dtype)

    def call():
        results = [tf.nn.conv2d(x, weight, strides=1, padding="SAME") for x in images]
        return tf.add_n([y[0, 0, 0, 0] for y in results])

    return tf.function(call, autograph=False), 2 * 9 * batch * size**2 * channels**2 * len(images)


def _normal(shape, seed, dtype):
    import tensorflow as tf

    return tf.cast(tf.random.stateless_normal(shape, [0, seed]), dtype)
