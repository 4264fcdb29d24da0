"""Finding datasets, and saying what is wrong with them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records
from stylegan_tf.data.dataset_files import find_damage, find_dataset, load_labels, translate_data_errors
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.data.sources import open_source
from tests.helpers.array_source import ArraySource, numbered_images, write_numbered


@pytest.fixture
def folder(tmp_path):
    return write_numbered(tmp_path / "set", count=10, shards=2)


def flip_byte(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("kind, shape, label_size", [("rgb", (12, 32, 3), 3), ("gray", (5, 16, 1), 0)])
def test_the_authors_files_are_read_record_for_record(reference, kind, shape, label_size):
    info = find_dataset(reference / f"tfrecords_{kind}")
    assert (info.count, info.resolution, info.num_channels, info.label_size) == (*shape, label_size)
    assert sorted(info.levels) == [r for r in (4, 8, 16, 32) if r <= info.resolution]
    with np.load(reference / f"tfrecords_{kind}_source.npz", allow_pickle=False) as source:
        images, order = source["images"], source["order"] if "order" in source else np.arange(info.count)
        labels = source["labels"][order] if "labels" in source else np.zeros([info.count, 0])
    batch = next(iter(training_dataset(info, info.resolution, info.count, shuffle_images=0)))
    np.testing.assert_array_equal(batch["images"], images[order].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(batch["labels"], labels)
    np.testing.assert_array_equal(load_labels(info), labels)


def test_our_dataset_is_described(folder):
    info = find_dataset(folder)
    assert (info.name, info.count, info.resolution, info.num_channels) == ("set", 10, 8, 3)
    assert info.shard_counts == (5, 5) and info.label_size == 1 and info.label_names == ("label0",)
    assert info.shards(4) == tuple(str(folder / f"set-r02-0000{shard}-of-00002.tfrecords") for shard in range(2))


def test_the_names_of_labels_are_kept(tmp_path):
    source = ArraySource(numbered_images(4), np.eye(4, 2, dtype=np.float32), ("cat", "dog"))
    info = find_dataset(write_tfrecords(source, tmp_path / "pets", WriteOptions(shards=1)))
    assert info.label_names == ("cat", "dog")


def test_records_of_unequal_length_are_counted(tmp_path):
    path = tmp_path / "set-r02.tfrecords"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for extra in (b"", b"a longer one", b"short"):  # Files of other programs may carry more features.
            example = tf.train.Example.FromString(records.encode_example(np.zeros([4, 4, 3], np.uint8)))
            example.features.feature["note"].bytes_list.value.append(extra)
            writer.write(example.SerializeToString())
    assert find_dataset(tmp_path).count == 3


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text(""), "is a file"),
        (lambda path: path.mkdir(), "holds no .*tfrecords"),
    ],
)
def test_a_folder_that_holds_no_dataset_is_refused(tmp_path, make, message):
    make(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        find_dataset(tmp_path / "data")


def test_two_datasets_in_one_folder_are_refused(folder):
    (folder / "other-r03.tfrecords").write_bytes(b"")
    with pytest.raises(UserError, match="several datasets .other, set."):
        find_dataset(folder)


def test_a_missing_shard_is_named(folder):
    (folder / "set-r02-00001-of-00002.tfrecords").unlink()
    with pytest.raises(UserError, match="set-r02-00001-of-00002.tfrecords is missing"):
        find_dataset(folder)


def test_an_empty_and_a_cut_off_file_are_named(folder):
    path = folder / "set-r03-00001-of-00002.tfrecords"
    data = path.read_bytes()
    for size, message in ((0, "empty"), (100, "cut off"), (len(data) - 7, "cut off at record 4")):
        path.write_bytes(data[:size])
        with pytest.raises(UserError, match=f"set-r03-00001-of-00002.tfrecords is {message}"):
            find_dataset(folder)


def test_levels_with_other_counts_are_refused(folder):
    path = folder / "set-r02-00000-of-00002.tfrecords"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 5 * 4])
    with pytest.raises(UserError, match="set-r02-00000-of-00002.tfrecords holds 4 raw images.*hold 5 raw"):
        find_dataset(folder)


def test_a_wrong_level_in_a_file_name_is_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "set-r04.tfrecords")) as writer:
        writer.write(records.encode_example(np.zeros([8, 8, 3], np.uint8)))
    with pytest.raises(UserError, match="have 8x8 pixels, its name says 16x16"):
        find_dataset(tmp_path)


def test_a_first_record_that_is_no_example_is_refused(folder):
    path = folder / "set-r03-00000-of-00002.tfrecords"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"hello")
    with pytest.raises(UserError, match="first record of .*set-r03-00000-of-00002.tfrecords is damaged"):
        find_dataset(folder)


def test_a_description_that_disagrees_is_refused(folder):
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**description, "count": 20}))
    with pytest.raises(UserError, match="holds 10 images, its dataset.json says 20"):
        find_dataset(folder)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(UserError, match="dataset.json is not a readable description"):
        find_dataset(folder)


def test_labels_must_fit_the_images(folder):
    path = folder / "set-rxx.labels"
    with open(path, "wb") as stream:
        np.save(stream, np.zeros([9, 2], np.float32))
    with pytest.raises(UserError, match="set-rxx.labels holds float32 .9, 2., expected numbers .10, labels."):
        find_dataset(folder)
    path.write_bytes(b"not an array")
    with pytest.raises(UserError, match="is not a readable file of labels"):
        find_dataset(folder)


def test_labels_must_be_finite_and_their_names_texts(folder):
    path = folder / "set-rxx.labels"
    with open(path, "wb") as stream:
        np.save(stream, np.full([10, 1], np.inf))
    with pytest.raises(UserError, match="the label of image 0 is not finite .10 such"):
        find_dataset(folder)
    for names in ([1], "ab", {"a": 1}, 5):
        (folder / "dataset.json").write_text(json.dumps({"label_names": names}))
        with pytest.raises(UserError, match="has the label_names"):
            find_dataset(folder)


def test_labels_with_a_flipped_bit_in_their_head_are_refused(folder):
    path = folder / "set-rxx.labels"
    np.save(path.open("wb"), np.zeros([10, 3], np.float32))
    path.write_bytes(path.read_bytes().replace(b"(10, 3)", b"(10, 2)"))
    with pytest.raises(
        UserError, match="set-rxx.labels is not a readable file of labels .float32 .10, 2. does not fit"
    ):
        find_dataset(folder)


def test_there_is_a_name_for_every_label(folder):
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**description, "label_names": ["cat", "dog"]}))
    with pytest.raises(UserError, match="set-rxx.labels holds 1 numbers for each image, dataset.json names 2 labels"):
        find_dataset(folder)


def test_a_level_that_is_not_there_is_named(folder):
    with pytest.raises(UserError, match="no level of resolution 16, it has: 4, 8"):
        find_dataset(folder).shards(16)


def test_a_damaged_record_is_found_while_reading(folder):
    info = find_dataset(folder)
    assert find_damage(info, 8) is None
    path = folder / "set-r03-00001-of-00002.tfrecords"
    flip_byte(path, path.stat().st_size // 5 * 3 + 60)  # In the data of the fourth record of five.
    find_dataset(folder)
    with pytest.raises(UserError, match="record 3 of .*set-r03-00001-of-00002.tfrecords is damaged"):
        with translate_data_errors(info, 8):
            for _ in training_dataset(info, 8, batch_size=5).take(2):
                pass


@pytest.mark.parametrize("bit", [0, 3, 40])
def test_the_record_whose_length_is_damaged_is_the_one_that_is_named(folder, bit):
    info = find_dataset(folder)
    path = folder / "set-r03-00001-of-00002.tfrecords"
    data = bytearray(path.read_bytes())
    data[len(data) // 5 * 2 + bit // 8] ^= 1 << bit % 8  # In the length of the third record of five.
    path.write_bytes(data)
    message = "the length of record 2 of .*set-r03-00001-of-00002.tfrecords is damaged"
    with pytest.raises(UserError, match=message), translate_data_errors(info, 8):
        for _ in training_dataset(info, 8, batch_size=5).take(2):
            pass
    with pytest.raises(UserError, match=message):
        open_source(str(folder))


def test_a_record_of_the_wrong_shape_is_found_while_reading(folder):
    info = find_dataset(folder)
    with tf.io.TFRecordWriter(str(folder / "set-r02-00000-of-00002.tfrecords")) as writer:
        for shape in ([4, 4, 3], [4, 4, 3], [4, 4, 1], [4, 4, 3], [4, 4, 3]):
            writer.write(records.encode_example(np.zeros(shape, np.uint8)))
    with pytest.raises(UserError, match=r"record 2 of .*its shape is \[4, 4, 1\], expected \[4, 4, 3\]"):
        with translate_data_errors(info, 4):
            for _ in training_dataset(info, 4, batch_size=4).take(2):
                pass


def test_errors_that_are_not_about_the_data_pass_through(folder):
    with pytest.raises(tf.errors.InvalidArgumentError), translate_data_errors(find_dataset(folder), 8):
        tf.reshape(tf.zeros([3]), [tf.constant(2)])
