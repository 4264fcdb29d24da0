"""The whole generator against NumPy, and its options."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.generator import mix_styles
from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.networks.truncation import Truncation
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny


def _expected(generator, v, z, labels=None, **options):
    w = plain.mapping(generator.config, v, z.astype(np.float64), labels)
    ws = np.tile(w[:, None], [1, 2 * len(generator.config.resolutions), 1])
    return plain.synthesis(generator.config, v, ws, **options)


@pytest.mark.parametrize("row", sorted(tiny.ROWS))
def test_every_row_of_the_ablation_agrees_with_numpy(row):
    generator, v = tiny.generator(**tiny.ROWS[row])
    z = tiny.normal(3, 5)
    images = generator(z, noise_mode="const")
    assert images.dtype == tf.float32
    tiny.assert_close(images, _expected(generator, v, z))


@pytest.mark.parametrize("resolution, alpha", [(4, 1.0), (8, 0.0), (8, 0.3), (16, 0.6), (16, 1.0)])
def test_every_phase_of_growth_agrees_with_numpy(resolution, alpha):
    generator, v = tiny.generator(resolution=16)
    z = tiny.normal(2, 5)
    images = generator(z, noise_mode="const", resolution=resolution, alpha=alpha)
    tiny.assert_close(images, _expected(generator, v, z, resolution=resolution, alpha=alpha), 3e-4)


def test_a_conditional_generator_of_gray_images_agrees_with_numpy():
    generator, v = tiny.generator(label_size=3, num_channels=1)
    z, labels = tiny.normal(3, 5), np.eye(3, dtype=np.float32)[[2, 0, 1]]
    images = generator(z, labels=labels, noise_mode="const")
    assert images.shape == (3, 8, 8, 1)
    tiny.assert_close(images, _expected(generator, v, z, labels))


def test_the_graph_computes_the_same_for_any_batch_size():
    generator, _ = tiny.generator()
    signature = [tf.TensorSpec([None, 5])]
    traced = tf.function(lambda z: generator(z, noise_mode="const"), input_signature=signature)
    for count in (1, 3):
        z = tiny.normal(count, 5)
        tiny.assert_close(traced(z), generator(z, noise_mode="const"), 1e-5)


def test_every_layer_takes_its_own_style():
    generator, v = tiny.generator()
    ws = tiny.normal(2, 4, 7)
    images = generator.synthesis(ws, noise_mode="const")
    tiny.assert_close(images, plain.synthesis(generator.config, v, ws.astype(np.float64)))


def test_the_traditional_generator_reads_one_w():
    generator, _ = tiny.generator(**tiny.ROWS["b"])
    z = tiny.normal(2, 5)
    w = generator.mapping_network(z)
    assert generator.broadcast(w).shape == (2, 1, 5)
    np.testing.assert_array_equal(generator.synthesis(w[:, None]), generator(z))


def test_truncation_with_psi_zero_draws_the_average_image():
    generator, v = tiny.generator()
    images = generator(tiny.normal(3, 5), truncation=Truncation(0.0), noise_mode="const")
    average = np.tile(v["truncation/w_avg"], [3, 4, 1])
    tiny.assert_close(images, plain.synthesis(generator.config, v, average))


def test_truncation_moves_the_layers_below_the_cutoff_only():
    generator, v = tiny.generator()
    z = tiny.normal(2, 5)
    images = generator(z, truncation=Truncation(-0.5, 3), noise_mode="const")
    w = plain.mapping(generator.config, v, z.astype(np.float64))
    truncated = v["truncation/w_avg"] - 0.5 * (w - v["truncation/w_avg"])
    ws = np.stack([truncated, truncated, truncated, w], axis=1)
    tiny.assert_close(images, plain.synthesis(generator.config, v, ws))


def test_psi_may_differ_per_image():
    generator, _ = tiny.generator()
    z = tiny.normal(2, 5)
    images = generator(z, truncation=Truncation(tf.constant([0.0, 1.0])), noise_mode="const")
    tiny.assert_close(images[:1], generator(z[:1], truncation=Truncation(0.0), noise_mode="const"), 1e-5)
    tiny.assert_close(images[1:], generator(z[1:], noise_mode="const"), 1e-5)


def test_the_traditional_generator_is_never_truncated():
    generator, _ = tiny.generator(**tiny.ROWS["b"])
    z = tiny.normal(2, 5)
    np.testing.assert_array_equal(generator(z, truncation=Truncation(0.0)), generator(z))


def test_style_mixing_takes_over_from_the_crossover_layer_on():
    a, b = tiny.normal(2, 4, 7), tiny.normal(2, 4, 7, seed=5)
    for crossover in range(5):
        expected = np.concatenate([a[:, :crossover], b[:, crossover:]], axis=1)
        np.testing.assert_array_equal(mix_styles(a, b, crossover), expected)
        np.testing.assert_array_equal(tf.function(mix_styles)(a, b, tf.constant(crossover)), expected)


def test_the_crossover_may_differ_per_image():
    a, b = tiny.normal(3, 4, 7), tiny.normal(3, 4, 7, seed=5)
    mixed = mix_styles(a, b, tf.constant([0, 4, 1]))
    np.testing.assert_array_equal(mixed[0], b[0])
    np.testing.assert_array_equal(mixed[1], a[1])
    np.testing.assert_array_equal(mixed[2], np.concatenate([a[2, :1], b[2, 1:]]))


def test_gradients_of_an_image_reach_every_weight():
    for row in sorted(tiny.ROWS):
        generator, _ = tiny.generator(**tiny.ROWS[row])
        variables = trainable_variables(generator)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.sin(generator(tiny.normal(2, 5), noise_mode="const", alpha=0.5)))
        for name, gradient in tape.gradient(total, variables).items():
            assert gradient is not None and np.abs(gradient).max() > 0, name
