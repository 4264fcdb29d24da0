"""Classifiers of attributes: their data, their training, and the command that makes them."""

import dataclasses
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from stylegan_tf.config import DiscriminatorConfig, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import option
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.metrics.attribute_classifiers import AttributeClassifiers, load_classifiers, train_classifiers
from stylegan_tf.metrics.real_images import attribute_columns, labelled_images
from tests.helpers.array_source import ArraySource

COUNT = 97
NUMBERS = np.arange(COUNT)
BRIGHT = np.random.RandomState(0).rand(COUNT) < 0.4
NAMES = ("bright=no", "bright=yes", "hat=none", "hat=cap", "weight")


@pytest.fixture(scope="module", params=["raw", "png"])
def info(tmp_path_factory, request):
    return write_set(tmp_path_factory.mktemp("data") / "set", request.param)


def write_set(folder, encoding="raw"):
    """Image i has i in its first pixel, and a bright or a dark rest."""
    random = np.random.RandomState(1)
    images = random.randint(0, 100, [COUNT, 8, 8, 3]) + 150 * BRIGHT[:, None, None, None]
    images[:, 0, 0] = NUMBERS[:, None]
    labels = np.stack([~BRIGHT, BRIGHT, NUMBERS % 2, NUMBERS % 2 == 0, NUMBERS / 7], axis=1)
    source = ArraySource(images.astype(np.uint8), labels, NAMES)
    write_tfrecords(source, folder, WriteOptions(shards=3, shuffle=False, encoding=encoding))
    return find_dataset(folder)


def shown(batches):
    """(numbers of the images, what the batches say about them)."""
    numbers, truths = zip(*[(pictures[:, 0, 0, 0], truth) for pictures, truth in batches.as_numpy_iterator()])
    return np.concatenate(numbers), np.concatenate(truths)


def test_attributes_are_the_columns_that_say_yes(info):
    assert attribute_columns(info) == {"bright": 1, "hat=none": 2, "hat=cap": 3, "weight": 4}


def test_every_tenth_image_is_kept_from_training(info):
    images = labelled_images(info, 8, "bright")
    numbers, truth = shown(images.validation_batches(4))
    assert numbers.tolist() == list(range(0, COUNT, 10))
    np.testing.assert_array_equal(truth, BRIGHT[numbers])
    seen, truth = shown(images.training_batches(29, seed=0).take(6))  # 87 images an epoch.
    np.testing.assert_array_equal(truth, BRIGHT[seen])
    rest = [number for number in range(COUNT) if number % 10]
    assert sorted(seen[:87]) == sorted(seen[87:]) == rest
    assert seen[:87].tolist() != seen[87:].tolist() != rest


def test_an_option_of_later_versions_does_not_change_names_of_results():
    @dataclasses.dataclass(frozen=True)
    class Newer(DiscriminatorConfig):
        extra_gain: float = option(1.0, "Something new.", added_later=True)

    networks = [SimpleNamespace(config=kind(), parts={}) for kind in (DiscriminatorConfig, Newer)]
    before, after = (AttributeClassifiers(["hat"], [network]).suffix for network in networks)
    assert before == after and before.startswith("-1attributes-")


def test_the_seed_decides_the_order(info):
    images = labelled_images(info, 8, "bright")
    first, again, other = (shown(images.training_batches(20, seed).take(2))[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_what_no_classifier_can_be_trained_on_is_told(info, tmp_path):
    with pytest.raises(UserError, match="has no attribute 'Smiling', it has: bright, hat=none, hat=cap, weight"):
        labelled_images(info, 8, "Smiling")
    with pytest.raises(UserError, match="other values than 0 and 1"):
        labelled_images(info, 8, "weight")
    labels = np.zeros([20, 1])
    write_tfrecords(ArraySource(np.zeros([20, 4, 4, 3], np.uint8), labels), tmp_path / "same", WriteOptions(1))
    with pytest.raises(UserError, match="all images have it, or none"):
        labelled_images(find_dataset(tmp_path / "same"), 4, "label0")
    write_tfrecords(ArraySource(np.zeros([20, 4, 4, 3], np.uint8)), tmp_path / "none", WriteOptions(1))
    with pytest.raises(UserError, match="has no labels"):
        attribute_columns(find_dataset(tmp_path / "none"))


def test_attributes_that_share_a_file_are_refused_together(tmp_path):
    source = ArraySource(np.zeros([40, 4, 4, 3], np.uint8), np.tile(NUMBERS[:40, None] // 2 % 2, 2), ("a b", "a_b"))
    write_tfrecords(source, tmp_path / "set", WriteOptions(1))
    with pytest.raises(UserError, match="'a b' and 'a_b' have the same file, a_b.npz"):
        train_classifiers(str(tmp_path / "set"), str(tmp_path / "classifiers"))


def run(*flags):
    command = [sys.executable, "-m", "stylegan_tf.train_classifier", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.end_to_end
def test_the_command_trains_a_classifier_and_tells_how_good_it_is(tmp_path):
    info = write_set(tmp_path / "set")
    size = ["--total_images=480", "--batch_size=16", "--fmap_base=32", "--fmap_max=8", "--learning_rate=0.003"]
    command = [f"--data_dir={info.folder}", "--attribute=bright", f"--out={tmp_path / 'classifiers'}", *size]
    first = run(*command)
    assert first.returncode == 0, first.stderr
    path = tmp_path / "classifiers" / "bright.npz"
    assert first.stdout.startswith(f"{path}: 100.00% of 10 validation images are right")
    classifiers = load_classifiers(path.parent)
    assert classifiers.names == ("bright",) and classifiers.group_size == 1
    images = np.stack([np.full([8, 8, 3], value, np.float32) for value in (-0.6, 0.6)])
    dark, bright = classifiers(images)[:, 0].numpy()
    assert dark < 0 < bright
    with np.load(path, allow_pickle=False) as data:
        metadata = json.loads(str(data["architecture"]))["metadata"]
    majority = max(BRIGHT[::10].mean(), 1 - BRIGHT[::10].mean())
    assert metadata["validation"] == {"correct": 1.0, "majority": pytest.approx(majority), "count": 10}
    assert metadata["training"]["total_images"] == 480
    before = path.read_bytes()
    again = run(*command)
    assert again.stdout == f"{path} exists already\n" and path.read_bytes() == before


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "--data_dir is missing"),
        (["--data_dir=."], "--out is missing"),
        (["--data_dir=.", "--out=y"], "give either --attribute=NAME or --all"),
        (["--data_dir=.", "--out=y", "--all", "--attribute=z"], "give either --attribute=NAME or --all"),
    ],
)
def test_missing_flags_are_told(flags, message):
    result = run(*flags)
    assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr


def test_a_folder_that_cannot_be_is_told_before_the_training(tmp_path):
    write_set(tmp_path / "set")
    (tmp_path / "file").write_bytes(b"")
    result = run(f"--data_dir={tmp_path / 'set'}", "--attribute=bright", f"--out={tmp_path / 'file' / 'classifiers'}")
    assert result.returncode == 1 and "Traceback" not in result.stderr and "images/s" not in result.stderr
    assert "Not a directory: a part of the name is a file" in result.stderr.splitlines()[-1]
