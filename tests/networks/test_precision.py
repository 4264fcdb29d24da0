"""bfloat16 and float16 activations: close to float32, with weights, w, images and scores in float32."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import level_policies, named_variables
from tests.helpers import tiny_networks as tiny


def _deviation(rounded, exact):
    """Root mean square difference relative to the root mean square value."""
    return np.sqrt(np.mean((np.asarray(rounded) - exact) ** 2) / np.mean(np.square(exact)))


# One bfloat16 rounding is 2^-9, one of float16 2^-12; below the lower bound it would be float32.
BOUNDS = {"bfloat16": (1e-4, 0.05), "float16": (1e-5, 0.006)}


def _check(rounded, exact, precision):
    assert rounded.dtype == tf.float32
    lowest, highest = BOUNDS[precision]
    deviation = _deviation(rounded, np.asarray(exact))
    assert lowest < deviation < highest, deviation


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("row", sorted(tiny.ROWS))
def test_a_half_precision_generator_is_close_to_float32(row, precision):
    z = tiny.normal(4, 5)
    exact, _ = tiny.generator(**tiny.ROWS[row])
    rounded, _ = tiny.generator(precision=precision, **tiny.ROWS[row])
    np.testing.assert_array_equal(rounded.mapping_network(z), exact.mapping_network(z))
    for alpha in (0.4, 1.0):
        options = {"noise_mode": "const", "alpha": alpha}
        _check(rounded(z, **options), exact(z, **options), precision)


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_half_precision_discriminator_is_close_to_float32(precision):
    exact, _ = tiny.discriminator()
    rounded, _ = tiny.discriminator(precision=precision)
    for alpha in (0.4, 1.0):
        _check(rounded(tiny.images(16, 8), alpha=alpha), exact(tiny.images(16, 8), alpha=alpha), precision)


@pytest.mark.parametrize("precision", BOUNDS)
def test_weights_and_their_gradients_are_float32_in_half_precision(precision):
    generator, _ = tiny.generator(precision=precision)
    discriminator, _ = tiny.discriminator(precision=precision)
    variables = {**named_variables(generator), **named_variables(discriminator)}
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(discriminator(generator(tiny.normal(4, 5))))
    gradients = [gradient for gradient in tape.gradient(total, variables).values() if gradient is not None]
    assert {variable.dtype for variable in variables.values()} == {tf.float32}
    assert {gradient.dtype for gradient in gradients} == {tf.float32}


def _gradients(precision, seed):
    """Of sums of scores, of squared gradient norms and of weighted images, by every weight that takes part."""
    generator, _ = tiny.generator(precision=precision)
    discriminator, _ = tiny.discriminator(precision=precision)
    images = tf.constant(tiny.images(8, 8, seed=seed))
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = discriminator(images)
        norms = tf.square(tape.gradient(scores, images))
        fakes = generator(tiny.normal(8, 5, seed=seed), noise_mode="const") * images
    d, g = named_variables(discriminator), named_variables(generator)
    gradients = [outer.gradient(scores, d), outer.gradient(norms, d), outer.gradient(fakes, g)]
    return [{name: value for name, value in part.items() if value is not None} for part in gradients]


@pytest.mark.parametrize("precision, bounds", [("bfloat16", (0.02, 0.05, 0.15)), ("float16", (0.005, 0.02, 0.06))])
def test_first_and_second_gradients_in_half_precision_are_close_to_float32(precision, bounds):
    """Medians over inputs and weights: where rounding moves a feature across 0, leaky ReLU's gradient jumps."""
    deviations = [{}, {}, {}]
    for seed in range(9):
        for part, ours, exact in zip(deviations, _gradients(precision, seed), _gradients("float32", seed)):
            assert ours.keys() == exact.keys()
            for name in (name for name in exact if np.any(exact[name])):
                part.setdefault(name, []).append(_deviation(ours[name], exact[name]))
    for part, bound in zip(deviations, bounds):
        typical = {name: np.median(values) for name, values in part.items()}
        assert len(typical) >= 9
        assert np.median(list(typical.values())) < bound, typical
        assert max(typical.values()) < 0.35, typical


def test_only_the_highest_levels_take_half_precision():
    levels = (4, 8, 16, 32, 64)
    assert level_policies("bfloat16", levels) == dict.fromkeys(levels, "mixed_bfloat16")
    half = "mixed_float16"
    assert level_policies("float16", levels) == {4: "float32", 8: half, 16: half, 32: half, 64: half}
    assert level_policies("float16", levels[:3]) == {4: "float32", 8: half, 16: half}, "4x4 only if asked for"
    assert level_policies("float16", levels, 1) == {**dict.fromkeys(levels, "float32"), 64: half}
    assert set(level_policies("bfloat16", levels, 0).values()) == {"float32"}
    config = tiny.generator()[0].config
    generator = Generator(config, "float16", 1)
    assert generator.synthesis.blocks["8x8"][0].source.compute_dtype == "float16"
    assert generator.synthesis.to_rgb["4x4"].compute_dtype == "float32"
    assert generator.synthesis.blocks["8x8"][1].style.compute_dtype == "float32"
    discriminator = Discriminator(tiny.discriminator()[0].config, "float16", 1)
    assert discriminator.blocks["8x8"][1].compute_dtype == discriminator.from_rgb["8x8"].compute_dtype == "float16"
    assert discriminator.conv.compute_dtype == discriminator.from_rgb["4x4"].compute_dtype == "float32"


def test_levels_of_both_precisions_work_together():
    exact, _ = tiny.discriminator(resolution=16)
    mixed, _ = tiny.discriminator(resolution=16, precision="float16", half_levels=1)
    for alpha in (0.4, 1.0):
        _check(mixed(tiny.images(16, 16), alpha=alpha), exact(tiny.images(16, 16), alpha=alpha), "float16")
    assert np.array_equal(mixed(tiny.images(16, 8)), exact(tiny.images(16, 8))), "no level in float16 takes part"


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="float32, bfloat16, float16, got 'float8'"):
        level_policies("float8", (4, 8))
    with pytest.raises(UserError, match="float8"):
        Generator(tiny.generator()[0].config, precision="float8")
