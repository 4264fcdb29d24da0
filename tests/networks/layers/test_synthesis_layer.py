"""One layer of the synthesis network: the order of its steps."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.layers.progan import EqualizedConv2D
from stylegan_tf.networks.layers.style import LearnedConstant, SynthesisLayer
from tests.helpers import numpy_networks as plain
from tests.helpers.layer_checks import check_layer


def _layer(**options):
    layer = SynthesisLayer(EqualizedConv2D(3), name="conv", **options)
    layer.build_for((None, 4, 4, 2), 4, w_size=5)
    return layer, plain.randomize(layer)


def _inputs():
    rng = np.random.RandomState(1)
    return rng.randn(2, 4, 4, 2).astype(np.float32), rng.randn(2, 5).astype(np.float32)


@pytest.mark.parametrize("noise, pixel_norm, instance_norm, style", list(itertools.product([True, False], repeat=4)))
def test_a_layer_is_conv_noise_bias_activation_norm_style(noise, pixel_norm, instance_norm, style):
    layer, v = _layer(use_noise=noise, use_pixel_norm=pixel_norm, use_instance_norm=instance_norm, use_style=style)
    x, w = _inputs()
    y = plain.conv(x, v["weight"])
    y = y + v["noise/strength"] * v["noise/map"] if noise else y
    y = plain.leaky_relu(y + v["bias"])
    y = plain.pixel_norm(y) if pixel_norm else y
    y = plain.instance_norm(y) if instance_norm else y
    if style:
        scale_and_offset = plain.dense(w, v["style/weight"], gain=1) + v["style/bias"]
        scale, offset = np.split(scale_and_offset[:, None, None], 2, axis=-1)
        y = y * (scale + 1) + offset
    np.testing.assert_allclose(layer(x, w=w), y, rtol=1e-3, atol=1e-4)


def test_adaptive_instance_norm_gives_each_channel_the_mean_and_deviation_of_its_style():
    layer, v = _layer()
    x, w = _inputs()
    style = plain.dense(w, v["style/weight"], gain=1) + v["style/bias"]
    y = layer(x, w=w).numpy()
    np.testing.assert_allclose(y.mean(axis=(1, 2)), style[:, 3:], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(1, 2)), np.abs(style[:, :3] + 1), rtol=1e-4, atol=1e-5)


def _second_derivative(function, x):
    """By x, of random weights times the gradient of a curved function of the result."""
    random = np.random.RandomState(4)
    weights, direction = tf.cast(random.randn(2, 4, 4, 3), x.dtype), tf.cast(random.randn(*x.shape), x.dtype)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(tf.sin(function(x)) * weights)
        total = tf.reduce_sum(inner.gradient(total, x) * direction)
    return outer.gradient(total, x)


@pytest.mark.parametrize("traced", [False, True])
def test_second_derivatives_go_through_the_mean_and_the_deviation(traced):
    layer, v = _layer(use_style=False)
    x, _ = _inputs()

    def in_float64(x):
        y = tf.nn.conv2d(x, v["weight"] * np.sqrt(2 / 18), 1, "SAME")  # 3x3 of 2 channels, gain sqrt(2).
        y = tf.nn.leaky_relu(y + v["noise/strength"] * v["noise/map"] + v["bias"])
        y -= tf.reduce_mean(y, [1, 2], keepdims=True)
        return y / tf.sqrt(tf.reduce_mean(tf.square(y), [1, 2], keepdims=True) + 1e-8)

    np.testing.assert_allclose(layer(x), in_float64(np.float64(x)), rtol=1e-3, atol=1e-4)
    expected = _second_derivative(in_float64, tf.constant(np.float64(x)))
    compute = tf.function(lambda x: _second_derivative(layer, x)) if traced else lambda x: _second_derivative(layer, x)
    np.testing.assert_allclose(compute(tf.constant(x)), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_noise_can_be_given_or_left_out():
    layer, v = _layer(use_instance_norm=False, use_style=False)
    x, _ = _inputs()
    noise = np.random.RandomState(2).randn(2, 4, 4, 1).astype(np.float32)
    features = plain.conv(x, v["weight"]) + v["bias"]
    without, given = layer(x, use_noise=False), layer(x, noise=noise)
    np.testing.assert_allclose(without, plain.leaky_relu(features), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(given, plain.leaky_relu(features + v["noise/strength"] * noise), rtol=1e-4, atol=1e-5)


def test_steps_that_are_off_have_no_variables():
    layer, v = _layer(use_noise=False, use_style=False)
    assert sorted(v) == ["bias", "weight"] and sorted(named_variables(layer)) == ["bias", "weight"]


def test_a_layer_is_the_same_in_a_graph_and_from_its_config():
    x, w = _inputs()
    layer, _ = _layer(use_pixel_norm=True)
    check_layer(layer, tf.constant(x), w=tf.constant(w))
    start = SynthesisLayer(LearnedConstant(3), use_instance_norm=False)
    start.build_for((None, 5), 4, w_size=5)
    check_layer(start, tf.constant(w), w=tf.constant(w))
