"""bfloat16 activations: close to float32, with weights, w, images and scores in float32."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_networks as tiny

from stylegan_tf.errors import UserError
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.precision import policy
from stylegan_tf.networks.variables import named_variables


def _deviation(rounded, exact):
    """Root mean square difference relative to the root mean square value."""
    return np.sqrt(np.mean((np.asarray(rounded) - exact) ** 2) / np.mean(np.square(exact)))


def _check(rounded, exact):
    assert rounded.dtype == tf.float32
    deviation = _deviation(rounded, np.asarray(exact))
    assert 1e-4 < deviation < 0.05, deviation  # One bfloat16 rounding is 2^-9; below 1e-4 it would be float32.


@pytest.mark.parametrize("row", sorted(tiny.ROWS))
def test_a_bfloat16_generator_is_close_to_float32(row):
    z = tiny.normal(4, 5)
    exact, _ = tiny.generator(**tiny.ROWS[row])
    rounded, _ = tiny.generator(precision="bfloat16", **tiny.ROWS[row])
    np.testing.assert_array_equal(rounded.mapping_network(z), exact.mapping_network(z))
    for alpha in (0.4, 1.0):
        options = {"noise_mode": "const", "alpha": alpha}
        _check(rounded(z, **options), exact(z, **options))


def test_a_bfloat16_discriminator_is_close_to_float32():
    exact, _ = tiny.discriminator()
    rounded, _ = tiny.discriminator(precision="bfloat16")
    for alpha in (0.4, 1.0):
        _check(rounded(tiny.images(16, 8), alpha=alpha), exact(tiny.images(16, 8), alpha=alpha))


def test_weights_and_their_gradients_are_float32_in_bfloat16():
    generator, _ = tiny.generator(precision="bfloat16")
    discriminator, _ = tiny.discriminator(precision="bfloat16")
    variables = {**named_variables(generator), **named_variables(discriminator)}
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(discriminator(generator(tiny.normal(4, 5))))
    gradients = [gradient for gradient in tape.gradient(total, variables).values() if gradient is not None]
    assert {variable.dtype for variable in variables.values()} == {tf.float32}
    assert {gradient.dtype for gradient in gradients} == {tf.float32}


def test_the_gradient_penalty_in_bfloat16_is_close_to_float32():
    def gradient(precision):
        discriminator, _ = tiny.discriminator(precision=precision)
        images = tf.constant(tiny.images(8, 8))
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(discriminator(images))
        return tape.gradient(total, images)

    assert _deviation(gradient("bfloat16"), gradient("float32")) < 0.15


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="float32, bfloat16, got 'float8'"):
        policy("float8")
    with pytest.raises(UserError, match="float8"):
        Generator(tiny.generator()[0].config, precision="float8")
