"""Style modulation."""

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.layers.style import StyleModulation
from tests.helpers.layer_checks import check_layer, randomize


def test_the_first_half_of_the_style_scales_and_the_second_is_added():
    layer = StyleModulation(2)
    layer.build((None, 4))
    weight = np.zeros([4, 4], np.float32)
    weight[0] = [1, 2, 3, 4]  # gain / sqrt(4): the style is w_0 * [0.5, 1, 1.5, 2] + bias.
    layer.set_weights([weight, np.array([0, 0, 0, 10], np.float32)])
    x = tf.constant([[[[1.0, 10.0]]], [[[1.0, 10.0]]]])
    y = check_layer(layer, tf.constant([[2.0, 9, 9, 9], [0.0, 9, 9, 9]]), x=x)
    np.testing.assert_allclose(y[:, 0, 0], [[1 * (1 + 1) + 3, 10 * (2 + 1) + 4 + 10], [1, 20]], rtol=1e-6)


def test_style_follows_its_equation_at_every_pixel():
    layer = StyleModulation(3)
    layer.build((None, 5))
    v = randomize(layer)
    rng = np.random.RandomState(1)
    w, x = rng.randn(2, 5).astype(np.float32), rng.randn(2, 4, 6, 3).astype(np.float32)
    style = w @ v["weight"] / 5**0.5 + v["bias"]
    expected = x * (style[:, None, None, :3] + 1) + style[:, None, None, 3:]
    np.testing.assert_allclose(check_layer(layer, w, x=x), expected, rtol=1e-4, atol=1e-5)


def test_a_style_of_w_zero_changes_nothing_before_training():
    x = tf.random.stateless_normal([2, 4, 4, 3], [0, 0])
    np.testing.assert_array_equal(StyleModulation(3)(tf.zeros([2, 5]), x=x), x)
