"""Latents mixed at random crossovers, and the images that come of them."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.measured_images import GeneratedImages, latent_of_layers
from tests.helpers import tiny_networks as tiny


def test_every_latent_takes_over_once_and_in_order():
    rows = [latent_of_layers(np.random.default_rng(seed), 3, 8) for seed in range(500)]
    for row in rows:
        assert row[0] == 0 and row[-1] == 2 and set(np.diff(row)) == {0, 1}
    # Pairs of different points among the 7 layers after the first: 21, all equally likely.
    points = [tuple(np.flatnonzero(np.diff(row)) + 1) for row in rows]
    counts = {pair: points.count(pair) for pair in set(points)}
    assert set(counts) == {(a, b) for a in range(1, 8) for b in range(a + 1, 8)}
    assert max(counts.values()) < 3 * 500 / 21


def test_one_latent_styles_all_layers():
    np.testing.assert_array_equal(latent_of_layers(np.random.default_rng(0), 1, 6), np.zeros(6))


def test_mixed_images_have_the_styles_of_their_latents():
    generator, _ = tiny.generator(label_size=2)
    source = GeneratedImages(generator, seed=1, real_labels=np.eye(2, dtype=np.float32), mixed_latents=2)
    z, labels, noise_seeds, latent_of_layer = source.inputs(3, 4)
    assert z.shape == (4, 2, 5) and latent_of_layer.shape == (4, 4)
    ws = np.empty([4, 4, 7], np.float32)
    for image in range(4):
        for layer in range(4):
            chosen = z[image, latent_of_layer[image, layer]][None]
            ws[image, layer] = generator.mapping_network(chosen, labels=labels[image][None])[0]
    np.testing.assert_allclose(source.ws(z, labels, tf.constant(latent_of_layer)), ws, atol=1e-5)
    expected = source.images_of(tf.constant(ws), noise_seeds).numpy() * 127.5 + 127.5
    images = source.images(z, labels, noise_seeds, tf.constant(latent_of_layer)).numpy()
    assert np.abs(images - np.clip(expected, 0, 255)).max() <= 0.51


def test_the_first_latent_and_the_labels_are_those_of_plain_images():
    generator, _ = tiny.generator(label_size=2)
    options = {"seed": 1, "real_labels": np.eye(2, dtype=np.float32)}
    plain, mixed = GeneratedImages(generator, **options), GeneratedImages(generator, mixed_latents=4, **options)
    (z, labels, noise_seeds, _), (mixed_z, mixed_labels, mixed_seeds, _) = (s.inputs(0, 5) for s in (plain, mixed))
    np.testing.assert_array_equal(mixed_z[:, 0], z[:, 0])
    np.testing.assert_array_equal(mixed_labels, labels)
    np.testing.assert_array_equal(mixed_seeds, noise_seeds)
    assert len(np.unique(mixed_z)) == mixed_z.size


def test_images_do_not_depend_on_the_batch_they_are_drawn_in():
    generator, _ = tiny.generator()
    source = GeneratedImages(generator, seed=0, mixed_latents=3)
    together = source.images(*map(tf.constant, source.inputs(0, 6))).numpy()
    apart = np.concatenate([source.images(*map(tf.constant, source.inputs(first, 2))) for first in (0, 2, 4)])
    assert np.abs(together.astype(int) - apart).max() <= 1


def test_what_cannot_be_mixed_is_told():
    generator, _ = tiny.generator(resolution=4)
    with pytest.raises(UserError, match="3 latents cannot be mixed in the 2 layers"):
        GeneratedImages(generator, seed=0, mixed_latents=3)
    traditional, _ = tiny.generator(**tiny.ROWS["b"])
    with pytest.raises(UserError, match="has no styles"):
        GeneratedImages(traditional, seed=0, mixed_latents=2)
    source = GeneratedImages(traditional, seed=0)
    assert source.images(*map(tf.constant, source.inputs(0, 2))).shape == (2, 8, 8, 3)
