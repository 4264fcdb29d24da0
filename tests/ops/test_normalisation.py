"""Pixel norm and instance norm against their equations; the latter is a different layer on the two stacks."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.ops.elementwise import instance_norm_layer, pixel_norm


def test_pixel_norm_divides_by_the_root_mean_square_over_channels():
    y = pixel_norm(tf.constant([[3.0, 4.0], [-2.0, 0.0]]))
    np.testing.assert_allclose(y, [[3 / 12.5**0.5, 4 / 12.5**0.5], [-(2**0.5), 0]], rtol=1e-6)


def test_pixel_norm_has_its_epsilon_under_the_root():
    np.testing.assert_allclose(pixel_norm(tf.constant([[1e-4, 1e-4]])), [[0.5**0.5] * 2], rtol=1e-5)
    np.testing.assert_array_equal(pixel_norm(tf.zeros([1, 4])), np.zeros([1, 4]))


def test_pixel_norm_computes_in_float32_and_returns_what_it_got():
    x = np.array([[1000.0, 1.0, 2.0, 3.0]])  # 1000^2 + 1 is 1000^2 in bfloat16.
    y = pixel_norm(tf.constant(x, tf.bfloat16))
    assert y.dtype == tf.bfloat16
    expected = x / np.sqrt(np.mean(x**2) + 1e-8)
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, rtol=2**-8)


def _normalised(x):
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-8)


@pytest.mark.parametrize("addons", [True, False])
def test_instance_norm_follows_its_equation_per_image_and_channel_with_and_without_addons(monkeypatch, addons):
    if not addons:  # As on Windows and on Linux for ARM.
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    x = np.random.RandomState(0).randn(3, 4, 6, 5) * [0.1, 1, 10, 2, 3] + [1, 2, 3, -4, 0]
    np.testing.assert_allclose(instance_norm_layer()(x.astype(np.float32)), _normalised(x), rtol=1e-4, atol=1e-5)


def test_instance_norm_has_its_epsilon_under_the_root():
    x = np.array([1e-4, -1e-4, 1e-4, -1e-4], np.float32).reshape(1, 2, 2, 1)  # Variance 1e-8.
    np.testing.assert_allclose(np.abs(instance_norm_layer()(x)), np.full([1, 2, 2, 1], 0.5**0.5), rtol=1e-4)


def test_instance_norm_of_a_constant_image_is_zero_with_a_finite_gradient():
    x = tf.ones([1, 4, 4, 2])
    layer = instance_norm_layer()
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        total = tf.reduce_sum(y * tf.reshape(tf.range(32.0), [1, 4, 4, 2]))
    np.testing.assert_array_equal(y, np.zeros([1, 4, 4, 2]))
    assert np.isfinite(tape.gradient(total, x)).all()


def test_instance_norm_has_no_variables_and_is_the_same_in_a_graph():
    layer = instance_norm_layer()
    x = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
    np.testing.assert_allclose(tf.function(layer)(x), layer(x), rtol=1e-5, atol=1e-6)
    assert layer.weights == []
