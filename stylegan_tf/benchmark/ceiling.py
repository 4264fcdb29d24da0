"""What the machine can do at most: the fastest matrix product and 3x3 convolution of a few shapes."""

import time

import tensorflow as tf

_MATRICES = (512, 1024, 2048)
_IMAGES = ((16, 32, 128), (16, 16, 256), (8, 64, 64), (32, 8, 512))  # Batch, size, channels.


class Ceiling:
    """Operations that are repeated round by round; the best of all rounds is the ceiling."""

    def __init__(self, dtype: str):
        self._calls = {"matmul": [_matmul(size, dtype) for size in _MATRICES]}
        self._calls["conv3x3"] = [_convolution(*shape, dtype) for shape in _IMAGES]
        self.measure("matmul"), self.measure("conv3x3")  # Traces.

    def measure(self, operation: str) -> float:
        """GFLOP/s of the best shape, each tried once."""
        best = 0.0
        for call, flops in self._calls[operation]:
            start = time.perf_counter()
            call().numpy()
            best = max(best, flops / (time.perf_counter() - start) / 1e9)
        return best


def _matmul(size, dtype):
    repeats = max(1, 2048 // size)
    lefts = [_normal([size, size], index, dtype) for index in range(repeats)]
    right = _normal([size, size], repeats, dtype)
    # One number comes back, so that copying a result is not measured.
    call = tf.function(lambda: tf.add_n([tf.matmul(left, right)[0, 0] for left in lefts]), autograph=False)
    return call, 2 * size**3 * repeats


def _convolution(batch, size, channels, dtype):
    images = [_normal([batch, size, size, channels], index, dtype) for index in range(2)]
    weight = _normal([3, 3, channels, channels], 2, dtype)

    def call():
        results = [tf.nn.conv2d(x, weight, strides=1, padding="SAME") for x in images]
        return tf.add_n([y[0, 0, 0, 0] for y in results])

    return tf.function(call, autograph=False), 2 * 9 * batch * size**2 * channels**2 * len(images)


def _normal(shape, seed, dtype):
    return tf.cast(tf.random.stateless_normal(shape, [0, seed]), dtype)
