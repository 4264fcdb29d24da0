"""The schema of a record and the levels of an image."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.data import records


def test_levels_are_the_unrounded_cascade():
    # One 16x16 image whose four 8x8 quarters of 2x2 blocks are chosen by hand.
    image = np.zeros([1, 16, 16, 1], np.uint8)
    image[0, :2, :2, 0] = [[1, 0], [1, 0]]  # Mean 0.5: rounded half to even gives 0.
    image[0, :2, 2:4, 0] = [[1, 2], [1, 2]]  # Mean 1.5 gives 2.
    image[0, 2:4, :2, 0] = [[1, 0], [0, 0]]  # Mean 0.25 gives 0.
    image[0, 2:4, 2:4, 0] = [[3, 3], [3, 2]]  # Mean 2.75 gives 3.
    levels = records.image_levels(image)
    assert sorted(levels) == [4, 8, 16]
    np.testing.assert_array_equal(levels[8][0, :2, :2, 0], [[0, 2], [0, 3]])
    # The mean of the unrounded (0.5, 1.5, 0.25, 2.75) is 1.25; that of the rounded ones has the same result here,
    # so a case where they differ follows.
    assert levels[4][0, 0, 0, 0] == 1
    image[0, :4, :4, 0] = [[1, 0, 1, 0], [1, 0, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0]]
    levels = records.image_levels(image)  # Means 0.5, 0.75, 0.75, 0.25: rounded 0, 1, 1, 0, whose mean 0.5 gives 0.
    np.testing.assert_array_equal(levels[8][0, :2, :2, 0], [[0, 1], [1, 0]])
    assert levels[4][0, 0, 0, 0] == 1  # 2.25 / 4 = 0.5625.


def test_levels_of_large_images_are_exact():
    image = np.random.RandomState(0).randint(0, 256, [1, 256, 256, 3]).astype(np.uint8)
    levels = records.image_levels(image)
    for resolution in (128, 32, 4):
        k = 256 // resolution
        sums = image.astype(np.int64).reshape(1, resolution, k, resolution, k, 3).sum(axis=(2, 4))
        expected = np.array([round(int(s) / k**2) for s in sums.ravel()]).reshape(sums.shape)  # Python: half to even.
        np.testing.assert_array_equal(levels[resolution], expected)


def test_the_example_has_shape_and_data_in_chw_order():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    feature = tf.train.Example.FromString(records.encode_example(image)).features.feature
    assert sorted(feature) == ["data", "shape"]
    assert list(feature["shape"].int64_list.value) == [3, 4, 4]
    assert feature["data"].bytes_list.value[0][:5] == bytes([0, 3, 6, 9, 12])  # The red values come first.


@pytest.mark.parametrize("shape", [(4, 4, 1), (8, 8, 3)])
def test_decoding_is_the_inverse_of_encoding(shape):
    image = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    serialized = records.encode_example(image)
    np.testing.assert_array_equal(records.decode_example(serialized), image)
    parsed = records.parse_examples(tf.constant([serialized, serialized]), shape[0], shape[2])
    np.testing.assert_array_equal(parsed, [image, image])


def test_parsing_refuses_another_shape_of_the_same_size():
    serialized = records.encode_example(np.zeros([8, 2, 1], np.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="wrong shape of a record"):
        records.parse_examples(tf.constant([serialized]), 4, 1)


def test_decoding_says_what_is_wrong():
    with pytest.raises(ValueError, match="not a tf.train.Example"):
        records.decode_example(b"\xff" * 20)
    with pytest.raises(ValueError, match="'shape' and 'data'.* was expected"):
        records.decode_example(tf.train.Example().SerializeToString())


def test_file_names_go_both_ways():
    assert records.shard_file_name("faces", 64, 0, 1) == "faces-r06.tfrecords"
    assert records.shard_file_name("faces", 1024, 3, 16) == "faces-r10-00003-of-00016.tfrecords"
    assert records.parse_shard_file_name("my-r1-faces-r06.tfrecords") == ("my-r1-faces", 64, 0, 1)
    assert records.parse_shard_file_name("faces-r10-00003-of-00016.tfrecords") == ("faces", 1024, 3, 16)
    assert records.parse_shard_file_name("faces-rxx.labels") is None
