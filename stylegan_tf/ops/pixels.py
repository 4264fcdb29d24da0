"""Images as bytes, in a graph."""

import tensorflow as tf


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Float images in [-1, 1] -> uint8: 127.5 x + 127.5, rounded (halves up) and clipped, as `visualize.to_uint8`."""
    return tf.cast(tf.clip_by_value(tf.floor(images * 127.5 + 128.0), 0.0, 255.0), tf.uint8)
