"""Leaky ReLU: values, and both derivatives against the plain form."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.ops.elementwise import leaky_relu
from stylegan_tf.ops.forms import plain_form

VALUES = [-3.0, -0.5, 0.0, 0.5, 3.0]


def _derivatives(x):
    """Value, gradient of the sum of y^3 / 3, and gradient of that gradient's squared norm."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = leaky_relu(x)
            total = tf.reduce_sum(y**3) / 3
        gradient = inner.gradient(total, x)
        norm = tf.reduce_sum(tf.square(gradient))
    return y, gradient, outer.gradient(norm, x)


@pytest.mark.parametrize("traced", [False, True])
def test_values_and_derivatives_are_hand_computed_ones(traced):
    derivatives = tf.function(_derivatives) if traced else _derivatives
    y, gradient, second = derivatives(tf.constant(VALUES))
    np.testing.assert_allclose(y, [-0.6, -0.1, 0, 0.5, 3], rtol=1e-6)
    # d(y^3/3)/dx = y^2 y' with y = s x, y' = s: s^3 x^2; its square's derivative is 4 s^6 x^3.
    np.testing.assert_allclose(gradient, [0.2**3 * 9, 0.2**3 * 0.25, 0, 0.25, 9], rtol=1e-6)
    np.testing.assert_allclose(second, [-4 * 0.2**6 * 27, -4 * 0.2**6 / 8, 0, 0.5, 108], rtol=1e-6)


def test_the_plain_form_has_the_same_derivatives():
    x = tf.constant(VALUES)
    with plain_form():
        expected = _derivatives(x)
    for ours, theirs in zip(_derivatives(x), expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_gradient_in_bfloat16_is_exact_up_to_its_own_rounding():
    x = tf.cast(tf.constant(VALUES), tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = leaky_relu(x)
    gradient = tape.gradient(y, x, output_gradients=tf.cast(tf.constant([1.0, 2, 3, 4, 5]), tf.bfloat16))
    assert gradient.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(gradient, tf.float32), [0.2, 0.4, 0.6, 4, 5], rtol=2**-8)
