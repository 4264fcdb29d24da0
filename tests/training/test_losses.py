"""Losses against hand-computed values, finite differences and scores that would overflow a naive formula."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import LossConfig
from stylegan_tf.training import losses

LOG2 = 0.6931472  # softplus(0)
SOFTPLUS_1 = 1.3132617  # log(1 + e)
SOFTPLUS_MINUS_1 = 0.3132617  # log(1 + 1/e)

GENERATOR = [losses.generator_nonsaturating, losses.generator_saturating, losses.generator_linear]
DISCRIMINATOR = [
    losses.discriminator_logistic,
    lambda real, fake: losses.discriminator_wgan(real, fake, drift=0.001),
    losses.discriminator_hinge,
]


def _floats(*values):
    return tf.constant(values, tf.float32)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("nonsaturating", [LOG2, SOFTPLUS_MINUS_1, SOFTPLUS_1]),
        ("saturating", [-LOG2, -SOFTPLUS_1, -SOFTPLUS_MINUS_1]),
        ("wgan", [0, -1, 1]),
        ("hinge", [0, -1, 1]),
    ],
)
def test_generator_losses_have_their_hand_computed_values(name, expected):
    loss = losses.generator_loss(LossConfig(generator_loss=name), _floats(0, 1, -1))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name, drift, expected",
    [
        ("logistic", 0, [2 * LOG2, SOFTPLUS_MINUS_1 + SOFTPLUS_1, 2 * SOFTPLUS_1]),
        ("wgan", 0, [0, 0, 2]),
        ("wgan", 0.5, [0, 0.5, 2.5]),
        ("hinge", 0, [2, 2, 4]),
    ],
)
def test_discriminator_losses_have_their_hand_computed_values(name, drift, expected):
    config = LossConfig(discriminator_loss=name, wgan_drift=drift)
    loss = losses.discriminator_loss(config, _floats(0, 1, -1), _floats(0, 1, 1))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_hinge_is_zero_beyond_the_margin():
    np.testing.assert_array_equal(losses.discriminator_hinge(_floats(1, 3), _floats(-1, -3)), [0, 0])


def test_penalties_have_their_hand_computed_values():
    np.testing.assert_allclose(losses.zero_centered_penalty(_floats(0, 4), 10.0), [0, 20])
    # Norms 0, 2 and 3: 10 * (n - 2)^2 / 4.
    np.testing.assert_allclose(losses.wgan_gradient_penalty(_floats(0, 4, 9), 10.0, 2.0), [10, 0, 2.5], atol=1e-4)


def test_the_wgan_penalty_has_a_finite_derivative_where_the_gradient_vanishes():
    squared_norms = _floats(0)
    with tf.GradientTape() as tape:
        tape.watch(squared_norms)
        penalty = losses.wgan_gradient_penalty(squared_norms, 10.0)
    np.testing.assert_array_equal(tape.gradient(penalty, squared_norms), [0])


@pytest.mark.parametrize("loss", GENERATOR)
def test_generator_derivatives_agree_with_finite_differences(loss):
    _check_derivative(loss, [-4.0, -0.5, 0.25, 3.0])


@pytest.mark.parametrize("loss", DISCRIMINATOR)
def test_discriminator_derivatives_agree_with_finite_differences(loss):
    other = _floats(0.5, -2.0, 1.5, 0.0)  # No score sits on a corner of the hinge.
    _check_derivative(lambda scores: loss(scores, other), [-4.0, -0.5, 0.25, 3.0])
    _check_derivative(lambda scores: loss(other, scores), [-4.0, -0.5, 0.25, 3.0])


def test_penalty_derivatives_agree_with_finite_differences():
    _check_derivative(lambda norms: losses.zero_centered_penalty(norms, 10.0), [0.5, 1.0, 4.0, 9.0])
    _check_derivative(lambda norms: losses.wgan_gradient_penalty(norms, 10.0, 2.0), [0.5, 1.0, 5.0, 9.0])


def _check_derivative(function, points, step=2**-7):
    points = tf.constant(points, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = function(points)
    difference = (function(points + step) - function(points - step)) / (2 * step)
    np.testing.assert_allclose(tape.gradient(values, points), difference, rtol=2e-3, atol=2e-3)


def test_extreme_scores_give_finite_values_and_derivatives():
    real, fake = _floats(1e4, -1e4, 1e4, -1e4), _floats(1e4, 1e4, -1e4, -1e4)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        values = [loss(fake) for loss in GENERATOR] + [loss(real, fake) for loss in DISCRIMINATOR]
        total = tf.add_n(values)
    assert np.isfinite(tf.stack(values)).all()
    assert np.isfinite(tape.gradient(total, real)).all() and np.isfinite(tape.gradient(total, fake)).all()
    np.testing.assert_allclose(losses.generator_nonsaturating(_floats(1e4, -1e4)), [0, 1e4])
    np.testing.assert_allclose(losses.discriminator_logistic(_floats(-1e4), _floats(1e4)), [2e4])


def test_a_loss_is_one_float32_value_per_image():
    scores = tf.zeros([5])
    for value in [loss(scores) for loss in GENERATOR] + [loss(scores, scores) for loss in DISCRIMINATOR]:
        assert value.shape == [5] and value.dtype == tf.float32
