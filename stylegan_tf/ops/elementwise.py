"""Element-wise operations: leaky ReLU, sums and products with a smaller tensor, normalisation.

The gradient of a smaller tensor, e.g. one value a channel, is a sum over many pixels. In float16 such a sum may
overflow, and TensorFlow's CPU kernel accumulates it in float16: over 4 images of 256x256 pixels the result is off by a
fifth. So it is summed in float32 here. Kernels for bfloat16 do that by themselves.
"""

import importlib.util
import warnings

import tensorflow as tf

from stylegan_tf.ops.forms import are_left_out, compiled_for_cpu, custom_gradient, is_plain

LEAKY_SLOPE = 0.2
EPSILON = 1e-8


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
