"""Perceptual path length against NumPy, and that nothing but the protocol decides its value."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.kinds.latent_pairs import crop_to_face, shrink, slerp
from stylegan_tf.metrics.kinds.path_length import PathLengthProtocol, filtered_mean, perceptual_path_length
from stylegan_tf.networks.growth import Growth
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny
from tests.helpers.two_replicas import two_replicas

STEP = 0.05  # Large enough for float32 to see the difference of two images well.


def distance(first, second):
    """Mean squared difference, the first channel counting most: the order of channels matters."""
    return tf.reduce_mean(tf.math.squared_difference(first, second) * [3.0, 2.0, 1.0], axis=[1, 2, 3])


class Labels:
    """What a context asks of real images: their labels."""

    def __init__(self, labels):
        self.labels = lambda: labels


def measured(generator, protocol, compare=distance, seed=0, rows=32, labels=None, **options):
    strategy = options.pop("strategy", None) or tf.distribute.OneDeviceStrategy("CPU:0")
    reals = None if labels is None else Labels(labels)
    context = MetricContext(generator, strategy, seed, None, reals, distance=compare, batch_size=rows, **options)
    return perceptual_path_length(context, protocol)


def numpy_slerp(a, b, t):
    """By the formula sin((1 - t) angle) a + sin(t angle) b over sin(angle)."""
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    angle = np.arccos(np.sum(a * b, axis=-1, keepdims=True))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def numpy_lengths(generator, v, protocol, labels=None, seed=0):
    """[num_pairs] in float64, from the definition; each pair alone."""
    config, lengths = generator.config, []
    for number in range(protocol.num_pairs):
        random = np.random.default_rng([seed, number, 1])
        z = random.standard_normal([2, config.latent_size]).astype(np.float32).astype(np.float64)
        label = None if labels is None else labels[random.integers(len(labels))][None]
        if labels is None:
            random.integers(1)
        t = random.random() if protocol.sampling == "full" else 0.0
        noise = generator.synthesis.draw_noise(1, config.resolution, tf.constant([seed, number // 64]))
        names = [name for name in v if name.endswith("noise/map")]
        weights = {**v, **{name: value.numpy().astype(np.float64) for name, value in zip(names, noise)}}
        images = []
        for end in (t, t + protocol.epsilon):
            if protocol.space == "z":
                w = plain.mapping(config, v, numpy_slerp(z[:1], z[1:], end), label)
            else:
                starts = [plain.mapping(config, v, side[None], label) for side in z]
                w = (1 - end) * starts[0] + end * starts[1]
            images.append(plain.synthesis(config, weights, np.tile(w[:, None], [1, 4, 1])))
        lengths.append(np.mean((images[0] - images[1]) ** 2 * [3, 2, 1]) / protocol.epsilon**2)
    return np.array(lengths)


@pytest.fixture(scope="module")
def network():
    return tiny.generator()


@pytest.mark.parametrize("space", ["z", "w"])
@pytest.mark.parametrize("sampling", ["full", "end"])
def test_the_value_is_that_of_the_definition(network, space, sampling):
    protocol = PathLengthProtocol(space, sampling, num_pairs=66, epsilon=STEP)  # Two groups of noise.
    found = measured(network[0], protocol, seed=3, rows=16)
    expected = np.sort(numpy_lengths(*network, protocol, seed=3))
    assert found.kept == 66  # The 1st percentile lies between the two smallest and is rounded down; so for the 99th.
    assert found.mean == pytest.approx(expected.mean(), rel=2e-3)
    assert expected.std() > 0.1 * expected.mean()


def test_labels_are_drawn_from_those_given():
    generator, v = tiny.generator(label_size=3)
    labels = np.eye(3, dtype=np.float32)[[0, 2]]
    protocol = PathLengthProtocol("z", "full", num_pairs=6, epsilon=STEP)
    found = measured(generator, protocol, labels=labels)
    assert found.mean == pytest.approx(numpy_lengths(generator, v, protocol, labels).mean(), rel=2e-3)
    with pytest.raises(ValueError, match=r"needs real labels \[M, 3\]"):
        measured(generator, protocol)


def test_batches_and_replicas_do_not_change_the_value(network):
    protocol = PathLengthProtocol("w", "full", num_pairs=70, epsilon=STEP)
    one = measured(network[0], protocol, rows=8)
    for rows in (3, 64, 1000):
        other = measured(network[0], protocol, rows=rows)
        assert other.mean == pytest.approx(one.mean, rel=1e-4)
    mirrored = two_replicas()
    with mirrored.scope():
        generator, _ = tiny.generator()
    two = measured(generator, protocol, strategy=mirrored, rows=8)
    assert two.mean == pytest.approx(one.mean, rel=1e-4)
    assert abs(measured(network[0], protocol, seed=1).mean / one.mean - 1) > 1e-3


def test_a_grown_part_of_the_network_is_enlarged_to_full_size(network):
    generator, seen = network[0], []

    def spy(first, second):
        seen.append(first.shape[1:])
        return distance(first[:, ::2, ::2], second[:, ::2, ::2])

    protocol = PathLengthProtocol("w", "end", num_pairs=8, epsilon=STEP)
    found = measured(generator, protocol, spy, training_growth=Growth(4))
    assert set(map(tuple, seen)) == {(8, 8, 3)}
    assert found.mean > 0


def test_gray_images_come_to_the_distance_in_three_channels():
    generator, v = tiny.generator(num_channels=1)
    protocol = PathLengthProtocol("w", "end", num_pairs=5, epsilon=STEP)
    found = measured(generator, protocol)
    assert found.mean == pytest.approx(numpy_lengths(generator, v, protocol).mean(), rel=2e-3)


def test_the_face_is_rows_3_to_7_and_columns_2_to_6_of_eight():
    images = np.arange(2 * 16 * 16).reshape(2, 16, 16, 1).astype(np.float32)
    np.testing.assert_array_equal(crop_to_face(tf.constant(images)), images[:, 6:14, 4:12])
    wide = np.arange(8 * 16).reshape(1, 8, 16, 1).astype(np.float32)
    np.testing.assert_array_equal(crop_to_face(tf.constant(wide)), wide[:, 3:7, 4:12])
    with pytest.raises(UserError, match="too small to crop a face"):
        crop_to_face(tf.zeros([1, 4, 4, 3]))


def test_only_the_face_counts_if_it_is_asked_for(network):
    seen = []

    def spy(first, second):
        seen.append(first.shape[1:])
        return distance(first, second)

    protocol = PathLengthProtocol("w", "end", num_pairs=4, face_crop=True)
    measured(network[0], protocol, spy)
    assert set(map(tuple, seen)) == {(4, 4, 3)}


def test_bars_of_letterboxed_images_do_not_count(network):
    seen = []

    def spy(first, second):
        seen.append(first.shape[1:])
        return distance(first, second)

    protocol = PathLengthProtocol("w", "end", num_pairs=4)
    measured(network[0], protocol, spy, content_box=(0, 0.25, 1, 0.75))
    assert set(map(tuple, seen)) == {(4, 8, 3)}


def test_images_shrink_to_256_by_means_of_boxes():
    images = np.random.RandomState(0).randn(1, 1024, 1024, 3).astype(np.float32)
    expected = images.reshape(1, 256, 4, 256, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(shrink(tf.constant(images)), expected, atol=1e-6)
    for size in (256, 128):
        assert shrink(tf.zeros([1, size, size, 3])).shape[1] == size


def test_slerp_keeps_to_the_sphere_at_constant_speed():
    a, b = tf.constant([[2.0, 0.0]]), tf.constant([[0.0, 5.0]])
    for t in (0.0, 0.25, 1.0):
        expected = [np.cos(t * np.pi / 2), np.sin(t * np.pi / 2)]
        np.testing.assert_allclose(slerp(a, b, tf.constant([[t]]))[0], expected, atol=1e-6)
    a, b, t = (np.random.RandomState(i).randn(7, n).astype(np.float32) for i, n in enumerate((5, 5, 1)))
    np.testing.assert_allclose(slerp(a, b, t), numpy_slerp(a, b, t), atol=1e-5)
    np.testing.assert_allclose(slerp(a, a, t), a / np.linalg.norm(a, axis=1, keepdims=True), atol=1e-5)


def test_slerp_is_that_of_the_reference(reference):
    data = np.load(reference / "metric_formulas.npz", allow_pickle=False)
    found = slerp(*(tf.constant(data[name]) for name in ("slerp_a", "slerp_b", "slerp_t")))
    np.testing.assert_allclose(found, data["slerp"], atol=1e-6)


def test_the_mean_is_of_what_lies_between_the_percentiles():
    # 301 values: the percentiles are exactly the 4th value from either end, and belong to what is kept.
    values = np.arange(301.0) ** 2
    found = filtered_mean(np.random.RandomState(0).permutation(values))
    assert found.kept == 295 and found.mean == pytest.approx(np.mean(np.arange(3.0, 298) ** 2), rel=1e-12)
    # 250 values: 2.49 is rounded down to the 3rd value, 246.51 up to the 248th.
    assert filtered_mean(np.arange(250.0)).kept == 246
    assert filtered_mean([1.0, 2.0, 6.0]) == filtered_mean([6.0, 1.0, 2.0]) and filtered_mean([1.0, 2.0, 6.0]).mean == 3


@pytest.mark.parametrize("wrong", [{"space": "x"}, {"sampling": "start"}])
def test_other_protocols_are_refused(wrong):
    with pytest.raises(ValueError, match="expected space z or w and sampling full or end"):
        PathLengthProtocol(**wrong)
