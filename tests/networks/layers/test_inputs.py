"""The two ways to start at 4x4."""

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.layers.style import DenseInput, LearnedConstant
from tests.helpers.layer_checks import check_layer, randomize


def test_the_constant_starts_at_one_for_every_image():
    y = check_layer(LearnedConstant(3), tf.zeros([2, 5]))
    np.testing.assert_array_equal(y, np.ones([2, 4, 4, 3]))


def test_the_constant_plus_bias_does_not_depend_on_w():
    layer = LearnedConstant(3)
    layer.build((None, 5))
    v = randomize(layer)
    expected = np.tile(v["const"] + v["bias"], [2, 1, 1, 1])
    np.testing.assert_allclose(check_layer(layer, tf.random.stateless_normal([2, 5], [0, 0])), expected, rtol=1e-5)


def test_the_dense_input_orders_its_outputs_channel_row_column():
    layer = DenseInput(2, gain=1.0)
    layer.build((None, 1))
    layer.set_weights([np.arange(32, dtype=np.float32)[None], np.array([100, 200], np.float32)])
    y = check_layer(layer, tf.ones([1, 1]))
    np.testing.assert_array_equal(y[0, :, :, 0], np.arange(16).reshape(4, 4) + 100)
    np.testing.assert_array_equal(y[0, :, :, 1], np.arange(16, 32).reshape(4, 4) + 200)


def test_the_dense_input_has_a_quarter_of_the_usual_gain():
    layer = DenseInput(2)
    layer.build((None, 8))
    v = randomize(layer)
    w = np.random.RandomState(1).randn(3, 8)
    flat = w @ v["weight"] * np.sqrt(2) / 4 / np.sqrt(8)
    expected = np.stack([flat[:, :16].reshape(3, 4, 4), flat[:, 16:].reshape(3, 4, 4)], axis=-1) + v["bias"]
    np.testing.assert_allclose(check_layer(layer, w.astype(np.float32)), expected, rtol=1e-4, atol=1e-5)
