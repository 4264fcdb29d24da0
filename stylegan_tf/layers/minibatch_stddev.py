"""Minibatch standard deviation (ProGAN, Sec. 3)."""

import tensorflow as tf


class MinibatchStddev(tf.keras.layers.Layer):
    """Appends one channel that tells how much the images of a group differ: [N, H, W, C] -> [N, H, W, C + 1].

    Image i of N is in group i mod M, with M = ceil(N / G) groups for G = min(group_size, N): G images N / G apart, or
    one less in some groups where N is no multiple of G. The channel holds the mean over pixels and channels of
    sqrt(variance over the group + 1e-8), computed in float32.
    """

    def __init__(self, group_size=4, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if group_size < 1:
            raise ValueError(f"group_size must be at least 1, got {group_size}.")
        self.group_size = group_size

    def call(self, x):
        _, height, width, channels = x.shape
        batch = tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
        size = tf.minimum(self.group_size, batch) if x.shape[0] is None else min(self.group_size, batch)
        groups = -(-batch // size)
        y = tf.cast(x, tf.float32)
        if x.shape[0] is not None and batch % size == 0:
            y = self._deviations(tf.reshape(y, [size, groups, height, width, channels]), 1.0 / size)
        else:
            missing = size * groups - batch  # Images of zeros, which do not count.
            y = tf.reshape(tf.pad(y, [[0, missing], [0, 0], [0, 0], [0, 0]]), [size, groups, height, width, channels])
            counts = tf.reshape(tf.pad(tf.ones([batch]), [[0, missing]]), [size, groups, 1, 1, 1])
            y = self._deviations(y, counts / tf.reduce_sum(counts, axis=0))
        y = tf.tile(tf.cast(y, x.dtype), [size, height, width, 1])[:batch]  # [N, H, W, 1]
        return tf.concat([x, y], axis=-1)

    @staticmethod
    def _deviations(y, shares):
        """[G, M, H, W, C], share of every image in its group [G, M, 1, 1, 1] or 1 / G -> [M, 1, 1, 1]."""
        y -= tf.reduce_sum(y * shares, axis=0, keepdims=True)
        y = tf.sqrt(tf.reduce_sum(tf.square(y) * shares, axis=0) + 1e-8)  # [M, H, W, C]
        return tf.reduce_mean(y, axis=[1, 2, 3], keepdims=True)

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size}
