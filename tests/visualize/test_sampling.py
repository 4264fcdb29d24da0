"""Latents of seeds, and pictures in batches."""

import numpy as np
import pytest

from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.generating import generate_images, styles_of_seeds
from stylegan_tf.visualize.painter import Sampler, batch_size, seed_latents
from tests.helpers import painters
from tests.helpers import tiny_networks as tiny


def _bytes(images):
    """uint8 of the float images: 127.5 x + 127.5, rounded and clipped."""
    return np.clip(np.asarray(images, np.float64) * 127.5 + 127.5, 0, 255)


def _assert_pictures(pictures, images):
    assert pictures.dtype == np.uint8
    assert np.abs(pictures - _bytes(images)).max() <= 0.51  # Half a step of rounding, and float32.


def _sample(sampler, *args, **options):
    return np.concatenate(list(sampler.images(*args, **options)))


def test_latents_of_a_seed_are_those_that_users_of_the_paper_expect():
    z = seed_latents([0, 7], 3)
    assert z.dtype == np.float32
    # The first numbers of NumPy's legacy generator, as printed in many places for seed 0.
    np.testing.assert_allclose(z[0], [1.76405235, 0.40015721, 0.97873798], rtol=1e-6)
    np.testing.assert_array_equal(z[1], np.random.RandomState(7).randn(1, 3)[0].astype(np.float32))


def test_a_seed_does_not_depend_on_its_neighbours():
    np.testing.assert_array_equal(seed_latents([5, 3, 4], 6)[1:], seed_latents(range(3, 5), 6))


def test_pictures_are_the_images_as_bytes():
    generator, _ = tiny.generator()
    z = tiny.normal(3, 5)
    _assert_pictures(_sample(Sampler(generator), z), generator(z, noise_mode="const"))


