"""Generated images: from (seed, number) alone, without truncation, with fresh noise."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.distribution.strategy import ReplicatedFunction
from stylegan_tf.metrics.measured_images import GeneratedImages
from stylegan_tf.networks.growth import Growth
from stylegan_tf.visualize import to_uint8
from tests.helpers import tiny_networks as tiny
from tests.helpers.two_replicas import two_replicas


@pytest.fixture(scope="module")
def generator():
    return tiny.generator()[0]


def _images(source, first, count):
    return source.images(*(tf.constant(array) for array in source.inputs(first, count))).numpy()


def test_latents_of_an_image_come_from_seed_and_number(generator):
    z, labels, noise_seeds, _ = GeneratedImages(generator, seed=3).inputs(10, 2)
    for row, number in enumerate((10, 11)):
        expected = np.random.default_rng([3, number]).standard_normal(5)
        np.testing.assert_array_equal(z[row], expected.astype(np.float32)[None])
    assert z.dtype == np.float32 and labels.shape == (2, 0)
    np.testing.assert_array_equal(noise_seeds, [[3, 10], [3, 11]])


def test_an_image_does_not_depend_on_its_batch(generator):
    source = GeneratedImages(generator, seed=3)
    whole = _images(source, 0, 7)
    pieces = np.concatenate([_images(source, 0, 3), _images(source, 3, 4)])
    np.testing.assert_array_equal(whole, pieces)


def test_another_seed_gives_other_latents_and_noise(generator):
    one, other = (GeneratedImages(generator, seed=seed).inputs(0, 4) for seed in (0, 1))
    assert (one[0] != other[0]).all()
    assert (one[2] != other[2]).any(axis=1).all()


def test_images_are_the_generators_without_truncation(generator):
    source = GeneratedImages(generator, seed=0)
    z, _, noise_seeds, _ = source.inputs(0, 3)
    noise = generator.synthesis.draw_noise_of_images(tf.constant(noise_seeds), 8)
    expected = to_uint8(generator(z[:, 0], noise=noise).numpy())
    np.testing.assert_array_equal(_images(source, 0, 3), expected)


def test_a_growing_networks_images_are_enlarged(generator):
    source = GeneratedImages(generator, seed=0, growth=Growth(4))
    z, _, noise_seeds, _ = source.inputs(0, 2)
    noise = generator.synthesis.draw_noise_of_images(tf.constant(noise_seeds), 4)
    small = generator(z[:, 0], resolution=4, noise=noise)
    expected = to_uint8(small.numpy()).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(_images(source, 0, 2), expected)


def test_the_fade_is_that_of_the_network(generator):
    half, full = (GeneratedImages(generator, seed=0, growth=Growth(8, alpha)) for alpha in (0.25, 1.0))
    assert (_images(half, 0, 2) != _images(full, 0, 2)).any()


def test_a_network_without_noise_inputs_works():
    generator, _ = tiny.generator(**tiny.ROWS["d"])
    z = GeneratedImages(generator, seed=0).inputs(0, 2)[0]
    expected = to_uint8(generator(z[:, 0]).numpy())
    np.testing.assert_array_equal(_images(GeneratedImages(generator, seed=0), 0, 2), expected)


def test_labels_are_drawn_from_the_real_ones():
    generator, _ = tiny.generator(label_size=3)
    real_labels = np.eye(3, dtype=np.float32)[[0, 2, 2, 2]]
    source = GeneratedImages(generator, seed=0, real_labels=real_labels)
    labels = source.inputs(0, 2000)[1]
    np.testing.assert_allclose(labels.mean(axis=0), [0.25, 0, 0.75], atol=0.04)
    np.testing.assert_array_equal(labels[7:9], source.inputs(7, 2)[1])
    assert _images(source, 0, 2).shape == (2, 8, 8, 3)


def test_a_conditional_network_needs_labels():
    generator, _ = tiny.generator(label_size=3)
    with pytest.raises(ValueError, match=r"real labels \[M, 3\]"):
        GeneratedImages(generator, seed=0)


def _strategies():
    return tf.distribute.OneDeviceStrategy("CPU:0"), two_replicas()


def test_rows_keep_their_order_on_any_number_of_replicas():
    rows = np.arange(24, dtype=np.float32).reshape(12, 2)
    for strategy in _strategies():
        function = ReplicatedFunction(strategy, lambda x, y: {"sum": x + y, "sums": tf.reduce_sum(x, axis=1)}, rows=3)
        assert function.total_rows == 3 * strategy.num_replicas_in_sync
        for count in (1, 2, 3, function.total_rows):
            outputs = function(rows[:count], rows[:count] * 10)
            np.testing.assert_array_equal(outputs["sum"], rows[:count] * 11)
            np.testing.assert_array_equal(outputs["sums"], rows[:count].sum(axis=1))


def test_more_rows_than_the_replicas_take_are_refused():
    function = ReplicatedFunction(_strategies()[1], lambda x: x, rows=2)
    with pytest.raises(ValueError, match="expected 1 to 4 rows, got 5"):
        function(np.zeros([5, 1]))
