"""One TFRecord: the schema that the writer and the reader share, and the levels of an image.

An Example has `shape` = int64 [C, H, W] and `data` = the raw uint8 bytes in that order, as in the authors' files, so
that either side reads what the other has written. With the encoding "png" it has `png` = a PNG file instead of `data`.
TensorFlow is needed for `parse_examples` alone.
"""

import io
import re
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image

from stylegan_tf.data import example_proto

ENCODINGS = ("raw", "png")

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


def encode_example(image_hwc: np.ndarray, encoding: str = "raw") -> bytes:
    """uint8 [H, W, C] -> a serialised Example. The same image always gives the same bytes."""
    height, width, channels = image_hwc.shape
    shape = (channels, height, width)
    if encoding == "raw":
        image_chw = np.ascontiguousarray(image_hwc.transpose(2, 0, 1))  # NumPy 1's tobytes() is slow without it.
        return example_proto.serialize({"shape": shape, "data": image_chw.tobytes()})
    stream = io.BytesIO()
    Image.fromarray(image_hwc[:, :, 0] if channels == 1 else image_hwc).save(stream, "PNG")
    return example_proto.serialize({"shape": shape, "png": stream.getvalue()})


def example_encoding(serialized: bytes) -> str:
    """ "raw" or "png". Raises ValueError if it is not a record of ours or of the authors."""
    features = example_proto.parse(serialized)
    found = [name for name in ("data", "png") if isinstance(features.get(name), bytes)]
    if not isinstance(features.get("shape"), tuple) or len(found) != 1:
        names = sorted(features) or "nothing"
        raise ValueError(f"an Example with 'shape' and 'data' (or 'png') was expected, it has {names}")
    return "raw" if found == ["data"] else "png"


def decode_example(serialized: bytes) -> np.ndarray:
    """The inverse of `encode_example`, one record at a time. Raises ValueError, which says what is wrong with it."""
    encoding = example_encoding(serialized)
    features = example_proto.parse(serialized)
    shape = features["shape"]
    if encoding == "png":
        image = _decode_png(features["png"])
        if image.transpose(2, 0, 1).shape != shape:
            raise ValueError(f"shape {list(shape)} [C, H, W] does not fit its picture of {list(image.shape)} [H, W, C]")
        return image
    data = features["data"]
    if len(shape) != 3 or len(data) != np.prod(shape):
        raise ValueError(f"shape {list(shape)} [C, H, W] does not fit its data of {len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(shape).transpose(1, 2, 0)


def _decode_png(data: bytes) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            image = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"its PNG is damaged: {error}") from error
    return image[:, :, np.newaxis] if image.ndim == 2 else image


def parse_examples(serialized, resolution: int, num_channels: int):
    """Graph version for batches of raw records: string [B] -> uint8 [B, r, r, C]. Fails on any other size of data."""
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


def parse_png_example(serialized, resolution: int, num_channels: int):
    """Graph version for one PNG record: string [] -> uint8 [r, r, C]. Fails on any other size."""
    import tensorflow as tf

    features = {"shape": tf.io.FixedLenFeature([3], tf.int64), "png": tf.io.FixedLenFeature([], tf.string)}
    image = tf.io.decode_png(tf.io.parse_single_example(serialized, features)["png"], channels=num_channels)
    expected = [resolution, resolution, num_channels]
    tf.debugging.assert_equal(tf.shape(image), expected, message="wrong shape of a record")
    return tf.ensure_shape(image, expected)