def test_minus_one_zero_and_one_become_0_128_and_255():
    generator, _ = tiny.generator()
    variables = named_variables(generator)
    variables["synthesis/8x8/to_rgb/weight"].assign(np.zeros([1, 1, 6, 3]))
    variables["synthesis/8x8/to_rgb/bias"].assign([-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(_sample(Sampler(generator), tiny.normal(1, 5))[0, 3, 4], [0, 128, 255])


def test_batches_come_in_order_and_the_last_may_be_smaller():
    generator, _ = tiny.generator()
    z = tiny.normal(70, 5)
    batches = list(Sampler(generator).images(z))
    assert [len(batch) for batch in batches] == [64, 6]
    _assert_pictures(np.concatenate(batches), generator(z, noise_mode="const"))


def test_the_options_are_those_of_the_generator():
    generator, _ = tiny.generator()
    z = tiny.normal(3, 5)
    options = {"truncation": Truncation(-0.5, 3), "noise_mode": "none"}
    _assert_pictures(_sample(Sampler(generator, **options), z), generator(z, **options))


def test_random_noise_is_fresh_in_every_batch():
    generator, _ = tiny.generator()
    sampler = Sampler(generator, noise_mode="random")
    z = np.tile(tiny.normal(1, 5), [65, 1])
    pictures = _sample(sampler, z)
    assert (pictures[0] != pictures[64]).any() and (pictures[0] != pictures[1]).any()
    assert (_sample(sampler, z[:1]) != pictures[:1]).any()


def test_levels_in_growth_can_be_drawn_and_each_is_traced_once():
    generator, _ = tiny.generator()
    sampler = Sampler(generator)
    z = tiny.normal(2, 5)
    for resolution, alpha in ((4, 1.0), (8, 0.25), (8, 0.75)):
        images = generator(z, noise_mode="const", resolution=resolution, alpha=alpha)
        _assert_pictures(_sample(sampler, z, growth=Growth(resolution, alpha)), images)
    assert [traced.experimental_get_tracing_count() for traced in sampler._traced.values()] == [1, 1]


def test_the_pictures_follow_the_weights_after_the_trace():
    generator, _ = tiny.generator()
    sampler = Sampler(generator)
    z = tiny.normal(2, 5)
    before = _sample(sampler, z)
    tiny.plain.randomize(generator, seed=9)
    after = _sample(sampler, z)
    assert (before != after).any()
    _assert_pictures(after, generator(z, noise_mode="const"))


@pytest.mark.parametrize("channels", [1, 3])
def test_conditional_pictures_take_their_labels(channels):
    generator, _ = tiny.generator(label_size=3, num_channels=channels)
    z, labels = tiny.normal(70, 5), np.eye(3, dtype=np.float32)[np.arange(70) % 3]
    pictures = _sample(Sampler(generator), z, labels)
    assert pictures.shape == (70, 8, 8, channels)
    _assert_pictures(pictures, generator(z, labels=labels, noise_mode="const"))


def test_batches_shrink_with_resolution():
    assert [batch_size(2**k) for k in range(2, 11)] == [64, 64, 64, 64, 64, 32, 16, 8, 4]


def test_a_conditional_generator_without_labels_is_refused():
    generator, _ = tiny.generator(label_size=3)
    with pytest.raises(ValueError, match=r"expected labels \[N, 3\]"):
        next(Sampler(generator).images(tiny.normal(2, 5)))


def test_dlatents_are_w_of_every_layer_truncated():
    generator, weights = tiny.generator()
    z = tiny.normal(3, 5)
    w, w_avg = tiny.plain.mapping(generator.config, weights, z), weights["truncation/w_avg"]
    expected = np.repeat(w[:, None], 4, axis=1)
    expected[:, :3] = w_avg + 0.5 * (expected[:, :3] - w_avg)
    tiny.assert_close(Sampler(generator, Truncation(0.5, 3)).dlatents(z), expected)


def test_images_of_the_dlatents_are_the_images_of_z():
    generator, _ = tiny.generator(label_size=3)
    sampler = Sampler(generator, Truncation(0.5, 3))
    z, labels = tiny.normal(70, 5), np.eye(3, dtype=np.float32)[np.arange(70) % 3]
    batches = list(sampler.images_of_dlatents(sampler.dlatents(z, labels)))
    assert [len(batch) for batch in batches] == [64, 6]
    np.testing.assert_array_equal(np.concatenate(batches), _sample(sampler, z, labels))


def test_the_traditional_generator_has_one_w():
    generator, _ = tiny.generator(**tiny.ROWS["b"])
    sampler, z = Sampler(generator, Truncation(0.5)), tiny.normal(2, 5)
    assert sampler.dlatents(z).shape == (2, 1, 5)
    np.testing.assert_array_equal(next(sampler.images_of_dlatents(sampler.dlatents(z))), _sample(sampler, z))


def test_equal_noise_seeds_are_equal_noise_anywhere():
    generator, _ = tiny.generator()
    sampler = Sampler(generator)
    ws = np.repeat(sampler.dlatents(tiny.normal(1, 5)), 66, axis=0)
    pictures = np.concatenate(list(sampler.images_of_dlatents(ws, noise_seeds=[*range(65), 1])))
    np.testing.assert_array_equal(pictures[1], pictures[65])
    assert (pictures[0] != pictures[1]).any()


def test_images_of_a_network_of_stretched_pictures_get_their_shape_back():
    networks = Networks(None, None, tiny.generator()[0], {"aspect_ratio": 1.5})
    assert generate_images(networks, [0]).shape == (1, 8, 12, 3)


@pytest.mark.parametrize(
    "classes, folders",
    [
        (["cat", "a/b", "owl"], ["cat", "class1", "owl"]),
        (["class1", "a/b", "owl"], ["class0", "class1", "class2"]),
        (["cat", "Cat", "owl"], ["class0", "class1", "class2"]),
    ],
)
def test_every_class_gets_a_folder_of_its_own(classes, folders):
    painter, _ = painters.painter(label_size=3)
    named = [(name, painter.with_label(label)) for name, label in zip(classes, np.eye(3, dtype=np.float32))]
    assert [styles.folder for styles in styles_of_seeds(named, [0], "all")] == folders
