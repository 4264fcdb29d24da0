"""float16 training: the loss scale, what overflows, and what would vanish without it."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.training import adam
from stylegan_tf.training.adam import Adam, LossScale
from stylegan_tf.training.gradients import DiscriminatorInput, Gradients, Scalars
from stylegan_tf.training.step import TrainingStep, build_iteration
from tests.helpers.tiny_run import write_images
from tests.helpers.tiny_step import arrays_of, build, inputs

STRATEGY = tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny"))


def test_the_scale_doubles_after_good_steps_and_is_halved_by_a_bad_one(monkeypatch):
    monkeypatch.setattr(adam, "GOOD_STEPS", 3)
    scale = LossScale()
    # (finite, scale, good steps, overflows) after each step, from 2^16.
    table = [
        (True, 65536, 1, 0),
        (True, 65536, 2, 0),
        (False, 32768, 0, 1),
        (True, 32768, 1, 1),
        (True, 32768, 2, 1),
        (True, 65536, 0, 1),
        (False, 32768, 0, 2),
        (False, 16384, 0, 3),
    ]
    for finite, *expected in table:
        scale.update(tf.distribute.get_strategy(), tf.constant(finite))
        assert [float(scale.value), int(scale.variables["good_steps"]), scale.overflows] == expected


def test_the_scale_stays_between_its_bounds(monkeypatch):
    monkeypatch.setattr(adam, "GOOD_STEPS", 1)
    scale = LossScale()
    for finite, expected in [(True, 2.0**24), (False, 1.0)]:
        for _ in range(30):
            scale.update(tf.distribute.get_strategy(), tf.constant(finite))
        assert float(scale.value) == expected
        assert bool(scale.can_fall()) == (expected > 1)
    assert scale.overflows == 24, "a bad step at the lowest scale is no overflow"


def apply(adam, gradients):
    tf.distribute.get_strategy().run(lambda: adam.apply(gradients, tf.constant(0.1), scaled=True))


def test_adam_divides_by_the_scale_and_tells_overflows_from_bad_gradients():
    variables = [tf.Variable([1.0, 2.0]) for _ in range(2)]
    scaled, plain = (Adam({"a": variable}, 0.5, 0.9, 1e-3) for variable in variables)
    gradient = tf.constant([0.3, -0.01])
    apply(scaled, {"a": gradient * 65536})
    tf.distribute.get_strategy().run(lambda: plain.apply({"a": gradient}, tf.constant(0.1)))
    np.testing.assert_allclose(variables[0], variables[1], rtol=1e-6)
    before = variables[0].numpy()
    for _ in range(16):  # 2^16 -> 1.
        apply(scaled, {"a": tf.constant([np.inf, 1.0])})
    assert (scaled.skipped, scaled.loss_scale.overflows, float(scaled.loss_scale.value)) == (0, 16, 1.0)
    apply(scaled, {"a": tf.constant([np.nan, 1.0])})
    assert (scaled.skipped, scaled.loss_scale.overflows) == (1, 16), "a lower scale cannot help: it is the gradient"
    np.testing.assert_array_equal(variables[0], before)
    scaled.reset()
    assert float(scaled.loss_scale.value) == 1.0, "the scale outlives a change of resolution"


def test_a_scale_that_is_too_high_skips_steps_until_it_fits(info):
    """From 2^40 on, the discriminator's first steps overflow; the losses that are reported stay those of the scores."""
    config, state = build(info, precision="float16", half_precision_levels=3)
    state.discriminator_adam.variables["loss_scale/scale"].assign(2.0**40)
    iteration = build_iteration(config, state, STRATEGY, 4, 8)
    batches = training_batches(STRATEGY, info, 4, 8, seed=3)
    start = {name: value.numpy() for name, value in arrays_of(state)}
    first = [iteration(batches, inputs(8 * index)) for index in range(3)]
    after = {name: value.numpy() for name, value in arrays_of(state)}
    changed = {name for name in start if np.any(start[name] != after[name])}
    assert not any(name.startswith(("discriminator/", "discriminator_adam/m", "generator_ema/4x4")) for name in changed)
    assert any(name.startswith("generator/") for name in changed), "the generator has a scale of its own"
    assert after["discriminator_adam/loss_scale/scale"] == 2.0**37 and after["discriminator_adam/steps"] == 0
    for metrics in first:
        assert all(np.isfinite(metrics[name]) for name in ("d_loss", "g_loss", "real_score", "fake_score"))
        assert np.isnan(metrics["r1"]), "no iteration could compute it"
    last = [iteration(batches, inputs(8 * index)) for index in range(3, 38)][-1]
    adam = state.discriminator_adam
    assert adam.skipped == state.generator_adam.skipped == 0
    assert adam.loss_scale.overflows + int(adam.variables["steps"]) == 38
    assert 5 < int(adam.variables["steps"]) < 30
    assert float(adam.loss_scale.value) == 2.0 ** (40 - adam.loss_scale.overflows)
    assert all(np.isfinite(value) for value in last.values())


