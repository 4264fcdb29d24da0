"""From a network to results: against NumPy and scipy from the images on; caches, replicas, interruption."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from PIL import Image

from stylegan_tf.config import EvaluationOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.metrics.computation import compute_metrics, full_protocol
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.evaluation import contexts_of_classes, pictures_context
from stylegan_tf.metrics.features import statistics
from stylegan_tf.metrics.features.extractors import FeatureExtractor
from stylegan_tf.metrics.kinds import parse_metrics
from stylegan_tf.metrics.kinds.sample_quality import PrecisionRecallMetric
from stylegan_tf.metrics.real_images import RealImages
from stylegan_tf.visualize import to_uint8
from tests.helpers import small_extractor
from tests.helpers import tiny_networks as tiny
from tests.helpers.array_source import ArraySource
from tests.helpers.two_replicas import two_replicas

WIDTH, CLASSES = small_extractor.WIDTH, small_extractor.CLASSES
KERNEL, CLASSIFIER = small_extractor.weights()


class CountedExtractor:
    """Features of 4x4 cells of 8x8 images; `images` is how many were looked at (in whole batches)."""

    def __init__(self):
        self.images = 0

    def compute(self, images):
        tf.numpy_function(self._count, [tf.shape(images)[0]], [])
        cells = tf.reshape(tf.nn.avg_pool2d(tf.cast(images, tf.float32), 2, 2, "VALID"), [-1, 48])
        features = tf.tanh((cells / 127.5 - 1) @ KERNEL)
        return {"features": features, "logits": features @ CLASSIFIER}

    def _count(self, count):
        self.images += int(count)

    def extractor(self):
        return FeatureExtractor("cells", "c0ffee", "none", WIDTH, CLASSES, self.compute)


LABELS = np.eye(2, dtype=np.float32)[np.arange(70) % 2]


def features_of(images):
    """The same in NumPy: (features, logits)."""
    cells = images.reshape(len(images), 4, 2, 4, 2, 3).astype(np.float64).mean(axis=(2, 4)) / 127.5 - 1
    features = np.tanh(cells.reshape(-1, 48) @ KERNEL)
    return features, features @ CLASSIFIER


def distance_by_scipy(one, two):
    covariances = np.cov(one.T), np.cov(two.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return ((one.mean(axis=0) - two.mean(axis=0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)


REALS = np.random.RandomState(0).randint(0, 256, [70, 4, 4, 3]).repeat(2, axis=1).repeat(2, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def generator():
    return tiny.generator(**tiny.ROWS["d"])[0]  # Without noise: its images are a function of z.


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("data") / "set", REALS)


def write_set(folder, images, labels=None):
    write_tfrecords(ArraySource(images, labels), folder, WriteOptions(min(2, len(images)), shuffle=False))
    return folder


@pytest.fixture()
def counted():
    return CountedExtractor()


@pytest.fixture()
def context(generator, data_dir, counted, tmp_path):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    reals = RealImages(find_dataset(data_dir), 8)
    return MetricContext(generator, strategy, 7, tmp_path / "cache", reals, counted.extractor(), batch_size=16)


def results(names, context):
    return {result.name: result for result in compute_metrics(parse_metrics(names), context)}


def fakes(generator, count, seed=7):
    z = [np.random.default_rng([seed, number]).standard_normal(5) for number in range(count)]
    return to_uint8(generator(np.float32(z)).numpy())


def test_every_metric_is_that_of_the_same_images(context, generator, counted):
    found = results("fid50,is50,kid50,pr50", context)
    real, fake = features_of(REALS[:50])[0], features_of(fakes(generator, 50))[0]
    assert found["fid50-cells"].values["fid"] == pytest.approx(distance_by_scipy(real, fake), rel=1e-4)
    distances = {"precision": (fake, real), "recall": (real, fake)}
    for name, (queries, rows) in distances.items():
        within = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
        radii = np.sort(within, axis=1)[:, 3]
        share = (np.linalg.norm(queries[:, None] - rows[None], axis=-1) <= radii).any(axis=1).mean()
        assert found["pr50-cells"].values[name] == pytest.approx(share, abs=0.021), "one image may be on the edge"
    assert found["kid50-cells"].values["kid_error"] > 0
    assert found["is50-cells"].values["score"] > 1
    # 50 images of each kind in batches of 16 and 32: one pass over them serves all four.
    assert counted.images == 4 * 16 + 2 * 32


def test_results_say_what_they_depend_on(context):
    (result,) = results("fid20", context).values()
    assert result.protocol.items() >= {
        "features": "cells",
        "features_digest": "c0ffee",
        "resize": "none",
        "count": 20,
        "reals": 20,
        "mirrored_copies": False,
        "seed": 7,
        "dataset_digest": context.reals.digest,
    }.items()  # fmt: skip
    assert len(result.protocol["network_digest"]) == 64


@pytest.mark.parametrize("precision, name", [("float32", "float32"), ("bfloat16", "bfloat16")])
def test_a_network_in_half_precision_is_another_measurement(context, precision, name):
    generator, _ = tiny.generator(precision=precision)
    (result,) = results("is20", dataclasses.replace(context, generator=generator)).values()
    assert result.protocol["precision"] == name


def test_fewer_reals_than_asked_for_show_in_the_name(context, generator):
    (result,) = results("fid80", context).values()
    assert (result.name, result.protocol["reals"]) == ("fid80-cells-70reals", 70)
    expected = distance_by_scipy(features_of(REALS)[0], features_of(fakes(generator, 80))[0])
    assert result.values["fid"] == pytest.approx(expected, rel=1e-4)


def test_mirrored_copies_are_added_to_the_reals(context, generator):
    mirrored = dataclasses.replace(context, reals=dataclasses.replace(context.reals, mirror=True))
    (result,) = results("fid40", mirrored).values()
    copies = np.concatenate([REALS[:40], REALS[:40, :, ::-1]])
    expected = distance_by_scipy(features_of(copies)[0], features_of(fakes(generator, 40))[0])
    assert result.values["fid"] == pytest.approx(expected, rel=1e-4)
    assert result.protocol["mirrored_copies"]


def test_subsets_are_recorded_as_they_are_drawn_from_mirrored_reals(context):
    mirrored = dataclasses.replace(context, reals=dataclasses.replace(context.reals, mirror=True))
    (metric,) = parse_metrics("kid500")
    assert full_protocol(metric, context)["subset_size"] == 7  # A tenth of 70 reals,
    assert full_protocol(metric, mirrored)["subset_size"] == 14  # or of as many with their copies.


def test_a_class_is_measured_against_its_own_reals(context, tmp_path):
    reals = RealImages(find_dataset(write_set(tmp_path / "set", REALS, LABELS)), 8)
    generator = tiny.generator(label_size=2, **tiny.ROWS["d"])[0]
    of_class = contexts_of_classes(dataclasses.replace(context, generator=generator, reals=reals))[1]
    (result,) = results("fid35", of_class).values()
    assert result.name == "fid35-cells-class1" and of_class.facts["class"] == reals.info.label_names[1]
    z = np.float32([np.random.default_rng([7, number]).standard_normal(5) for number in range(35)])
    images = to_uint8(generator(z, labels=np.tile(np.float32([0, 1]), [35, 1])).numpy())
    expected = distance_by_scipy(features_of(REALS[1::2])[0], features_of(images)[0])
    assert result.values["fid"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(UserError, match="needs a network with labels"):
        contexts_of_classes(context)


def test_another_seed_is_another_sample(context):
    one, other = (results("fid30", dataclasses.replace(context, seed=seed)) for seed in (0, 1))
    assert one["fid30-cells"].values != other["fid30-cells"].values


def test_two_replicas_give_what_one_does(context, generator):
    noisy, _ = tiny.generator()
    found = []
    for strategy in (context.strategy, two_replicas()):
        folder = context.cache_folder / str(len(found))
        on = dataclasses.replace(context, strategy=strategy, cache_folder=folder, generator=noisy)
        found.append([result.values for result in results("fid50,kid50,is50", on).values()])
    assert found[0] == found[1]


def test_real_statistics_come_from_the_cache(context, counted):
    first = results("fid50,kid50", context)
    counted.images = 0
    assert [result.values for result in results("fid50,kid50", context).values()] == [
        result.values for result in first.values()
    ]
    assert counted.images == 4 * 16, "only generated images were looked at again"


def test_a_changed_dataset_is_not_answered_from_the_cache(context, tmp_path, counted):
    results("fid50", context)
    changed = REALS.copy()
    changed[3, 0, 0, 0] ^= 255
    other = RealImages(find_dataset(write_set(tmp_path / "set", changed)), 8)
    counted.images = 0
    results("fid50", dataclasses.replace(context, reals=other))
    assert counted.images == 4 * 16 + 2 * 32


@pytest.mark.parametrize("change", [{"digest": "decaf"}, {"resize": "bilinear"}, {"name": "others"}])
def test_other_features_are_not_answered_from_the_cache(context, counted, change):
    results("fid50", context)
    counted.images = 0
    results("fid50", dataclasses.replace(context, extractor=dataclasses.replace(context.extractor, **change)))
    assert counted.images == 4 * 16 + 2 * 32


def test_a_damaged_cache_file_is_made_again(context, counted):
    first = results("fid50", context)["fid50-cells"].values
    (path,) = context.cache_folder.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert results("fid50", context)["fid50-cells"].values == first


class _Interrupted(BaseException):
    pass


@pytest.mark.parametrize("after, left", [(0, 32 + 4 * 16), (1, 4 * 16), (3, 2 * 16)])
def test_an_interrupted_metric_goes_on_where_it_was(context, counted, monkeypatch, tmp_path, after, left):
    untouched = results("fid50,kid50,is50", dataclasses.replace(context, cache_folder=tmp_path / "other"))
    monkeypatch.setattr(CachedArrays, "is_due", lambda self: True)
    calls = []
    update = statistics.Statistics.update

    def failing(self, outputs):
        calls.append(1)
        if len(calls) > after + 1:
            raise _Interrupted
        update(self, outputs)

    monkeypatch.setattr(statistics.Statistics, "update", failing)
    with pytest.raises(_Interrupted):
        results("fid50,kid50,is50", context)
    monkeypatch.setattr(statistics.Statistics, "update", update)
    counted.images = 0
    found = results("fid50,kid50,is50", context)
    assert counted.images == left
    assert {name: result.values for name, result in found.items()} == {
        name: result.values for name, result in untouched.items()
    }
    names = sorted(path.name.rpartition("-")[0] for path in context.cache_folder.iterdir())
    assert names == ["reals-moments", "reals-rows"], "partial passes leave nothing behind"


def test_a_finished_pass_is_kept_until_all_results_are_there(context, counted, monkeypatch):
    monkeypatch.setattr(CachedArrays, "is_due", lambda self: True)
    found = compute_metrics(parse_metrics("fid50,pr50"), context)
    assert next(found).name == "fid50-cells"
    with monkeypatch.context() as patch:
        patch.setattr(PrecisionRecallMetric, "values", _interrupt)
        with pytest.raises(_Interrupted):
            next(found)
    counted.images = 0
    results("pr50", context)  # What `evaluate` computes then, as the other result is recorded.
    assert counted.images == 0
    assert not list(context.cache_folder.glob("generated-*"))


def _interrupt(*_arguments):
    raise _Interrupted


def test_features_that_are_not_finite_are_told(context):
    broken = dataclasses.replace(
        context.extractor, compute=lambda images: {"features": tf.fill([tf.shape(images)[0], WIDTH], np.nan)}
    )
    with pytest.raises(UserError, match="not finite: has the network diverged"):
        results("fid50", dataclasses.replace(context, extractor=broken))


@pytest.mark.parametrize(
    "names, changes, message",
    [
        ("fid50", {"reals": None}, "fid50 compares with real images: give .* as `data_dir`"),
        ("is50", {"extractor": "no logits"}, "is50 needs class scores, but cells has no output 'logits'"),
        ("is50", {"generator": "labels", "reals": None}, "the network has labels"),
    ],
)
def test_what_a_metric_lacks_is_told_first(context, names, changes, message):
    if "extractor" in changes:
        changes = {"extractor": dataclasses.replace(context.extractor, num_classes=None)}
    if "generator" in changes:
        changes = {**changes, "generator": tiny.generator(label_size=2)[0]}
    with pytest.raises(UserError, match=message):
        results(names, dataclasses.replace(context, **changes))


@pytest.mark.parametrize("name, least", [("fid10", 2), ("kid10", 4), ("pr10", 4)])
def test_few_reals_are_refused_before_the_pass(context, counted, tmp_path, name, least):
    reals = RealImages(find_dataset(write_set(tmp_path / "set", REALS[: least - 1])), 8)
    with pytest.raises(UserError, match=f"{name} needs at least {least} real images, there are {least - 1}"):
        results(name, dataclasses.replace(context, reals=reals))
    assert counted.images == 0


def test_a_metric_that_does_not_apply_does_not_end_the_list(context):
    names, told = "fid50,is50,ppl20_wend,kid50", []
    broken = dataclasses.replace(context.extractor, num_classes=None)
    found = compute_metrics(
        parse_metrics(names),
        dataclasses.replace(context, extractor=broken),
        lambda metric, error: told.append((metric.text, str(error))),
    )
    assert [result.name for result in found] == ["fid50-cells", "kid50-cells"]
    assert [name for name, _ in told] == ["is50", "ppl20_wend"]
    assert "no output 'logits'" in told[0][1] and "`image_distance`" in told[1][1]


def narrow_extractor(extractor):
    """Features are the first pixels of images of 8x4."""

    def compute(images):
        assert images.shape[1:] == [8, 4, 3]
        return {"features": tf.reshape(tf.cast(images, tf.float32), [-1, 96])[:, :WIDTH]}

    return dataclasses.replace(extractor, num_classes=None, compute=compute)


def test_bars_of_letterboxed_images_do_not_count(context, generator):
    """Here left and right, for features of half the width."""
    box = (0.25, 0.0, 0.75, 1.0)
    narrow = dataclasses.replace(context, extractor=narrow_extractor(context.extractor), content_box=box)
    (result,) = results("fid40", narrow).values()
    assert result.name == "fid40-cells-cropped" and result.protocol["content_box"] == list(box)
    real, fake = (images[:, :, 2:6].reshape(40, 96)[:, :WIDTH] for images in (REALS[:40], fakes(generator, 40)))
    assert result.values["fid"] == pytest.approx(distance_by_scipy(real, fake), rel=1e-4)


def save_pictures(folder, images):
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return str(folder)


def test_pictures_of_a_folder_are_measured_as_those_of_a_network_would_be(context, generator, tmp_path):
    expected = results("fid40,pr40", context)
    folder = save_pictures(tmp_path / "pictures", fakes(generator, 40))
    template = dataclasses.replace(context, generator=None, reals=None)
    measured = pictures_context(template, folder, context.reals.info)
    found = results("fid40,pr40,fid60", measured)
    assert {name: found[name].values for name in expected} == {
        name: pytest.approx(result.values) for name, result in expected.items()
    }
    assert "fid60-cells-40images" in found
    assert "network_digest" not in found["fid40-cells"].protocol
    with pytest.raises(UserError, match="fid40_mix2 mixes the latents of a network"):
        results("fid40_mix2", measured)
    with pytest.raises(UserError, match="ppl_wend needs a network"):
        results("ppl_wend", measured)


def test_pictures_of_other_sizes_are_told_or_fitted(context, tmp_path):
    template = dataclasses.replace(context, generator=None, reals=None)
    wide = np.random.RandomState(0).randint(0, 256, [4, 10, 20, 3]).astype(np.uint8)
    folder, info = save_pictures(tmp_path / "wide", wide), context.reals.info
    with pytest.raises(UserError, match="wide has 20x10 pixels, and .* no images of that size .4, 8.: make them 8x8"):
        pictures_context(template, folder, info)
    fitted = pictures_context(template, folder, info, EvaluationOptions(fit="stretch")).pictures
    assert fitted.inputs(0, 4)[0].shape == (4, 8, 8, 3)
    Image.fromarray(wide[0, :8, :8]).save(tmp_path / "wide" / "zz.png")
    uneven = pictures_context(template, folder, None).pictures
    with pytest.raises(UserError, match="zz.png has 8x8 pixels, the first picture 20x10"):
        uneven.inputs(0, 5)


def test_pictures_without_bars_are_compared_with_letterboxed_images_without_theirs(context, tmp_path):
    write_tfrecords(ArraySource(REALS[:30], box=(2, 0, 6, 8)), tmp_path / "set", WriteOptions(2, shuffle=False))
    info = find_dataset(tmp_path / "set")
    folder = save_pictures(tmp_path / "narrow", np.ascontiguousarray(REALS[:30, :, 2:6]))
    template = dataclasses.replace(context, generator=None, reals=None)
    measured = pictures_context(template, folder, info)
    assert measured.content_box == (0.25, 0, 0.75, 1)
    narrow = dataclasses.replace(measured, extractor=narrow_extractor(context.extractor))
    (result,) = results("fid30", narrow).values()
    assert result.values["fid"] == pytest.approx(0, abs=0.05), "the pictures are the reals"


def test_a_network_with_labels_is_measured_with_those_of_the_data(context, tmp_path):
    labels = np.eye(2, dtype=np.float32)[np.arange(70) % 2]
    reals = RealImages(find_dataset(write_set(tmp_path / "set", REALS, labels)), 8)
    conditional, _ = tiny.generator(label_size=2, **tiny.ROWS["d"])
    context = dataclasses.replace(context, generator=conditional, reals=reals)
    (result,) = results("fid40", context).values()
    z, drawn = [], []
    for number in range(40):
        random = np.random.default_rng([7, number])
        z.append(random.standard_normal(5))
        drawn.append(labels[random.integers(70)])
    images = to_uint8(conditional(np.float32(z), labels=np.float32(drawn)).numpy())
    expected = distance_by_scipy(features_of(REALS[:40])[0], features_of(images)[0])
    assert result.values["fid"] == pytest.approx(expected, rel=1e-4)
