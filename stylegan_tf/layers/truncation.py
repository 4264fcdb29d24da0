"""The truncation trick in w (Sec. 2.1 and App. B)."""

import tensorflow as tf

from stylegan_tf.layers.precise import PreciseLayer


class Truncation(PreciseLayer):
    """w' = w_avg + psi * (w - w_avg) for the first `cutoff` layers.

    Variable: `w_avg` [W], the running average of w, moved by training (not trainable itself).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.w_avg = self.add_weight(name="w_avg", shape=(input_shape[-1],), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, ws, psi=0.7, cutoff=None):
        """ws: [N, L, W] float32. psi: scalar or [N]; 1 changes nothing. cutoff: number of layers, None for all."""
        layer = tf.range(tf.shape(ws)[1])
        applies = layer < (tf.shape(ws)[1] if cutoff is None else cutoff)
        psi = tf.reshape(tf.cast(psi, ws.dtype), [-1, 1, 1])
        truncated = self.w_avg + psi * (ws - self.w_avg)
        return tf.where(applies[None, :, None], truncated, ws)
