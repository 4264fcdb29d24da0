"""What is drawn for an iteration: independent of every other draw, and dealt out like cards."""

import itertools
import types
from unittest import mock

import numpy as np
import tensorflow as tf

from stylegan_tf.training.random_inputs import DISCRIMINATOR_PASS, GENERATOR_PASS, SeededDraw, replica_shard
from tests.helpers.tiny_step import build
from tests.helpers.two_replicas import two_replicas

LEVELS = types.SimpleNamespace(folder="none", resolution=8, num_channels=3, label_size=0)


def draws(count=40, resolution=8, batch_size=16, **options):
    """`count` iterations' [discriminator's pass, generator's pass]."""
    config, state = build(LEVELS, **options)
    draw = SeededDraw(config, state.generator, resolution, batch_size)
    both = tf.function(lambda seen: [draw(seen, stream) for stream in (DISCRIMINATOR_PASS, GENERATOR_PASS)])
    return [both(tf.constant(index * batch_size, tf.int64)) for index in range(count)]


def correlation(x, y):
    return np.mean(x * y) / np.sqrt(np.mean(x**2) * np.mean(y**2))


def test_latents_and_noise_are_normal_and_independent_between_passes_and_iterations():
    iterations = draws()
    # Of all iterations, as many values of each: z, second z and noise of either pass.
    values = {}
    for stream in (DISCRIMINATOR_PASS, GENERATOR_PASS):
        fakes = [iteration[stream].fakes for iteration in iterations]
        values[f"z {stream}"] = np.stack([x.z for x in fakes])
        values[f"other z {stream}"] = np.stack([x.other_z for x in fakes])
        for layer in range(4):
            noise = np.stack([x.noise[layer] for x in fakes]).reshape(len(fakes), 16, -1)
            values[f"noise {layer} {stream}"] = noise[..., :16]
    size = values["z 0"].size
    for name, x in values.items():
        assert abs(x.mean()) < 5 / np.sqrt(size) and abs(x.var() - 1) < 5 * np.sqrt(2 / size), name
        # Between neighbours in time, and between images of a batch.
        assert abs(correlation(x[1:], x[:-1])) < 5 / np.sqrt(size), name
        assert abs(correlation(x[:, 1:], x[:, :-1])) < 5 / np.sqrt(size), name
    for (name, x), (other, y) in itertools.combinations(values.items(), 2):
        assert abs(correlation(x, y)) < 5 / np.sqrt(size), (name, other)


def test_seeds_have_64_bits():
    """With 32, of the half million iterations of a long run some thirty would draw what another one did."""
    config, state = build(LEVELS)
    draw = SeededDraw(config, state.generator, 8, 16)
    with mock.patch.object(tf.random, "stateless_normal", wraps=tf.random.stateless_normal) as normal:
        draw(tf.constant(0, tf.int64), GENERATOR_PASS)
    assert normal.call_count == 6  # Two latents, four layers of noise.
    assert all(call.args[1].dtype == tf.int64 for call in normal.call_args_list)


def test_only_what_is_used_is_drawn():
    discriminator, generator = draws(1, style_mixing_prob=0.0)[0]
    assert discriminator.fakes.other_z is None and discriminator.between is None
    losses = {"generator_loss": "wgan", "discriminator_loss": "wgan", "r1_gamma": 0.0, "gp_lambda": 10.0}
    discriminator, generator = draws(1, losses=losses)[0]
    assert discriminator.between.shape == [16, 1, 1, 1] and generator.between is None
    assert 0 <= np.min(discriminator.between) < 0.5 < np.max(discriminator.between) < 1
    assert [noise.shape[1] for noise in draws(1, resolution=4)[0][0].fakes.noise] == [4, 4]


def test_replicas_are_dealt_every_other_image():
    strategy = two_replicas()
    images = tf.constant(np.arange(16).reshape(8, 2))
    shares = strategy.experimental_local_results(tf.function(lambda: strategy.run(lambda: replica_shard(images)))())
    for replica, share in enumerate(shares):
        np.testing.assert_array_equal(share, images[replica::2])
