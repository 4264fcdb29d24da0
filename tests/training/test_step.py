"""What one iteration computes, against the definitions; and that replicas change nothing."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.training.gradients import DiscriminatorInput, Gradients, Scalars
from stylegan_tf.training.random_inputs import FakeInputs, RandomInputs, SeededDraw
from stylegan_tf.training.step import TrainingStep, build_iteration
from tests.helpers.tiny_run import write_images
from tests.helpers.tiny_step import arrays_of, build, inputs, run
from tests.helpers.two_replicas import two_replicas


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny"))


def test_two_replicas_compute_what_one_device_computes(info):
    # With the paper's epsilon of 1e-8 Adam turns the rounding of a near-zero gradient into a whole step of its size;
    # a large epsilon keeps steps proportional to gradients, so that the comparison is one of what replicas compute.
    options = {"iterations": 10, "adam_epsilon": 0.1, "batch_size": 8}
    metrics, one = run(info, **options)
    mirrored = two_replicas()
    assert mirrored.num_replicas_in_sync == 2
    metrics_of_two, two = run(info, strategy=mirrored, **options)
    assert metrics_of_two == pytest.approx(metrics, rel=1e-4)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-5, rtol=1e-5, err_msg=name)
    before = {name: variable.numpy() for name, variable in arrays_of(build(info)[1])}
    assert max(np.abs(one[name] - before[name]).max() for name in one if name.startswith("generator/")) > 1e-4


def test_r1_is_that_of_the_image_at_full_resolution(info):
    """The gradient with respect to every pixel of the 4x upscaled image, by finite differences."""
    config, state = build(info)
    gradients = Gradients(config, state, resolution=4, batch_size=2)
    images = np.random.RandomState(5).uniform(-1, 1, [2, 4, 4, 3]).astype(np.float32)
    scalars = Scalars(alpha=tf.constant(1.0), crossover=tf.constant(2))
    _, norms = gradients.scores_and_norms(DiscriminatorInput(tf.constant(images)), None, scalars, weight=10.0)

    @tf.function
    def total_score(large):  # [2, 16, 16, 3]: what the network sees of it at this level is its 4x4 mean.
        return tf.reduce_sum(state.discriminator(tf.nn.avg_pool2d(large, 4, 4, "VALID")))

    large = images.repeat(4, 1).repeat(4, 2)
    expected, delta = 0.0, 0.02
    for index in np.ndindex(16, 16, 3):
        step_of_one = np.zeros_like(large)
        step_of_one[(0, *index)] = delta
        expected += ((total_score(large + step_of_one) - total_score(large - step_of_one)) / (2 * delta)).numpy() ** 2
    assert float(norms[0]) == pytest.approx(expected, rel=0.02)


def test_scores_and_r1_of_a_step_are_those_of_its_batch(info):
    """Computed here once more, for a step that changes nothing."""
    config, state = build(info)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    batches = training_batches(strategy, info, 16, 8, seed=3)
    iteration = build_iteration(config, state, strategy, 16, 8)
    metrics = iteration(batches, inputs(alpha=1.0, learning_rate=0.0))
    batch = next(iter(training_batches(strategy, info, 16, 8, seed=3)))
    reals = tf.cast(batch["images"], tf.float32) / 127.5 - 1
    with tf.GradientTape() as tape:
        tape.watch(reals)
        scores = state.discriminator(reals)
        total = tf.reduce_sum(scores)
    r1 = np.mean(np.sum(np.square(tape.gradient(total, reals)), axis=(1, 2, 3)))
    assert float(metrics["real_score"]) == pytest.approx(np.mean(scores), rel=1e-4, abs=1e-5)
    assert float(metrics["r1"]) == pytest.approx(r1, rel=1e-3)


def test_the_average_follows_with_its_half_life(info):
    """Of a change that happened before, half is left after ema_kimg images."""
    config, state = build(info, ema_kimg=0.032)
    for name, variable in state.ema_variables.items():
        variable.assign(state.generator_variables[name] + 1.0)
    step = TrainingStep(config, state, resolution=16, batch_size=8)
    strategy = tf.distribute.get_strategy()
    for _ in range(4):  # 4 * 8 images = 0.032 kimg.
        strategy.run(step.update_average, args=(tf.constant(0, tf.int64),))
    for name, variable in state.ema_variables.items():
        distance = variable - state.generator_variables[name]
        expected = 0.5 if variable.trainable else 0.0
        np.testing.assert_allclose(distance, np.full(variable.shape, expected), atol=2e-5, err_msg=name)


@pytest.mark.parametrize("images_seen, left", [(0, 0.0), (40, 0.25), (80, 0.5), (160, 0.5)])
def test_the_half_life_of_the_average_ramps_up(info, images_seen, left):
    """At 0.1 of the images seen until then: 4 images, of which a batch of 8 is twice as many; at most 8 images."""
    config, state = build(info, ema_kimg=0.008, ema_rampup=0.1)
    for name, variable in state.ema_variables.items():
        variable.assign(state.generator_variables[name] + 1.0)
    step = TrainingStep(config, state, resolution=16, batch_size=8)
    tf.distribute.get_strategy().run(step.update_average, args=(tf.constant(images_seen, tf.int64),))
    for name, variable in state.ema_variables.items():
        distance = variable - state.generator_variables[name]
        expected = left if variable.trainable else 0.0
        np.testing.assert_allclose(distance, np.full(variable.shape, expected), atol=2e-5, err_msg=name)


def test_w_avg_moves_towards_the_mean_of_w_at_every_pass(info):
    """lerp(mean, w_avg, w_avg_beta) with the mean over the batch of the first latents' w."""
    config, state = build(info, w_avg_beta=0.75, style_mixing_prob=0.9)
    step = TrainingStep(config, state, resolution=4, batch_size=8)
    _, untrained = build(info)
    before = untrained.generator_variables["truncation/w_avg"].numpy()
    tf.distribute.get_strategy().run(step.train_generator, args=({}, inputs(images_seen=24)))
    seed = tf.random.experimental.stateless_fold_in(tf.constant([config.seed, 24], tf.int64), tf.constant(1, tf.int64))
    z = tf.random.stateless_normal([8, 16], tf.random.experimental.stateless_split(seed, 4)[0])
    mean = np.mean(untrained.generator.mapping_network(z), axis=0)
    np.testing.assert_allclose(
        state.generator_variables["truncation/w_avg"], 0.25 * mean + 0.75 * before, rtol=1e-5, atol=1e-6
    )


