"""Sums and products with a smaller float32 tensor, e.g. one value a channel, that keep its gradient precise.

The gradient of the smaller one is a sum over many pixels. In float16 such a sum may overflow, and TensorFlow's CPU
kernel adds one value after the other in float16: over 4 images of 256x256 pixels the result is off by a fifth.
So it is summed in float32 here. Kernels for bfloat16 do that by themselves.
"""

import tensorflow as tf

from stylegan_tf.ops.custom_gradient import custom_gradient


def add_broadcast(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """x + y in the dtype of x; y, float32, has a shape that broadcasts with that of x."""
    if x.dtype != tf.float16:
        return x + tf.cast(y, x.dtype)
    return _add(x, y)


def multiply_broadcast(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """x * y in the dtype of x; y, float32, has a shape that broadcasts with that of x."""
    if x.dtype != tf.float16:
        return x * tf.cast(y, x.dtype)
    return _multiply(x, y)


@custom_gradient
def _add(x, y):
    return x + tf.cast(y, x.dtype), lambda dz: (_sum_to(dz, x), _sum_to(dz, y))


@custom_gradient
def _multiply(x, y):
    narrow = tf.cast(y, x.dtype)
    return x * narrow, lambda dz: (_sum_to(_multiply(dz, y), x), _sum_to(dz * x, y))


def _sum_to(dz: tf.Tensor, operand: tf.Tensor) -> tf.Tensor:
    """dz summed in float32 over the axes along which `operand` was broadcast, in the dtype of `operand`."""
    missing = len(dz.shape) - len(operand.shape)
    repeated = [
        missing + axis
        for axis, (size, result) in enumerate(zip(operand.shape, dz.shape[missing:]))
        if size == 1 and result != 1
    ]
    if missing or repeated:
        dz = tf.reduce_sum(tf.cast(dz, tf.float32), axis=list(range(missing)) + repeated, keepdims=True)
        dz = tf.reshape(dz, tf.shape(dz)[missing:])
    return tf.cast(dz, operand.dtype)
