"""Equalised dense and convolution layers."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.layers.progan import EqualizedConv2D, EqualizedDense
from tests.helpers import numpy_networks as plain
from tests.helpers.layer_checks import check_layer, randomize


def _x(*shape):
    return np.random.RandomState(1).randn(*shape).astype(np.float32)


def test_dense_has_its_hand_computed_value():
    layer = EqualizedDense(3, gain=2.0, lrmul=0.5)
    layer.build((None, 4))
    weight = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    layer.set_weights([np.array(weight, np.float32), np.array([10, 20, 30], np.float32)])
    # x W = [5, 6, 7]; gain / sqrt(4) * lrmul = 0.5; the bias is halved by lrmul.
    y = check_layer(layer, tf.constant([[1.0, 2.0, 3.0, 4.0]]))
    np.testing.assert_allclose(y, [[7.5, 13, 18.5]], rtol=1e-6)


def test_dense_without_bias_has_one_variable():
    layer = EqualizedDense(2, gain=1.0, use_bias=False)
    layer.build((None, 1))
    layer.set_weights([np.array([[3, 5]], np.float32)])
    np.testing.assert_array_equal(check_layer(layer, tf.constant([[2.0]])), [[6, 10]])


def test_convolution_has_its_hand_computed_value():
    layer = EqualizedConv2D(1, gain=3.0)  # gain / sqrt(9) = 1.
    layer.build((None, 3, 3, 1))
    kernel = np.zeros([3, 3, 1, 1], np.float32)
    kernel[0, 1], kernel[1, 1] = 10, 1  # Ten times the pixel above, and the pixel.
    layer.set_weights([kernel, np.array([0.5], np.float32)])
    x = tf.reshape(tf.range(1.0, 10.0), [1, 3, 3, 1])
    y = check_layer(layer, x)
    np.testing.assert_allclose(y[0, :, :, 0], [[1.5, 2.5, 3.5], [14.5, 25.5, 36.5], [47.5, 58.5, 69.5]], rtol=1e-6)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_convolution_follows_its_equation(kernel_size):
    x = _x(2, 5, 4, 3)
    layer = EqualizedConv2D(6, kernel_size=kernel_size, gain=0.7)
    layer.build(x.shape)
    v = randomize(layer)
    expected = plain.conv(x, v["weight"], gain=0.7) + v["bias"]
    np.testing.assert_allclose(check_layer(layer, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("blur", [True, False])
def test_upscaling_convolution_is_upscale_conv_blur_bias(blur):
    x = _x(2, 4, 4, 3)
    layer = EqualizedConv2D(5, resample="up", blur=blur)
    layer.build(x.shape)
    v = randomize(layer)
    y = plain.conv(plain.upscale(x), v["weight"])
    expected = (plain.blur(y) if blur else y) + v["bias"]
    np.testing.assert_allclose(check_layer(layer, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("blur", [True, False])
def test_downscaling_convolution_is_blur_conv_downscale_bias(blur):
    x = _x(2, 8, 8, 3)
    layer = EqualizedConv2D(5, resample="down", blur=blur)
    layer.build(x.shape)
    v = randomize(layer)
    y = plain.blur(x) if blur else x
    expected = plain.downscale(plain.conv(y, v["weight"])) + v["bias"]
    np.testing.assert_allclose(check_layer(layer, x), expected, rtol=1e-4, atol=1e-5)


def test_weights_start_as_normals_of_deviation_one_over_lrmul_and_biases_at_zero():
    tf.keras.utils.set_random_seed(5)
    for lrmul in (1.0, 0.01):
        layer = EqualizedDense(100, lrmul=lrmul)
        layer.build((None, 100))
        weight, bias = layer.get_weights()
        assert 0.97 < weight.std() * lrmul < 1.03 and abs(weight.mean()) * lrmul < 0.03
        np.testing.assert_array_equal(bias, np.zeros(100))


def test_outputs_of_an_untrained_layer_keep_the_variance_of_the_input_times_gain_squared():
    tf.keras.utils.set_random_seed(6)
    x = np.random.RandomState(2).randn(1000, 200).astype(np.float32)
    assert 1.8 < np.var(EqualizedDense(100, lrmul=0.01)(x)) < 2.2


def test_the_gradient_of_a_weight_is_scaled_as_the_weight_is():
    layer = EqualizedDense(1, gain=1.0, lrmul=0.01)
    layer.build((None, 4))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(tf.ones([1, 4])))
    gradients = tape.gradient(y, named_variables(layer))
    np.testing.assert_allclose(gradients["weight"], np.full([4, 1], 0.01 / 2), rtol=1e-6)
    np.testing.assert_allclose(gradients["bias"], [0.01], rtol=1e-6)


def test_mixed_precision_computes_in_bfloat16_with_float32_weights():
    dense = EqualizedDense(4, dtype="mixed_bfloat16")
    conv = EqualizedConv2D(4, resample="up", dtype="mixed_bfloat16")
    for layer, x in ((dense, _x(2, 3)), (conv, _x(2, 4, 4, 3))):
        layer(x)
        assert check_layer(layer, x).dtype == tf.bfloat16
        assert {weight.dtype for weight in layer.get_weights()} == {np.dtype("float32")}


def test_a_wrong_resampling_is_refused():
    with pytest.raises(ValueError, match="resample.*sideways"):
        EqualizedConv2D(4, resample="sideways")
    with pytest.raises(ValueError, match="3x3.*kernel_size=1"):
        EqualizedConv2D(4, kernel_size=1, resample="up")


def test_outputs_beyond_the_clamp_are_cut_off_and_pass_no_gradient():
    """In float16, where 300 * 300 is beyond the largest number, too."""
    layer = EqualizedConv2D(1, kernel_size=1, gain=1.0, clamp=256.0, dtype="mixed_float16")
    layer.build((None, 1, 4, 1))
    layer.set_weights([np.full([1, 1, 1, 1], 300.0, np.float32), np.array([0.5], np.float32)])
    x = tf.reshape(tf.constant([0.5, 2.0, -300.0, 300.0]), [1, 1, 4, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    np.testing.assert_array_equal(tf.reshape(y, [-1]), [150.5, 256, -256, 256])
    np.testing.assert_array_equal(tf.reshape(tape.gradient(y, x), [-1]), [300, 0, 0, 0])
    check_layer(layer, x)
