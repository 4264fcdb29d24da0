"""Images as bytes in a graph: those that pictures are saved with."""

import numpy as np
import tensorflow as tf

from stylegan_tf import visualize
from stylegan_tf.ops.resampling import to_uint8


def test_bytes_are_those_of_pictures():
    values = np.concatenate([np.linspace(-1.2, 1.2, 1001), np.arange(-0.5, 256, 0.5) / 127.5 - 1]).astype(np.float32)
    np.testing.assert_array_equal(to_uint8(tf.constant(values)), visualize.to_uint8(values))


def test_halves_are_rounded_up_and_the_rest_is_clipped():
    values = tf.constant([-1.5, -1.0, 0.0, 0.5 / 127.5, 1.0, 9.0])
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 128, 128, 255, 255])
