"""Minibatch standard deviation with groups computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.layers.progan import MinibatchStddev
from tests.helpers import numpy_networks as plain
from tests.helpers.layer_checks import check_layer


def _column(*rows):
    """Images of 1x1 pixels with the given channels."""
    return tf.constant(rows, tf.float32)[:, None, None, :]


def test_members_of_a_group_are_n_over_g_apart():
    # Images 0, 2, 4, 6 and 1, 3, 5, 7. First channel: 0, 2, 4, 6 (variance 5) and 1, 1, 1, 5 (variance 3).
    # Second channel: constant (deviation 1e-4) and 0, 0, 2, 2 (variance 1).
    x = _column([0, 9], [1, 0], [2, 9], [1, 0], [4, 9], [1, 2], [6, 9], [5, 2])
    y = check_layer(MinibatchStddev(4), x)
    even, odd = (5**0.5 + 1e-4) / 2, (3**0.5 + 1) / 2
    np.testing.assert_array_equal(y[..., :2], x)
    np.testing.assert_allclose(y[:, 0, 0, 2], [even, odd] * 4, rtol=1e-6)


def test_a_small_batch_is_one_group():
    y = check_layer(MinibatchStddev(4), _column([0], [2], [4]))
    np.testing.assert_allclose(y[:, 0, 0, 1], [(8 / 3) ** 0.5] * 3, rtol=1e-6)


@pytest.mark.parametrize("batch", [5, None])
def test_a_batch_that_is_no_multiple_of_the_group_has_groups_with_one_image_less(batch):
    # Images 0, 2, 4: 0, 4, 8 (variance 32 / 3), and 1, 3: 5, 9 (variance 4).
    x = _column([0], [5], [4], [9], [8])
    layer = tf.function(MinibatchStddev(4), input_signature=[tf.TensorSpec([batch, 1, 1, 1])])
    for y in (MinibatchStddev(4)(x), layer(x)):
        np.testing.assert_allclose(y[:, 0, 0, 1], [(32 / 3) ** 0.5, 2, (32 / 3) ** 0.5, 2, (32 / 3) ** 0.5], rtol=1e-5)


def test_one_image_has_the_least_deviation():
    y = check_layer(MinibatchStddev(4), _column([7, 8]))
    np.testing.assert_allclose(y[0, 0, 0, 2], 1e-4, rtol=1e-6)


def test_pixels_and_channels_are_averaged_into_one_value_per_group():
    x = np.random.RandomState(0).randn(6, 4, 4, 3).astype(np.float32)
    y = check_layer(MinibatchStddev(2), x)
    np.testing.assert_allclose(y, plain.minibatch_stddev(x.astype(np.float64), 2), rtol=1e-5)
    assert len(np.unique(y[..., 3])) == 3


def test_derivatives_are_finite_where_all_images_are_equal():
    x = tf.ones([4, 2, 2, 3])
    layer = MinibatchStddev(4)
    with tf.GradientTape() as second:
        second.watch(x)
        with tf.GradientTape() as first:
            first.watch(x)
            total = tf.reduce_sum(layer(x)[..., 3])
        gradient = first.gradient(total, x)
        norm = tf.reduce_sum(tf.square(gradient))
    np.testing.assert_array_equal(gradient, np.zeros([4, 2, 2, 3]))
    assert np.isfinite(second.gradient(norm, x)).all()


def test_the_statistic_is_computed_in_float32():
    x = tf.cast(_column([256], [258]), tf.bfloat16)  # Their mean, 257, is no bfloat16.
    y = check_layer(MinibatchStddev(4, dtype="mixed_bfloat16"), x)
    assert y.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(y[:, 0, 0, 1], tf.float32), [1, 1])


def test_a_group_needs_an_image():
    with pytest.raises(ValueError, match="group_size.*0"):
        MinibatchStddev(0)
