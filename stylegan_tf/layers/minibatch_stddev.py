"""Minibatch standard deviation (ProGAN, Sec. 3)."""

import tensorflow as tf


class MinibatchStddev(tf.keras.layers.Layer):
    """Appends one channel that tells how much the images of a group differ: [N, H, W, C] -> [N, H, W, C + 1].

    A group has G = min(group_size, N) images, N / G apart in the batch. The channel holds
    mean over pixels and channels of sqrt(variance over the group + 1e-8), computed in float32.
    N must be a multiple of G.
    """

    def __init__(self, group_size=4, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if group_size < 1:
            raise ValueError(f"group_size must be at least 1, got {group_size}.")
        self.group_size = group_size

    def call(self, x):
        _, height, width, channels = x.shape
        batch = tf.shape(x)[0]
        group = tf.minimum(self.group_size, batch)
        y = tf.cast(tf.reshape(x, [group, -1, height, width, channels]), tf.float32)  # [G, N/G, H, W, C]
        y -= tf.reduce_mean(y, axis=0, keepdims=True)
        y = tf.sqrt(tf.reduce_mean(tf.square(y), axis=0) + 1e-8)  # [N/G, H, W, C]
        y = tf.reduce_mean(y, axis=[1, 2, 3], keepdims=True)  # [N/G, 1, 1, 1]
        y = tf.tile(tf.cast(y, x.dtype), [group, height, width, 1])  # [N, H, W, 1]
        return tf.concat([x, y], axis=-1)

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size}
