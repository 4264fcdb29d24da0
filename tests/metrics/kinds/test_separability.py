"""Linear separability: its parts by hand and against the reference, and the whole on latents of known geometry."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.attribute_classifiers import AttributeClassifiers, load_classifiers
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.kinds.separability import (
    conditional_entropy,
    latents,
    linear_separability,
    most_confident,
    separation_entropy,
)
from stylegan_tf.metrics.measured_images import GeneratedImages
from stylegan_tf.networks.network_file import Networks, save_networks
from tests.helpers import tiny_networks as tiny
from tests.helpers.two_replicas import two_replicas


def measured(generator, classifiers, num_samples, seed=0, rows=32, strategy=None):
    strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    context = MetricContext(generator, strategy, seed, None, classifiers=classifiers, batch_size=rows)
    return linear_separability(context, num_samples)


def binary_entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


@pytest.fixture(scope="module")
def network():
    return tiny.generator()[0]


@pytest.fixture(scope="module")
def classifiers():
    """One for images of 8x8, one for 4x4, without minibatch statistics."""
    large, _ = tiny.discriminator(seed=1, mbstd_group_size=0)
    small, _ = tiny.discriminator(seed=2, mbstd_group_size=0, resolution=4)
    return AttributeClassifiers(["large", "small"], [large, small])


# ---- Entropies


@pytest.mark.parametrize(
    "table, bits",
    [
        ([[25, 25], [25, 25]], 1),  # X says nothing about Y.
        ([[30, 0], [0, 70]], 0),
        ([[0, 30], [70, 0]], 0),
        ([[100, 0], [0, 0]], 0),  # One class only.
        ([[60, 0], [40, 0]], 0),
        ([[60, 40], [0, 0]], binary_entropy(0.4)),  # The SVM sees one side only.
        ([[0.3, 0.1], [0.2, 0.4]], 0.4 * binary_entropy(0.25) + 0.6 * binary_entropy(1 / 3)),
    ],
)
def test_the_conditional_entropy_is_in_bits_given_the_rows(table, bits):
    assert conditional_entropy(table) == pytest.approx(bits, abs=1e-12)
    assert conditional_entropy(np.array(table) * 1000) == pytest.approx(bits, abs=1e-12)


def test_conditional_entropies_are_those_of_the_reference(reference):
    data = np.load(reference / "metric_formulas.npz", allow_pickle=False)
    found = [conditional_entropy(table) for table in data["joint"]]
    np.testing.assert_allclose(found, data["conditional_entropy_bits"], atol=5e-7)


def test_a_plane_that_divides_the_classes_leaves_nothing_open():
    points = np.random.RandomState(0).randn(1000, 4)
    points = points[np.abs(points[:, 1] - 0.3) > 0.2]
    assert separation_entropy(points, points[:, 1] > 0.3) == 0


def test_classes_that_have_nothing_to_do_with_the_points_leave_everything_open():
    random = np.random.RandomState(0)
    assert separation_entropy(random.randn(20000, 3), random.rand(20000) < 0.5) == pytest.approx(1, abs=2e-3)


def test_noisy_predictions_leave_the_entropy_of_their_noise_open():
    random = np.random.RandomState(0)
    points = random.randn(20000, 3)
    predictions = (points[:, 0] > 0) ^ (random.rand(20000) < 0.1)
    assert separation_entropy(points, predictions) == pytest.approx(binary_entropy(0.1), abs=0.02)


def test_equal_predictions_have_no_entropy():
    points = np.random.RandomState(0).randn(10, 3)
    for predictions in (np.zeros(10, bool), np.ones(10, bool)):
        assert separation_entropy(points, predictions) == 0


def test_the_most_confident_half_is_kept():
    logits = np.float32([0.1, -5, 3, -0.2, 0.3, -3, 0])
    assert sorted(most_confident(logits)) == [1, 2, 5]
    assert list(most_confident(np.float32([0.5]))) == [0]
    assert sorted(most_confident(np.zeros(6, np.float32))) == [0, 1, 2]


# ---- The whole


def test_the_score_is_two_to_the_sum_of_the_entropies(network, classifiers):
    scores, facts = measured(network, classifiers, 120, 5, rows=64)
    source = GeneratedImages(network, 5)
    inputs = [tf.constant(value) for value in source.inputs(0, 120)]
    z, ws = inputs[0][:, 0].numpy(), source.ws(inputs[0], inputs[1], inputs[3])
    images = tf.function(source.images_of)(ws, inputs[2]).numpy()
    halved = images.reshape(120, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    bits = {"z": 0.0, "w": 0.0}
    for (name, separation), network_, shown in zip(
        facts["attributes"].items(), classifiers._networks, (images, halved)
    ):
        logits = network_(shown).numpy()
        kept = np.argsort(-np.abs(logits))[:60]
        expected = [separation_entropy(points[kept], logits[kept] > 0) for points in (z, ws[:, 0].numpy())]
        assert (separation["z"], separation["w"]) == pytest.approx(expected, abs=0.02), name
        assert separation["share"] == pytest.approx(np.mean(logits[kept] > 0), abs=0.02)
        bits["z"] += expected[0]
        bits["w"] += expected[1]
    assert scores == pytest.approx({space: 2**entropy for space, entropy in bits.items()}, rel=0.02)
    assert bits["z"] > 0.1


def test_so_few_samples_that_any_predictions_can_be_separated_are_refused(network, classifiers):
    with pytest.raises(UserError, match="separability on 55 samples is meaningless .* take at least 56"):
        measured(network, classifiers, 55)


def test_replicas_do_not_change_the_score(network, classifiers):
    one = measured(network, classifiers, 70, rows=8)
    mirrored = two_replicas()
    with mirrored.scope():
        generator, _ = tiny.generator()
        networks = [tiny.discriminator(seed=1, mbstd_group_size=0)[0]]
        networks.append(tiny.discriminator(seed=2, mbstd_group_size=0, resolution=4)[0])
    classifiers_of_two = AttributeClassifiers(["large", "small"], networks)
    two = measured(generator, classifiers_of_two, 70, rows=8, strategy=mirrored)
    assert two[0] == pytest.approx(one[0], rel=1e-3)


def test_latents_are_z_and_the_last_layers_w(network):
    source = GeneratedImages(network, 5)
    z, w = latents(source, 6)
    np.testing.assert_array_equal(z[3:5], source.inputs(3, 2)[0][:, 0])
    np.testing.assert_allclose(w, network.mapping_network(z), atol=1e-5)


# ---- Classifiers


def test_classifiers_with_minibatch_statistics_see_groups_of_neighbours():
    network, _ = tiny.discriminator(seed=3, mbstd_group_size=4)
    classifiers = AttributeClassifiers(["a"], [network])
    assert classifiers.group_size == 4
    images = tiny.images(8, 8)
    expected = np.concatenate([network(images[:4]), network(images[4:])])
    np.testing.assert_allclose(classifiers(tf.constant(images))[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_a_classifier_with_one_label_is_used_as_if_it_had_none():
    network, _ = tiny.discriminator(seed=3, mbstd_group_size=0, label_size=1)
    images = tiny.images(3, 8)
    found = AttributeClassifiers(["a"], [network])(tf.constant(images))[:, 0]
    np.testing.assert_allclose(found, network(images, labels=np.ones([3, 1], np.float32)), rtol=1e-5)


def test_files_are_attributes_in_the_order_of_their_names(tmp_path):
    networks = {name: tiny.discriminator(seed=index, mbstd_group_size=0)[0] for index, name in enumerate("ba")}
    save_networks(tmp_path / "b.npz", Networks(None, networks["b"], None, {"attribute": "Big nose"}))
    save_networks(tmp_path / "a.npz", Networks(None, networks["a"], None, {}))
    loaded = load_classifiers(tmp_path)
    assert loaded.names == ("a", "Big nose")
    images = tf.constant(tiny.images(2, 8))
    expected = np.stack([networks["a"](images), networks["b"](images)], axis=1)
    np.testing.assert_allclose(loaded(images), expected, rtol=1e-5)
    assert loaded.suffix == f"-2attributes-{loaded.digest[:8]}"
    changed = AttributeClassifiers(("a", "b"), [networks["a"], networks["b"]])
    assert changed.digest != loaded.digest


def test_what_is_no_classifier_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no classifiers"):
        load_classifiers(tmp_path / "missing")
    with pytest.raises(UserError, match="has no classifiers"):
        load_classifiers(tmp_path)
    save_networks(tmp_path / "a.npz", Networks(tiny.generator()[0], None, None, {}))
    with pytest.raises(UserError, match="a.npz is not a classifier"):
        load_classifiers(tmp_path)
    save_networks(tmp_path / "a.npz", Networks(None, tiny.discriminator(label_size=2)[0], None, {}))
    with pytest.raises(UserError, match="a.npz is not a classifier"):
        load_classifiers(tmp_path)
    network = tiny.discriminator(mbstd_group_size=0)[0]
    for name in "ab":
        save_networks(tmp_path / f"{name}.npz", Networks(None, network, None, {"attribute": "Smiling"}))
    with pytest.raises(UserError, match="b.npz is a second classifier of Smiling"):
        load_classifiers(tmp_path)


def test_images_that_a_classifier_cannot_take_are_told(classifiers):
    classifiers.check(8, 3)
    classifiers.check(64, 3)
    for resolution, channels in ((4, 3), (8, 1)):
        with pytest.raises(UserError, match="the classifier of large takes images of 8x8, 3 channel"):
            classifiers.check(resolution, channels)
