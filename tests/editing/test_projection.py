"""Projection finds what a network made, each picture for itself, in every space and for every kind of network."""

import math

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import ProjectionConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing.projection import Projector, noise_correlation, normalized_noise, regressions, search_rounds
from stylegan_tf.metrics.features.image_distance import pixel_distance
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Sampler
from tests.helpers import tiny_networks as tiny


def _own_images(generator, count=2, psi=0.3, label=None):
    """(w of every layer, its uint8 images)."""
    sampler = Sampler(generator, Truncation(psi))
    labels = None if label is None else np.tile(label, [count, 1])
    ws = sampler.dlatents(tiny.normal(count, generator.config.latent_size), labels)
    return ws, np.concatenate(list(sampler.images_of_dlatents(ws)))


def _found(generator, targets, label=None, box=None, **options):
    projector = Projector(generator, pixel_distance(), ProjectionConfig(**options), label, box)
    *_, found = projector.find(targets)
    return projector, found


def _trained(label=None, **options):
    """As after training: w_avg is where the mean of w is, and images are within the range of bytes."""
    network, _ = tiny.generator(seed=3, **options)
    z = np.random.RandomState(0).randn(2000, 5).astype(np.float32)
    labels = None if label is None else np.tile(label, [2000, 1])
    network.truncation.w_avg.assign(tf.reduce_mean(network.mapping_network(z, labels=labels), axis=0))
    for variable in network.synthesis.to_rgb["8x8"].weights:
        variable.assign(variable * 0.2)
    return network


@pytest.fixture(scope="module")
def generator():
    return _trained()


# ---- Parts


def test_the_learning_rate_rises_in_a_line_and_falls_as_a_cosine():
    options = ProjectionConfig(steps=100, learning_rate=2.0, ramp_up=0.1, ramp_down=0.5)
    for step, expected in ((0, 0.2), (9, 2.0), (49, 2.0), (74, 1.0), (99, 0.0)):
        assert options.learning_rate_at(step) == pytest.approx(expected, abs=1e-9)
    assert options.exploration_at(0) == options.exploration and options.exploration_at(75) == 0
    assert ProjectionConfig(ramp_up=0, ramp_down=0).learning_rate_at(0) == 0.1


@pytest.mark.parametrize(
    "steps, starts, rounds",
    [(500, 8, [(8, 15), (4, 31), (2, 62), (1, 132)]), (500, 1, [(1, 500)]), (4, 8, [(1, 4)]), (9, 3, [(3, 1), (1, 6)])],
)
def test_rounds_share_the_steps(steps, starts, rounds):
    assert search_rounds(steps, starts) == rounds
    assert sum(count * each for count, each in rounds) == steps


def test_regressions_are_those_of_ridges_normal_equations():
    random = np.random.RandomState(0)
    pixels, x, wanted = random.randn(30, 6), random.randn(30, 3), random.randn(2, 6)
    rows, y = pixels - pixels.mean(axis=0), x - x.mean(axis=0)
    for strength, found in zip((0.01, 0.1, 1, 10), regressions(pixels, x, wanted)):
        ridge = strength * np.mean((rows**2).sum(axis=1)) * np.eye(6)
        expected = (wanted - pixels.mean(axis=0)) @ np.linalg.solve(rows.T @ rows + ridge, rows.T @ y)
        np.testing.assert_allclose(found, expected + x.mean(axis=0), rtol=1e-9)


def test_a_search_starts_nearer_than_any_sample(generator):
    _, images = _own_images(generator, 4)
    projector = Projector(generator, pixel_distance(), ProjectionConfig(steps=1, starts=1))
    start = next(projector.find(images)).distances.numpy()
    samples = np.concatenate(list(Sampler(generator).images(tiny.normal(1000, 5, seed=4)))).astype(float)
    nearest = ((samples[:, None] - images) ** 2).mean(axis=(2, 3, 4)).min(axis=0) / 127.5**2
    assert start.mean() < nearest.mean()


