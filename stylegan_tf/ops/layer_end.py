"""What follows the convolution of a synthesis layer, from noise to AdaIN, in one compiled pass (Sec. 2, Eq. 1).

All sums and statistics are float32 whatever the dtype of the activations. Only the layer's input is kept for the
gradient, which is written out by hand: with the mean over the pixels of an image and channel as <.>,
u = leaky_relu(x + noise * strength + bias), v = (u - <u>) / deviation and y = v * scale + offset,

    du = scale / deviation * (dy - <dy> - v <dy v>).
"""

import tensorflow as tf

from stylegan_tf.ops.activation import LEAKY_SLOPE
from stylegan_tf.ops.compiled import compiled_for_cpu
from stylegan_tf.ops.normalisation import EPSILON


@tf.custom_gradient
def noise_activation_adain(x, noise, strength, bias, scale, offset):
    """instance_norm(leaky_relu(x + noise * strength + bias)) * scale + offset.

    Args:
      x: [N, H, W, C].
      noise: float32 [N or 1, H, W, 1].
      strength, bias: float32 [C].
      scale, offset: float32 [N, C].
    Returns:
      [N, H, W, C] in x's dtype. It has first derivatives; asking for the second ones is an error.
    """
    y, mean, inverse = _forward(x, noise, strength, bias, scale, offset)

    def gradient(dy):
        results = _backward(x, noise, strength, bias, scale, mean, inverse, dy)
        dx, *sums = (tf.raw_ops.PreventGradient(input=result, message=_NO_SECOND) for result in results)
        dnoise = tf.reduce_sum(tf.cast(dx, tf.float32) * strength, axis=-1, keepdims=True)  # Left out where unused.
        if noise.shape[0] == 1:
            dnoise = tf.reduce_sum(dnoise, axis=0, keepdims=True)
        return dx, dnoise, *sums

    return y, gradient


_NO_SECOND = "second derivatives of the generator need stylegan_tf.ops.plain_form.plain_form()"


@compiled_for_cpu
def _forward(x, noise, strength, bias, scale, offset):
    """(y, mean [N, 1, 1, C], 1 / deviation [N, 1, 1, C])."""
    u = _activated(x, noise, strength, bias)
    mean = tf.reduce_mean(u, axis=[1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.square(u - mean), axis=[1, 2], keepdims=True)
    inverse = tf.math.rsqrt(variance + EPSILON)
    y = (u - mean) * (inverse * scale[:, None, None]) + offset[:, None, None]
    return tf.cast(y, x.dtype), mean, inverse


@compiled_for_cpu
def _backward(x, noise, strength, bias, scale, mean, inverse, dy):
    """Gradients by x, strength, bias, scale, offset."""
    u = _activated(x, noise, strength, bias)
    v = (u - mean) * inverse
    dy = tf.cast(dy, tf.float32)
    pixels = x.shape[1] * x.shape[2]
    doffset = tf.reduce_sum(dy, axis=[1, 2], keepdims=True)
    dscale = tf.reduce_sum(dy * (u - mean), axis=[1, 2], keepdims=True) * inverse
    du = scale[:, None, None] * inverse * (dy - doffset / pixels - v * (dscale / pixels))
    dx = tf.where(u > 0, du, LEAKY_SLOPE * du)
    dbias = tf.reduce_sum(dx, axis=[1, 2])  # First per image, which XLA divides among the cores.
    dstrength = tf.reduce_sum(dx * noise, axis=[1, 2])
    sums = (tf.reduce_sum(dstrength, axis=0), tf.reduce_sum(dbias, axis=0), dscale[:, 0, 0], doffset[:, 0, 0])
    return (tf.cast(dx, x.dtype), *sums)


def _activated(x, noise, strength, bias):
    x = tf.cast(x, tf.float32) + noise * strength + bias
    return tf.where(x > 0, x, LEAKY_SLOPE * x)
