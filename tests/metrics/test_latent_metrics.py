"""Path length and separability through `compute_metrics`: names, protocols, records, going on when interrupted."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.attribute_classifiers import AttributeClassifiers
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.metrics.computation import compute_metrics, full_protocol, result_name
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.features.extractors import FeatureExtractor
from stylegan_tf.metrics.features.image_distance import ImageDistance, feature_distance
from stylegan_tf.metrics.kinds import parse_metrics, separability
from stylegan_tf.metrics.kinds.path_length import PathLengthProtocol, perceptual_path_length
from stylegan_tf.metrics.kinds.separability import linear_separability
from tests.helpers import tiny_networks as tiny


def squared(first, second):
    return tf.reduce_mean(tf.math.squared_difference(first, second), axis=[1, 2, 3])


@pytest.fixture(scope="module")
def parts():
    generator = tiny.generator()[0]
    classifiers = AttributeClassifiers(["a"], [tiny.discriminator(seed=1, mbstd_group_size=0)[0]])
    return {"generator": generator, "classifiers": classifiers, "distance": ImageDistance("pixels", "1234", squared)}


@pytest.fixture()
def context(parts, tmp_path):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    return MetricContext(strategy=strategy, seed=7, cache_folder=tmp_path, batch_size=16, **parts)


def test_path_length_is_named_after_its_distance_and_recorded_with_its_protocol(context):
    (result,) = compute_metrics(parse_metrics("ppl20_wend_face"), context)
    options = PathLengthProtocol("w", "end", num_pairs=20, face_crop=True)
    expected = perceptual_path_length(context, options)
    assert result.name == "ppl20_wend_face-pixels"
    assert result.values == {"ppl": pytest.approx(expected.mean, rel=1e-3)}
    assert result.facts["pairs_kept"] == expected.kept == 20
    wanted = {"space": "w", "sampling": "end", "num_pairs": 20, "face_crop": True, "epsilon": 1e-4, "seed": 7}
    wanted.update(distance="pixels", distance_digest="1234", pairs_per_noise=64)
    assert wanted.items() <= result.protocol.items()


def test_the_papers_distance_needs_no_name():
    assert ImageDistance("lpips_vgg16", "1234", squared).suffix == ""


def test_separability_is_named_after_its_classifiers_and_recorded_by_attribute(context):
    (result,) = compute_metrics(parse_metrics("ls80"), context)
    expected, _ = linear_separability(context, 80)
    assert result.name == f"ls80-1attributes-{context.classifiers.digest[:8]}"
    assert result.values == pytest.approx(expected, rel=1e-3) and expected.keys() == {"z", "w"}
    assert result.facts["attributes"].keys() == {"a"} and set(result.facts["attributes"]["a"]) == {"z", "w", "share"}
    assert result.protocol["classifiers_digest"] == context.classifiers.digest


@pytest.mark.parametrize("name", ["ppl_wend", "ls"])
def test_other_distances_classifiers_and_seeds_are_other_measurements(context, name):
    (metric,) = parse_metrics(name)
    other = dataclasses.replace(
        context,
        distance=ImageDistance("pixels", "5678", squared),
        classifiers=AttributeClassifiers(["b"], context.classifiers._networks),
    )
    assert full_protocol(metric, context) != full_protocol(metric, other)
    assert full_protocol(metric, context) != full_protocol(metric, dataclasses.replace(context, seed=8))
    assert (result_name(metric, context) == result_name(metric, other)) == (name == "ppl_wend")


@pytest.mark.parametrize("name", ["ppl60_zfull", "ls80"])
def test_an_interrupted_metric_goes_on_where_it_was(context, monkeypatch, name):
    metrics = parse_metrics(name)
    (whole,) = compute_metrics(metrics, context)
    monkeypatch.setattr(CachedArrays, "is_due", lambda self: True)
    save = CachedArrays.save

    def interrupted(self, arrays):
        save(self, arrays)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CachedArrays, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(compute_metrics(metrics, context))
    (kept,) = context.cache_folder.iterdir()
    with np.load(kept, allow_pickle=False) as data:
        assert len(data["rows"]) == 16
    (resumed,) = compute_metrics(metrics, context)
    assert resumed.values == whole.values and list(context.cache_folder.iterdir()) == []


def test_images_are_classified_once_even_if_the_planes_are_interrupted(context, monkeypatch):
    monkeypatch.setattr(CachedArrays, "is_due", lambda self: True)

    def interrupted(_points, _predictions):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(separability, "separation_entropy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(compute_metrics(parse_metrics("ls80"), context))
    monkeypatch.delattr(AttributeClassifiers, "__call__")
    (result,) = compute_metrics(parse_metrics("ls80"), context)
    assert result.values.keys() == {"z", "w"} and list(context.cache_folder.iterdir()) == []


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("ppl_wend", {"distance": None}, "needs a distance of images: give one as `image_distance`"),
        ("ls", {"classifiers": None}, "needs classifiers of attributes: give their folder as `classifiers`"),
        ("ls20", {}, "take at least 56"),
        ("ppl_wend_face", {"generator": tiny.generator(resolution=4)[0]}, "4x4 are too small to crop a face"),
        ("fid50k_mix4", {"generator": tiny.generator(resolution=4)[0]}, "give their folder of TFRecords"),
        ("is50_mix4", {"generator": tiny.generator(resolution=4)[0]}, "4 latents cannot be mixed in the 2 layers"),
    ],
)
def test_what_a_metric_lacks_is_told_first(context, name, changes, message):
    (metric,) = parse_metrics(name)
    with pytest.raises(UserError, match=message):
        metric.check(dataclasses.replace(context, **changes))


def test_the_distance_of_features_is_squared_and_sees_images_as_bytes_unrounded():
    def compute(images):
        assert images.dtype == tf.float32
        return {"features": tf.reshape(images[:, 0, 0], [-1, 3])}

    distance = feature_distance(FeatureExtractor("corner", "1234", "none", 3, None, compute))
    assert (distance.name, distance.suffix) == ("corner_squared", "-corner_squared")
    first, second = np.zeros([2, 4, 4, 3], np.float32), np.zeros([2, 4, 4, 3], np.float32)
    second[1, 0, 0] = [1e-3, 0, -2e-3]
    np.testing.assert_allclose(distance(first, second), [0, 127.5**2 * 5e-6], rtol=1e-3)