def penalty_and_gradient(info, precision, scale, dependence):
    """(R1 of each image, gradient of their sum) at 4x4 for scores that depend on the image by so much."""
    levels = None if precision == "float32" else 3  # 4x4 computes in half only if asked for.
    config, state = build(info, precision=precision, half_precision_levels=levels)
    head = state.variables["discriminator"]["4x4/dense1/weight"]
    head.assign(head * dependence)
    gradients = Gradients(config, state, resolution=4, batch_size=8)
    scalars = Scalars(tf.constant(1.0), tf.constant(2), None if scale is None else tf.constant(scale))
    images = tf.constant(np.random.RandomState(2).uniform(-1, 1, [8, 4, 4, 3]), tf.float32)
    weight = state.variables["discriminator"]["4x4/conv/weight"]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weight)
        _, norms = gradients.scores_and_norms(DiscriminatorInput(images), None, scalars, weight=10.0)
        total = tf.reduce_sum(norms) * (scale or 1.0)
    return norms.numpy(), tape.gradient(total, weight).numpy() / (scale or 1.0)


def test_r1_of_tiny_gradients_survives_float16(info):
    """The norms at gradients near float16's smallest number, 6e-8; their own gradient, which is as small as squares."""

    def deviation(ours, exact):
        return np.sqrt(np.mean((ours - exact) ** 2) / np.mean(exact**2))

    exact, _ = penalty_and_gradient(info, "float32", None, 1e-7)
    lost, _ = penalty_and_gradient(info, "float16", None, 1e-7)
    kept, _ = penalty_and_gradient(info, "float16", 2.0**24, 1e-7)
    assert deviation(lost, exact) > 0.3 and deviation(kept, exact) < 0.02
    _, exact = penalty_and_gradient(info, "float32", None, 1e-5)
    _, lost = penalty_and_gradient(info, "float16", None, 1e-5)
    _, kept = penalty_and_gradient(info, "float16", 2.0**24, 1e-5)
    assert np.all(lost == 0) and deviation(kept, exact) < 0.05


def trained(info, precision):
    """All weights before and after two iterations at 4x4 and three in the fade to 8x8."""
    config, state = build(info, precision=precision, adam_epsilon=0.1)
    for each in (state.generator_adam, state.discriminator_adam):
        each.variables["loss_scale/scale"].assign(2.0**10)  # These random weights are wild: nothing shall overflow.
    before = {name: value.numpy() for name, value in arrays_of(state)}
    for resolution, count, alpha in [(4, 2, 1.0), (8, 3, 0.5)]:
        step = TrainingStep(config, state, resolution, batch_size=8)
        batches = training_batches(STRATEGY, info, resolution, 8, seed=3)
        for index in range(count):
            arguments = (next(batches), inputs(8 * index, alpha=alpha, learning_rate=0.01))
            STRATEGY.run(step.train_discriminator, args=arguments)
            STRATEGY.run(step.train_generator, args=arguments)
    return before, {name: value.numpy() for name, value in arrays_of(state)}


def test_a_short_training_in_float16_is_close_to_one_in_float32(info):
    before, exact = trained(info, "float32")
    _, half = trained(info, "float16")
    assert half["generator_adam/steps"] == half["discriminator_adam/steps"] == 5
    for part in ("generator/", "discriminator/"):
        names = [name for name in before if name.startswith(part) and np.any(exact[name] != before[name])]
        moves, moves_in_half = (
            np.concatenate([(after[name] - before[name]).ravel() for name in names]) for after in (exact, half)
        )
        assert np.all(np.isfinite(moves_in_half)) and np.abs(moves).max() > 1e-3
        difference = np.sqrt(np.mean((moves_in_half - moves) ** 2) / np.mean(moves**2))
        assert 1e-5 < difference < 0.1, difference


def test_options_that_do_not_fit_float16_are_refused():
    paths = {"data_dir": "data", "run_dir": "run"}
    with pytest.raises(UserError, match="half_precision_levels needs `precision` bfloat16, float16 or auto, got"):
        TrainConfig(**paths, half_precision_levels=3)
    with pytest.raises(UserError, match="float16 is for GPUs.*--precision=bfloat16"):
        TrainConfig(**paths, precision="float16", strategy="tpu")
    TrainConfig(**paths, precision="float16", half_precision_levels=0)
