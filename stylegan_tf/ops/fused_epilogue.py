"""The epilogue of a synthesis layer, from noise to AdaIN, in one compiled pass (Sec. 2, Eq. 1).

All sums and statistics are float32 whatever the dtype of the activations. Only the layer's input is kept for the
gradient: with the mean over the pixels of an image and channel as <.>,
u = leaky_relu(x + noise * strength + bias), v = (u - <u>) / deviation and y = v * scale + offset,

    du = scale / deviation * (dy - <dy> - v <dy v>).

The second derivative is written by hand as well; TensorFlow differentiates that for higher ones.
"""

import tensorflow as tf

from stylegan_tf.ops.elementwise import EPSILON, LEAKY_SLOPE
from stylegan_tf.ops.forms import compiled_for_cpu, custom_gradient


@custom_gradient
def noise_activation_adain(x, noise, strength, bias, scale, offset):
    """instance_norm(leaky_relu(x + noise * strength + bias)) * scale + offset.

    Args:
      x: [N, H, W, C].
      noise: float32 [N or 1, H, W, 1].
      strength, bias: float32 [C].
      scale, offset: float32 [N, C].
    Returns:
      [N, H, W, C] in x's dtype.
    """
    # `_second` differentiates them as functions of the inputs: no gradient must flow back through them.
    y, mean, inverse = (tf.stop_gradient(part) for part in _forward(x, noise, strength, bias, scale, offset))

    def gradient(dy):
        dx, *sums = _gradients(x, noise, strength, bias, scale, mean, inverse, dy)
        dnoise = tf.reduce_sum(tf.cast(dx, tf.float32) * strength, axis=-1, keepdims=True)  # Pruned where unused.
        if noise.shape[0] == 1:
            dnoise = tf.reduce_sum(dnoise, axis=0, keepdims=True)
        return dx, dnoise, *sums

    return y, gradient


@custom_gradient
def _gradients(x, noise, strength, bias, scale, mean, inverse, dy):
    """Gradients by x, strength, bias, scale, offset."""
    results = _backward(x, noise, strength, bias, scale, mean, inverse, dy)

    def second(*directions):  # None for a result that nothing depends on.
        directions = [tf.zeros_like(result) if d is None else d for result, d in zip(results, directions)]
        *inputs, ddy = _second(x, noise, strength, bias, scale, dy, *directions)
        return *inputs, None, None, ddy

    return results, second


@compiled_for_cpu
def _forward(x, noise, strength, bias, scale, offset):
    """(y, mean [N, 1, 1, C], 1 / deviation [N, 1, 1, C])."""
    u = _activated(x, noise, strength, bias)
    mean = _mean(u)
    inverse = tf.math.rsqrt(_mean(tf.square(u - mean)) + EPSILON)
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
    dx = _through_activation(du, u)
    dbias = tf.reduce_sum(dx, axis=[1, 2])  # First per image, which XLA divides among the cores.
    dstrength = tf.reduce_sum(dx * noise, axis=[1, 2])
    sums = (tf.reduce_sum(dstrength, axis=0), tf.reduce_sum(dbias, axis=0), dscale[:, 0, 0], doffset[:, 0, 0])
    return (tf.cast(dx, x.dtype), *sums)


@compiled_for_cpu
def _second(x, noise, strength, bias, scale, dy, *directions):
    """Gradients of F = sum(`_backward` * directions) by x, noise, strength, bias, scale and dy.

    With T(q) = q - <q> - v <q v>, gain = scale / deviation and h, what dx is weighted with before the activation,
    F = sum(gain h T(dy) + along_scale dy v + along_offset dy). T is symmetric, and r T is the derivative of v.
    """
    along_x, along_strength, along_bias, along_scale, along_offset = (tf.cast(d, tf.float32) for d in directions)
    along_scale, along_offset, scale = (value[:, None, None] for value in (along_scale, along_offset, scale))
    u, dy_float = _activated(x, noise, strength, bias), tf.cast(dy, tf.float32)
    centered = u - _mean(u)
    r = tf.math.rsqrt(_mean(tf.square(centered)) + EPSILON)
    v, gain = centered * r, scale * r
    h = _through_activation(along_x + noise * along_strength + along_bias, u)
    h_v, dy_v, h_dy = _mean(h * v), _mean(dy_float * v), _mean(h * dy_float) - _mean(h) * _mean(dy_float)
    t_h = h - _mean(h) - v * h_v
    t_dy = dy_float - _mean(dy_float) - v * dy_v
    by_u = r * (along_scale * t_dy - gain * ((h_dy - h_v * dy_v) * v + dy_v * t_h + h_v * t_dy))
    by_x = _through_activation(by_u, u)
    du = _through_activation(gain * t_dy, u)
    by_noise = tf.reduce_sum(by_x * strength + du * along_strength, axis=-1, keepdims=True)
    if noise.shape[0] == 1:
        by_noise = tf.reduce_sum(by_noise, axis=0, keepdims=True)
    by_scale = tf.reduce_sum(h * t_dy, axis=[1, 2]) * r[:, 0, 0]
    by_dy = gain * t_h + along_scale * v + along_offset
    by_strength, by_bias = tf.reduce_sum(by_x * noise, axis=[0, 1, 2]), tf.reduce_sum(by_x, axis=[0, 1, 2])
    return tf.cast(by_x, x.dtype), by_noise, by_strength, by_bias, by_scale, tf.cast(by_dy, dy.dtype)


def _mean(x):
    return tf.reduce_mean(x, axis=[1, 2], keepdims=True)


def _through_activation(gradient, u):
    return tf.where(u > 0, gradient, LEAKY_SLOPE * gradient)


def _activated(x, noise, strength, bias):
    x = tf.cast(x, tf.float32) + noise * strength + bias
    return tf.where(x > 0, x, LEAKY_SLOPE * x)
