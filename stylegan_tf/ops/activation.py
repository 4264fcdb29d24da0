"""Leaky ReLU, the networks' only nonlinearity."""

import tensorflow as tf

from stylegan_tf.ops.compiled import compiled_for_cpu
from stylegan_tf.ops.custom_gradient import are_left_out, custom_gradient
from stylegan_tf.ops.plain_form import is_plain

LEAKY_SLOPE = 0.2


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """x where x > 0, else 0.2 x: any shape. Its second derivative is zero.

    The derivative follows from the sign of the result. So nothing else reads x, which lets TensorFlow fuse the
    activation with the convolution before it, and the second derivative sums no zeros.
    """
    if is_plain() or are_left_out():
        return tf.nn.leaky_relu(x, LEAKY_SLOPE)
    return _leaky_relu(x)


@custom_gradient
def _leaky_relu(x):
    y = tf.stop_gradient(tf.nn.leaky_relu(x, LEAKY_SLOPE))  # Else TensorFlow looks for a gradient through its sign.
    return y, lambda dy: _scaled_where_negative(dy, y)


@custom_gradient
def _scaled_where_negative(dy, y):
    """dy where y > 0, else 0.2 dy: linear in dy, so that its gradient is itself."""
    return _kernel(dy, y), lambda ddy: (_scaled_where_negative(ddy, y), None)


def _kernel(dy, y):
    if dy.dtype == tf.bfloat16:  # TensorFlow's kernel takes three times as long as that of float32 with both casts.
        return _through_float32(dy, y)
    return tf.raw_ops.LeakyReluGrad(gradients=dy, features=y, alpha=LEAKY_SLOPE)


@compiled_for_cpu
def _through_float32(dy, y):
    result = tf.raw_ops.LeakyReluGrad(
        gradients=tf.cast(dy, tf.float32), features=tf.cast(y, tf.float32), alpha=LEAKY_SLOPE
    )
    return tf.cast(result, dy.dtype)
