"""Element-wise operations: leaky ReLU, sums and products with a smaller tensor, normalisation, a layer's epilogue.

The gradient of a smaller tensor, e.g. one value a channel, is a sum over many pixels. In float16 such a sum may
overflow, and TensorFlow's CPU kernel accumulates it in float16: over 4 images of 256x256 pixels the result is off by a
fifth. So it is summed in float32 here. Kernels for bfloat16 do that by themselves.
"""

import importlib.util
import warnings

import tensorflow as tf

from stylegan_tf.ops.forms import compiled_for_cpu, custom_gradient, custom_gradients_disabled, is_plain

LEAKY_SLOPE = 0.2
EPSILON = 1e-8


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """x where x > 0, else 0.2 x: any shape. Its second derivative is zero.

    The derivative follows from the sign of the result. So nothing else reads x, which lets TensorFlow fuse the
    activation with the convolution before it, and the second derivative sums no zeros.
    """
    if is_plain() or custom_gradients_disabled():
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


def pixel_norm(x: tf.Tensor) -> tf.Tensor:
    """x / sqrt(mean over the last axis of x^2 + 1e-8), in float32; returned in x's dtype."""
    y = tf.cast(x, tf.float32)
    y *= tf.math.rsqrt(tf.reduce_mean(tf.square(y), axis=-1, keepdims=True) + EPSILON)
    return tf.cast(y, x.dtype)


def instance_norm_layer() -> tf.keras.layers.Layer:
    """A float32 layer [N, H, W, C] -> [N, H, W, C] of zero mean and unit variance per image and channel.

    It has no weights: the style gives scale and offset (AdaIN, Eq. 1). Of tensorflow-addons on TensorFlow 2.15; of
    Keras where it has no release: on newer TensorFlows, on Windows, and on Linux for ARM.
    """
    options = {"epsilon": EPSILON, "center": False, "scale": False, "dtype": "float32", "name": "instance_norm"}
    if tf.version.VERSION.startswith("2.15.") and importlib.util.find_spec("tensorflow_addons"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tensorflow-addons announces its end of life at every import.
            from tensorflow_addons.layers import InstanceNormalization
        return InstanceNormalization(**options)
    return tf.keras.layers.GroupNormalization(groups=-1, **options)


@custom_gradient
def noise_activation_adain(x, noise, strength, bias, scale, offset):
    """instance_norm(leaky_relu(x + noise * strength + bias)) * scale + offset, compiled into one pass (Sec. 2, Eq. 1).

    All sums and statistics are float32 whatever the dtype of the activations. Only the layer's input is kept for the
    gradient: with the mean over the pixels of an image and channel as <.>,
    u = leaky_relu(x + noise * strength + bias), v = (u - <u>) / deviation and y = v * scale + offset,

        du = scale / deviation * (dy - <dy> - v <dy v>).

    The second derivative is written by hand as well; TensorFlow differentiates that for higher ones.

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