def test_the_correlation_of_noise_is_that_of_its_neighbours_at_every_scale():
    noise = tiny.normal(2, 16, 16, 1).astype(np.float64)
    expected = np.zeros(2)
    for _ in range(2):
        n, size = noise[..., 0], noise.shape[1]
        right, below = n[:, :, np.arange(-1, size - 1)], n[:, np.arange(-1, size - 1)]
        expected += (n * right).mean(axis=(1, 2)) ** 2 + (n * below).mean(axis=(1, 2)) ** 2
        noise = noise.reshape(2, size // 2, 2, size // 2, 2, 1).sum(axis=(2, 4)) / 2
    tiny.assert_close(noise_correlation([tf.constant(tiny.normal(2, 16, 16, 1))]), expected)


def test_normalized_noise_has_mean_0_and_variance_1():
    noise = normalized_noise(tf.constant(3 + 5 * tiny.normal(2, 8, 8, 1))).numpy()
    np.testing.assert_allclose(noise.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(noise.var(axis=(1, 2, 3)), 1, atol=1e-5)


# ---- The whole


def test_a_networks_own_images_are_found_again_and_so_is_w(generator):
    ws, images = _own_images(generator)
    projector, found = _found(generator, images, steps=150)
    error = np.sqrt(np.mean((projector.pictures(found.ws).astype(float) - images) ** 2, axis=(1, 2, 3)))
    assert error.max() < 4, error
    start = np.abs(ws - generator.truncation.w_avg.numpy()).max(axis=(1, 2))
    assert (np.abs(found.ws - ws).max(axis=(1, 2)) < 0.3 * start).all()
    np.testing.assert_array_equal(found.ws, np.repeat(found.ws[:, :1], 4, axis=1))  # One w for all layers.


def test_what_is_found_does_not_depend_on_the_other_pictures_and_repeats_itself(generator):
    _, images = _own_images(generator)
    options = {"steps": 8, "space": "w+", "optimize_noise": True, "noise_weight": 10.0}
    _, both = _found(generator, images, **options)
    _, again = _found(generator, images, **options)
    _, alone = _found(generator, images[1:], **options)
    np.testing.assert_array_equal(both.ws, again.ws)
    np.testing.assert_allclose(both.ws[1:], alone.ws, rtol=1e-3, atol=1e-3)
    assert len(both.noise) == 4 and both.noise[-1].shape == (2, 8, 8, 1)
    assert np.std(both.ws.numpy(), axis=1).min() > 0  # One w a layer.
    _, other = _found(generator, images, **options, seed=1)
    assert np.abs(both.ws - other.ws).max() > 1e-3


def test_noise_comes_nearer_than_w_alone_and_stays_noise(generator):
    _, images = _own_images(generator)
    target = 255 - images
    distances = []
    for optimize_noise in (False, True):
        projector, found = _found(generator, target, steps=40, starts=1, optimize_noise=optimize_noise)
        distances.append(projector.distances(found, target))
    assert (distances[1] < distances[0]).all()
    assert noise_correlation(found.noise).numpy().max() < 0.5  # Random maps have about 0.2: 4x4 is small.


@pytest.mark.parametrize("row", ["a", "b"])
def test_traditional_generators_are_searched_in_z_with_their_label(row):
    label = np.float32([0, 1])
    generator = _trained(label, label_size=2, num_channels=1, **tiny.ROWS[row])
    ws, images = _own_images(generator, psi=None, label=label)
    projector, found = _found(generator, images, label, space="z", steps=60)
    start = Sampler(generator).dlatents(tiny.normal(2, 5, seed=9), np.tile(label, [2, 1]))
    by_chance = np.mean((projector.pictures(start).astype(float) - images) ** 2)
    assert np.mean((projector.pictures(found.ws).astype(float) - images) ** 2) < 0.2 * by_chance
    assert found.ws.shape == ws.shape


def test_only_what_is_in_the_content_box_counts(generator):
    _, images = _own_images(generator)
    box = (0.0, 0.25, 1.0, 0.75)
    projector, found = _found(generator, images[:, 2:6], box=box, steps=3)
    assert projector.pictures(found.ws).shape == (2, 4, 8, 3)


def test_large_images_are_compared_at_the_distance_resolution(generator):
    _, images = _own_images(generator)
    sizes = []

    def distance(first, second):
        sizes.append(first.shape[1])
        return tf.reduce_mean(tf.square(first - second), axis=[1, 2, 3])

    projector = Projector(generator, distance, ProjectionConfig(steps=1, distance_resolution=4))
    next(projector.find(images))
    assert set(sizes) == {4}


def test_a_network_that_was_saved_while_it_grew_is_searched_at_its_size():
    generator, _ = tiny.generator(growth=Growth(4, 0.5))
    projector = Projector(generator, pixel_distance(), ProjectionConfig(steps=1, space="w+"))
    found = next(projector.find(tiny.images(1, 4).astype(np.uint8)))
    assert found.ws.shape == (1, *projector.dlatent_shape) == (1, 2, 7)


@pytest.mark.parametrize(
    "row, options, message",
    [
        ("b", {"space": "w+"}, "w feeds the first layer only"),
        ("d", {"optimize_noise": True}, "has none"),
        ("f", {"space": "z", "label_size": 3}, "`class`"),
    ],
)
def test_what_does_not_apply_is_told(row, options, message):
    config = {"label_size": options.pop("label_size", 0), **tiny.ROWS[row]}
    with pytest.raises(UserError, match=message):
        Projector(tiny.generator(**config)[0], pixel_distance(), ProjectionConfig(**options))


@pytest.mark.parametrize("options", [{"space": "v"}, {"steps": 0}, {"learning_rate": -1}, {"exploration": math.inf}])
def test_wrong_options_are_refused(options):
    with pytest.raises(UserError, match=next(iter(options))):
        ProjectionConfig(**options)
