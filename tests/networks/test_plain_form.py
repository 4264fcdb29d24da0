"""The fast form of the whole networks against the plain one: values, gradients, and those of R1's penalty."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.ops.forms import plain_form
from tests.helpers.tiny_networks import discriminator, generator, images, normal


def _generated(network):
    """Images and the gradient of a curved function of them by every weight."""
    variables = trainable_variables(network)
    with tf.GradientTape() as tape:
        made = network(normal(4, 5), noise_mode="const", alpha=0.75)
        total = tf.reduce_sum(tf.sin(made))
    return {"images": made, **tape.gradient(total, variables)}


def _judged(network, reals):
    """Scores, R1's squared norms, and the gradient of a loss of both by every weight."""
    variables = trainable_variables(network)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(reals)
            scores = network(reals, alpha=0.75)
            total = tf.reduce_sum(scores)
        norms = tf.reduce_sum(tf.square(inner.gradient(total, reals)), axis=[1, 2, 3])
        loss = tf.reduce_mean(tf.nn.softplus(-scores) + norms)
    zeros = tf.UnconnectedGradients.ZERO
    return {"scores": scores, "norms": norms, **outer.gradient(loss, variables, unconnected_gradients=zeros)}


def _both(compute):
    """(result of the fast form, result of the plain one), float64 arrays by name."""
    ours = tf.function(compute)()
    with plain_form():
        plain = tf.function(compute)()
    return tuple({name: np.float64(value) for name, value in result.items()} for result in (ours, plain))


def _assert_same(ours, expected, tolerance=2e-5):
    """Largest difference of each result relative to its largest value."""
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        limit = tolerance * max(np.abs(value).max(), 1e-3 * scale)
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=limit, err_msg=name)


def _error(result, exact):
    """Root mean square over all results of the relative distance to the exact ones."""
    scale = max(np.linalg.norm(value) for value in exact.values())
    distances = [
        np.linalg.norm(result[name] - value) / max(np.linalg.norm(value), 1e-3 * scale) for name, value in exact.items()
    ]
    return np.sqrt(np.mean(np.square(distances)))


def test_the_generator_computes_the_same_in_both_forms():
    network, _ = generator()
    _assert_same(*_both(lambda: _generated(network)))


def test_the_discriminator_computes_the_same_in_both_forms_to_the_second_derivative():
    network, _ = discriminator()
    reals = tf.constant(images(4, 8))
    _assert_same(*_both(lambda: _judged(network, reals)))


@pytest.mark.parametrize("build, compute", [(generator, _generated), (discriminator, _judged)])
def test_in_bfloat16_the_fast_form_is_as_close_to_float32_as_the_plain_one(build, compute):
    inputs = () if build is generator else (tf.constant(images(4, 8)),)
    exact_network, rounded_network = build()[0], build(precision="bfloat16")[0]
    exact = _both(lambda: compute(exact_network, *inputs))[1]
    fast, plain = _both(lambda: compute(rounded_network, *inputs))
    assert _error(fast, exact) < 1.3 * _error(plain, exact) < 0.5
