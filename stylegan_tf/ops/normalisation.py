"""Pixel norm, and instance norm, which each of the two supported stacks takes from another library."""

import importlib.util
import warnings

import tensorflow as tf

EPSILON = 1e-8


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
