"""The two ways to start the synthesis network at 4x4: a learned constant (config D), a dense layer (A to C)."""

import tensorflow as tf

from stylegan_tf.layers.equalized import SQRT_2, EqualizedDense
from stylegan_tf.layers.precise import PreciseLayer


class LearnedConstant(PreciseLayer):
    """The constant 4x4 input, initialised with ones (Sec. 2, config D), plus a bias: w [N, W] -> [N, 4, 4, filters].

    Only the batch size of w is used.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        self.const = self.add_weight(name="const", shape=(1, 4, 4, self.filters), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def call(self, w):
        x = tf.tile(self.const + self.bias, [tf.shape(w)[0], 1, 1, 1])
        return tf.cast(x, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class DenseInput(EqualizedDense):
    """The traditional input layer: w [N, W] -> dense -> [N, 4, 4, filters], with one bias per channel.

    The dense outputs are ordered (channel, row, column). Its gain is sqrt(2) / 4, as in ProGAN.
    """

    def __init__(self, filters, **kwargs):
        kwargs.setdefault("gain", SQRT_2 / 4)
        kwargs.pop("units", None)  # Follows from `filters`; present in a saved config.
        super().__init__(units=16 * filters, **kwargs)
        self.filters = filters

    def _bias_size(self, weight_shape):
        return self.filters

    def call(self, w):
        x = tf.reshape(self.product(w), [-1, self.filters, 4, 4])  # [N, C, H, W]
        return self.with_bias(tf.transpose(x, [0, 2, 3, 1]))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}
