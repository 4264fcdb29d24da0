"""Noise inputs (Sec. 2, config E)."""

import tensorflow as tf

from stylegan_tf.layers.precise import PreciseLayer
from stylegan_tf.ops.broadcasting import multiply_broadcast


class NoiseInput(PreciseLayer):
    """x + strength * noise, one learned strength per channel, one noise value per pixel shared by all channels.

    Variables: `strength` [C], initialised with zeros; `map` [1, H, W, 1], a fixed N(0, 1) sample that is used
    when no noise is given ("const" noise).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        _, height, width, channels = input_shape
        self.strength = self.add_weight(name="strength", shape=(channels,), initializer="zeros")
        normal = tf.keras.initializers.RandomNormal(stddev=1.0)
        self.map = self.add_weight(name="map", shape=(1, height, width, 1), initializer=normal, trainable=False)
        super().build(input_shape)

    def call(self, x, noise=None):
        """x: [N, H, W, C]; noise: [N or 1, H, W, 1] of N(0, 1) samples, or None for the fixed map."""
        noise = tf.cast(self.map if noise is None else noise, self.compute_dtype)
        return x + multiply_broadcast(noise, tf.convert_to_tensor(self.strength))