def test_a_step_takes_the_random_inputs_that_it_is_given(info):
    """Here z alone: no second latents, and the network's own noise maps."""
    z = np.random.RandomState(4).randn(8, 16).astype(np.float32)
    config, state = build(info, w_avg_beta=0.75)
    _, untrained = build(info)
    asked = []

    def draw(images_seen, stream):
        asked.append((int(images_seen), stream))
        return RandomInputs(FakeInputs(tf.constant(z)), crossover=tf.constant(4))

    step = TrainingStep(config, state, resolution=8, batch_size=8, draw=draw)
    metrics = tf.distribute.get_strategy().run(step.train_generator, args=({}, inputs(images_seen=24, alpha=0.5)))
    assert asked == [(24, 1)]
    w = untrained.generator.mapping_network(z)
    before = untrained.generator_variables["truncation/w_avg"]
    np.testing.assert_allclose(
        state.generator_variables["truncation/w_avg"], 0.25 * np.mean(w, axis=0) + 0.75 * before, rtol=1e-5, atol=1e-6
    )
    images = untrained.generator(z, noise_mode="const", resolution=8, alpha=0.5)
    loss = np.mean(tf.nn.softplus(-untrained.discriminator(images, alpha=0.5)))
    assert float(metrics["g_loss"]) == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("resolution, layers", [(4, 2), (8, 4), (16, 6)])
def test_the_crossover_is_uniform_over_the_layers_in_use(info, resolution, layers):
    config, state = build(info, style_mixing_prob=0.9)
    draw = tf.function(SeededDraw(config, state.generator, resolution, batch_size=8))
    draws = [int(draw(tf.constant(8 * step, tf.int64), 1).crossover) for step in range(600)]
    counts = np.bincount(draws, minlength=layers + 1) / len(draws)
    assert counts[0] == 0
    assert counts[layers] == pytest.approx(0.1, abs=0.05)  # No mixing.
    np.testing.assert_allclose(counts[1:layers], 0.9 / (layers - 1), atol=0.06)


def test_a_step_trains_all_variables_of_its_level_and_no_others(info):
    _, state = build(info)
    before = {name: variable.numpy() for name, variable in arrays_of(state)}
    _metrics, after = run(info, iterations=1, resolution=8)
    changed = {name for name in before if np.any(before[name] != after[name])}
    # No fade is complete at alpha = 0.75: the level below takes part with its RGB layers, too.
    for part in ("generator", "discriminator"):
        for name, variable in named_variables(getattr(state, part)).items():
            trained = variable.trainable and "16x16" not in name
            assert (f"{part}/{name}" in changed) == (trained or name == "truncation/w_avg"), name
    assert after["generator_adam/steps"] == after["discriminator_adam/steps"] == 1


@pytest.mark.parametrize(
    "losses",
    [
        {"generator_loss": "wgan", "discriminator_loss": "wgan", "r1_gamma": 0, "gp_lambda": 10, "wgan_drift": 0.001},
        {"generator_loss": "hinge", "discriminator_loss": "hinge", "r1_gamma": 0.0},
        {"generator_loss": "saturating", "r1_gamma": 1.0, "r2_gamma": 1.0},
    ],
    ids=["wgan-gp", "hinge", "saturating-r1-r2"],
)
def test_every_loss_trains(info, losses):
    metrics, after = run(info, iterations=2, resolution=8, losses=losses)
    assert all(np.isfinite(value) for value in metrics.values())
    assert after["discriminator_adam/steps"] == 2 and after["discriminator_adam/skipped"] == 0
