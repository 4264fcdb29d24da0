"""Noise inputs."""

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.layers.style import NoiseInput
from tests.helpers.layer_checks import check_layer


def _layer():
    layer = NoiseInput()
    layer.build((None, 2, 2, 3))
    variables = named_variables(layer)
    variables["strength"].assign([0, 1, 10])
    variables["map"].assign(tf.reshape([1.0, 2.0, 3.0, 4.0], [1, 2, 2, 1]))
    return layer


def test_without_noise_the_fixed_map_is_added_times_the_strength_of_each_channel():
    y = check_layer(_layer(), 100 * tf.ones([2, 2, 2, 3]))
    for image in y.numpy():
        np.testing.assert_array_equal(image[..., 0], np.full([2, 2], 100))
        np.testing.assert_array_equal(image[..., 1], [[101, 102], [103, 104]])
        np.testing.assert_array_equal(image[..., 2], [[110, 120], [130, 140]])


def test_given_noise_replaces_the_map_per_image():
    noise = tf.reshape(tf.range(8.0), [2, 2, 2, 1])
    y = check_layer(_layer(), tf.zeros([2, 2, 2, 3]), noise=noise)
    np.testing.assert_array_equal(y[..., 2:], 10 * noise)


def test_strength_starts_at_zero_and_is_trained_but_the_map_is_not():
    layer = NoiseInput()
    np.testing.assert_array_equal(layer(tf.ones([1, 16, 16, 4])), np.ones([1, 16, 16, 4]))
    variables = named_variables(layer)
    assert variables["strength"].trainable and not variables["map"].trainable
    assert 0.8 < np.std(variables["map"]) < 1.2
