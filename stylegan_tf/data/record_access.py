"""Records of TFRecord files by their number, in any order: for a host that needs only a part of them."""

import os

import numpy as np
import tensorflow as tf

from stylegan_tf.data import tfrecord_files
from stylegan_tf.data.dataset_files import DatasetInfo


def records_by_number(info: DatasetInfo, resolution: int, numbers: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset of (serialised Example, number) for a dataset of numbers of records in the whole set (int64).

    Nothing else of the files is read. Unlike `TFRecordDataset` it compares no checksums: TensorFlow has no operation
    for it, and in Python it would hold up the pipeline. A file that has become shorter is an InvalidArgumentError.
    """
    paths = info.shards(resolution)
    places = [_offsets_and_lengths(path, count, info.encoding) for path, count in zip(paths, info.shard_counts)]
    with tf.device("CPU"):
        shards = tf.constant(np.repeat(np.arange(len(paths)), info.shard_counts))
        offsets, lengths = (tf.constant(np.concatenate(values), tf.int64) for values in zip(*places))
        sizes = tf.constant([os.path.getsize(path) for path in paths], tf.int64)
        names = tf.constant(paths)

    def read(number):
        shard, offset, length = shards[number], offsets[number], lengths[number]
        # A file of one record of this length, between a header and a footer that are skipped.
        one = tf.data.FixedLengthRecordDataset(
            names[shard], record_bytes=length, header_bytes=offset, footer_bytes=sizes[shard] - offset - length
        )
        return one.get_single_element(), number

    return numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _offsets_and_lengths(path: str, count: int, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the data of each record of a file are: int64 [count] twice."""
    if encoding == "raw":  # All of one length, so that the size of the file tells it.
        step = os.path.getsize(path) // count
        return np.arange(count) * step + tfrecord_files.HEADER.size, np.full(count, step - tfrecord_files.OVERHEAD)
    found = [(record.offset, record.length) for record in tfrecord_files.scan(path)]
    return tuple(np.array(found, np.int64).T)
