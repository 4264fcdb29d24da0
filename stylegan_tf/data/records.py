"""One TFRecord: the schema that the writer and the reader share, and the levels of an image.

An Example has `shape` = int64 [C, H, W] and `data` = the raw uint8 bytes in that order, as in the authors' files, so
that either side reads what the other has written. TensorFlow is imported late: `--help` of the writer needs none.
"""

import re
from typing import NamedTuple, Optional

import numpy as np

MIN_RESOLUTION = 4
_FILE_NAME = re.compile(r"(?P<name>.+)-r(?P<log2>\d\d)(-(?P<shard>\d{5})-of-(?P<shards>\d{5}))?\.tfrecords")


class ShardName(NamedTuple):
    """What a file name says: level and place among the shards of that level."""

    name: str
    resolution: int
    shard: int
    num_shards: int


def shard_file_name(name: str, resolution: int, shard: int, num_shards: int) -> str:
    """`faces-r06.tfrecords` (one shard: the authors' name) or `faces-r06-00000-of-00004.tfrecords`; 06 = log2(64)."""
    stem = f"{name}-r{resolution.bit_length() - 1:02d}"
    return f"{stem}.tfrecords" if num_shards == 1 else f"{stem}-{shard:05d}-of-{num_shards:05d}.tfrecords"


def parse_shard_file_name(file_name: str) -> Optional[ShardName]:
    """The inverse of `shard_file_name`; None for other files."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        return None
    return ShardName(match["name"], 2 ** int(match["log2"]), int(match["shard"] or 0), int(match["shards"] or 1))


def labels_file_name(name: str) -> str:
    """A NumPy stream, float32 [N, L], in record order (the shards one after the other)."""
    return f"{name}-rxx.labels"


def is_valid_resolution(resolution: int) -> bool:
    """A power of two of at least 4."""
    return resolution >= MIN_RESOLUTION and resolution & (resolution - 1) == 0


def image_levels(images: np.ndarray) -> dict[int, np.ndarray]:
    """uint8 [N, H, H, C] -> {H: images, H / 2: ..., 4: ...}, all uint8.

    Every level is the 2x2 mean of the *unrounded* level above, rounded half to even. Rounding at each level instead
    would add up. float32 is exact here: eight halvings (1024 to 4) add 16 bits to the 8 of a pixel.
    """
    resolution = images.shape[1]
    levels = {resolution: images}
    unrounded = images.astype(np.float32)
    while resolution > MIN_RESOLUTION:
        resolution //= 2
        unrounded = (
            unrounded[:, 0::2, 0::2] + unrounded[:, 0::2, 1::2] + unrounded[:, 1::2, 0::2] + unrounded[:, 1::2, 1::2]
        ) * np.float32(0.25)
        levels[resolution] = np.clip(np.rint(unrounded), 0, 255).astype(np.uint8)
    return levels


def encode_example(image_hwc: np.ndarray) -> bytes:
    """uint8 [H, W, C] -> a serialised Example. The same image always gives the same bytes."""
    import tensorflow as tf

    image_chw = np.ascontiguousarray(image_hwc.transpose(2, 0, 1))
    feature = {
        "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=image_chw.shape)),
        "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image_chw.tobytes()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def decode_example(serialized: bytes) -> np.ndarray:
    """The inverse of `encode_example`, one record at a time. Raises ValueError, which says what is wrong with it."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except DecodeError as error:
        raise ValueError("it is not a tf.train.Example") from error
    if "shape" not in feature or "data" not in feature:
        raise ValueError(f"an Example with 'shape' and 'data' was expected, it has {sorted(feature) or 'nothing'}")
    shape = list(feature["shape"].int64_list.value)
    data = feature["data"].bytes_list.value
    if len(shape) != 3 or len(data) != 1 or len(data[0]) != np.prod(shape):
        raise ValueError(f"shape {shape} [C, H, W] does not fit its data of {sum(map(len, data))} bytes")
    return np.frombuffer(data[0], np.uint8).reshape(shape).transpose(1, 2, 0)


def parse_examples(serialized, resolution: int, num_channels: int):
    """Graph version for batches: string [B] -> uint8 [B, r, r, C]. Fails on any other size of data."""
    import tensorflow as tf

    features = {"shape": tf.io.FixedLenFeature([3], tf.int64), "data": tf.io.FixedLenFeature([], tf.string)}
    parsed = tf.io.parse_example(serialized, features)
    expected = tf.constant([num_channels, resolution, resolution], tf.int64)
    tf.debugging.assert_equal(parsed["shape"], expected[tf.newaxis], message="wrong shape of a record")
    flat = tf.io.decode_raw(parsed["data"], tf.uint8)  # [B, C * r * r]
    images_chw = tf.reshape(flat, [-1, num_channels, resolution, resolution])
    images = tf.transpose(images_chw, [0, 2, 3, 1])
    images.set_shape([serialized.shape[0], resolution, resolution, num_channels])
    return images
