"""Resampling against hand-computed values; the fused convolutions against what they fuse, to the second derivative."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.ops import resampling
from tests.helpers import numpy_networks as plain


def _values(*shape, seed=0):
    return tf.constant(np.random.RandomState(seed).randn(*shape))  # float64: differences are mistakes, not rounding.


def _plain_conv(x, weight):
    return tf.nn.conv2d(x, weight, strides=1, padding="SAME")


def _derivatives(function, *inputs):
    """Value, first derivatives of a curved function of it, and the derivatives of their squared norm."""
    with tf.GradientTape() as second:
        second.watch(inputs)
        with tf.GradientTape() as first:
            first.watch(inputs)
            value = function(*inputs)
            target = tf.reduce_sum(tf.sin(value))
        gradients = first.gradient(target, inputs)
        norm = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])
    return [value, *gradients, *second.gradient(norm, inputs)]


def _assert_same_derivatives(fused, readable, *inputs):
    for ours, expected in zip(_derivatives(fused, *inputs), _derivatives(readable, *inputs)):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)
        assert np.abs(expected).max() > 0.1


def test_upscaling_repeats_every_pixel_twice_in_both_directions():
    x = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), [1, 2, 2, 1])
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    np.testing.assert_array_equal(resampling.upscale_2d(x)[0, :, :, 0], expected)


def test_enlarging_repeats_pixels_up_to_the_resolution_and_leaves_what_has_it():
    x = _values(2, 4, 4, 3)
    for resolution in (4, 8, 32):
        expected = x.numpy().repeat(resolution // 4, axis=1).repeat(resolution // 4, axis=2)
        np.testing.assert_array_equal(resampling.enlarge_2d(x, resolution), expected)


def test_downscaling_takes_the_mean_of_each_box():
    x = tf.reshape(tf.constant([1.0, 3.0, 10.0, 10.0, 5.0, 7.0, 10.0, 14.0]), [1, 2, 4, 1])
    np.testing.assert_array_equal(resampling.downscale_2d(x)[0, :, :, 0], [[4, 11]])


def test_blur_spreads_a_pixel_by_the_binomial_filter_and_keeps_channels_apart():
    x = np.zeros([1, 5, 5, 2])
    x[0, 2, 2] = [16, 32]
    y = resampling.blur_2d(tf.constant(x)).numpy()
    spread = np.pad([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 1)
    np.testing.assert_array_equal(y[0, :, :, 0], spread)
    np.testing.assert_array_equal(y[0, :, :, 1], 2 * spread)


def test_blur_sees_zeros_beyond_the_border():
    y = resampling.blur_2d(tf.ones([1, 3, 3, 1]))[0, :, :, 0]
    np.testing.assert_array_equal(y, np.array([[9, 12, 9], [12, 16, 12], [9, 12, 9]]) / 16)


def test_blur_agrees_with_the_readable_form_to_the_second_derivative():
    def rows_then_columns(x):
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
        return (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4

    _assert_same_derivatives(resampling.blur_2d, rows_then_columns, _values(2, 6, 4, 3))


@pytest.mark.parametrize("height, width", [(1, 1), (4, 4), (3, 5)])
def test_the_upscaling_convolution_is_upscaling_then_convolution_to_the_second_derivative(height, width):
    x, weight = _values(2, height, width, 3), _values(3, 3, 3, 5, seed=1)
    _assert_same_derivatives(
        resampling.upscale_conv_2d, lambda x, w: _plain_conv(resampling.upscale_2d(x), w), x, weight
    )


@pytest.mark.parametrize("height, width", [(2, 2), (8, 8), (4, 6)])
def test_the_downscaling_convolution_is_convolution_then_mean_to_the_second_derivative(height, width):
    x, weight = _values(2, height, width, 3), _values(3, 3, 3, 5, seed=1)
    _assert_same_derivatives(
        resampling.conv_downscale_2d, lambda x, w: resampling.downscale_2d(_plain_conv(x, w)), x, weight
    )


def test_all_agree_with_numpy():
    x, weight = _values(2, 4, 6, 3), _values(3, 3, 3, 5, seed=1)
    scale = plain.SQRT_2 / np.sqrt(27)  # Of `plain.conv`.
    up, down = resampling.upscale_conv_2d(x, weight) * scale, resampling.conv_downscale_2d(x, weight) * scale
    np.testing.assert_allclose(up, plain.conv(plain.upscale(x.numpy()), weight.numpy()), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(down, plain.downscale(plain.conv(x.numpy(), weight.numpy())), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(resampling.blur_2d(x), plain.blur(x.numpy()), rtol=1e-12, atol=1e-12)


def test_resampling_traces_with_unknown_batch_and_size():
    signature = [tf.TensorSpec([None, None, None, 3], tf.float64)]
    weight = _values(3, 3, 3, 5, seed=1)
    x = _values(2, 4, 6, 3)
    for function in (
        resampling.blur_2d,
        lambda x: resampling.upscale_conv_2d(x, weight),
        lambda x: resampling.conv_downscale_2d(x, weight),
    ):
        np.testing.assert_allclose(tf.function(function, input_signature=signature)(x), function(x), rtol=1e-12)


def test_the_static_shape_of_an_upscaled_convolution_is_known():
    traced = tf.function(resampling.upscale_conv_2d).get_concrete_function(
        tf.TensorSpec([None, 4, 8, 3]), tf.TensorSpec([3, 3, 3, 5])
    )
    assert traced.output_shapes.as_list() == [None, 8, 16, 5]


def test_resampling_keeps_bfloat16():
    x = tf.ones([1, 4, 4, 2], tf.bfloat16)
    weight = tf.ones([3, 3, 2, 2], tf.bfloat16)
    for y in (
        resampling.upscale_2d(x),
        resampling.downscale_2d(x),
        resampling.blur_2d(x),
        resampling.upscale_conv_2d(x, weight),
        resampling.conv_downscale_2d(x, weight),
    ):
        assert y.dtype == tf.bfloat16
