"""The container format, against TensorFlow's own writer and the values of RFC 3720."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.data import tfrecord_files

RANDOM = np.random.RandomState(0)


def test_checksums_are_those_of_the_rfc():
    # RFC 3720, B.4: 32 zeros, 32 ones, ascending, descending; and the usual check value.
    messages = [bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(31, -1, -1)), b"123456789"]
    crcs = [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C, 0xE3069283]
    masked = [((crc >> 15 | (crc & 0x7FFF) << 17) + 0xA282EAD8) % 2**32 for crc in crcs]
    assert [tfrecord_files.masked_crc32c(message) for message in messages] == masked


def test_files_are_those_of_tensorflow(tmp_path):
    messages = [RANDOM.bytes(size) for size in (0, 1, 4, 65, 1000, 70_001)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for message in messages:
            writer.write(message)
    assert tfrecord_files.frame(messages) == (tmp_path / "theirs").read_bytes()
    assert tfrecord_files.frame([]) == b""


def test_records_are_found_in_files(tmp_path):
    messages = [RANDOM.bytes(size) for size in (10, 2000, 4, 500)]
    path = tmp_path / "file"
    path.write_bytes(tfrecord_files.frame(messages))
    for verify in (False, True):
        data = path.read_bytes()
        found = [(data[r.offset : r.offset + r.length], r.damage) for r in tfrecord_files.scan(path, verify)]
        assert found == [(message, None) for message in messages]
    path.write_bytes(b"")
    assert list(tfrecord_files.scan(path)) == []


@pytest.mark.parametrize("cut", [5, 14, 200])
def test_a_cut_off_file_ends_with_a_damage(tmp_path, cut):
    path = tmp_path / "file"
    data = tfrecord_files.frame([RANDOM.bytes(300) for _ in range(2)])
    path.write_bytes(data[: 316 + cut])
    for verify in (False, True):
        assert [record.damage for record in tfrecord_files.scan(path, verify)] == [None, "it is cut off"]


def test_a_record_and_its_checksum_are_compared():
    message = RANDOM.bytes(30)
    stored = tfrecord_files.frame([message])[12:]
    assert tfrecord_files.matches_checksum(stored)
    assert not tfrecord_files.matches_checksum(b"x" + stored[1:]) and not tfrecord_files.matches_checksum(stored[:-1])


def test_examples_are_those_of_tensorflow():
    feature = {
        "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=[3, 1024, 70_000])),
        "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes(200)])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    values = {"shape": (3, 1024, 70_000), "data": bytes(200)}
    assert tfrecord_files.serialize_example(values) == example.SerializeToString(deterministic=True)
    assert tfrecord_files.parse_example(example.SerializeToString()) == values


def test_features_of_other_programs_are_passed_over():
    example = tf.train.Example()
    example.features.feature["weights"].float_list.value.extend([1.0, 2.0])
    example.features.feature["texts"].bytes_list.value.extend([b"a", b"b"])
    example.features.feature["empty"].CopyFrom(tf.train.Feature())
    example.features.feature["data"].bytes_list.value.append(b"pixels")
    found = tfrecord_files.parse_example(example.SerializeToString())
    assert found == {"weights": None, "texts": None, "empty": None, "data": b"pixels"}


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x0a", b"\x0a\x05abc", b"hello world"])
def test_what_is_no_example_is_a_value_error(data):
    with pytest.raises(ValueError, match="not a tf.train.Example"):
        tfrecord_files.parse_example(data)


def test_damaged_examples_never_raise_anything_else():
    whole = tfrecord_files.serialize_example({"shape": (3, 4, 4), "data": bytes(range(48))})
    for position in range(len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            damaged = whole[:position] + bytes([value]) + whole[position + 1 :]
            with contextlib.suppress(ValueError):
                tfrecord_files.parse_example(damaged)
