"""Style modulation: the second half of AdaIN (Sec. 2, Eq. 1)."""

import tensorflow as tf

from stylegan_tf.layers.equalized import EqualizedDense
from stylegan_tf.ops.broadcasting import add_broadcast, multiply_broadcast


class StyleModulation(EqualizedDense):
    """x * (y_s + 1) + y_b, with (y_s, y_b) a learned affine map "A" of w.

    x: [N, H, W, C], already normalised per image and channel; w: [N, W]. The affine map has 2C outputs, first all
    y_s, then all y_b; its bias starts at 0, so that an untrained style leaves x as it is on average.
    """

    def __init__(self, channels, **kwargs):
        kwargs.setdefault("gain", 1.0)
        kwargs.pop("units", None)  # Follows from `channels`; present in a saved config.
        super().__init__(units=2 * channels, **kwargs)
        self.channels = channels

    def call(self, w, x=None):
        style = super().call(w)  # [N, 2C]
        style = tf.reshape(style, [-1, 2, 1, 1, self.channels])
        return add_broadcast(multiply_broadcast(x, style[:, 0] + 1), style[:, 1])

    def scale_and_offset(self, w):
        """(y_s + 1, y_b), each float32 [N, C]."""
        style = tf.cast(super().call(w), tf.float32)
        return style[:, : self.channels] + 1, style[:, self.channels :]

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}
