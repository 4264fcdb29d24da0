"""One TFRecord: the schema that the writer and the reader share, and the levels of an image.

An Example has `shape` = int64 [C, H, W] and `data` = the raw uint8 bytes in that order, as in the authors' files, so
that either side reads what the other has written. With the encoding "png" it has `png` = a PNG file instead of `data`,
with "jpeg" `jpeg` = a JPEG file at the largest level, and `png` at the others.
TensorFlow is needed for `parse_examples` alone.
"""

import io
import re
from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image

from stylegan_tf.data.tfrecord_files import parse_example, serialize_example
from stylegan_tf.files.file_errors import reason_of

ENCODINGS = ("raw", "png", "jpeg")
_FEATURES = {"data": "raw", "png": "png", "jpeg": "jpeg"}  # Feature of an Example -> its encoding.
_JPEG = {"quality": 95, "subsampling": 0}  # For pictures that do not come as JPEG files.

MIN_RESOLUTION = 4
_FILE_NAME = re.compile(r"(?P<name>.+)-r(?P<log2>\d\d)(-(?P<shard>\d{5})-of-(?P<shards>\d{5}))?\.tfrecords")


class ShardName(NamedTuple):
    """The parts of a file name: level, and position among the shards of that level."""

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


def encoded_levels(
    images: np.ndarray, encoding: str = "raw", files: Optional[Sequence[Optional[bytes]]] = None
) -> dict[int, list[bytes]]:
    """uint8 [N, H, H, C] -> {H: N serialised Examples, H / 2: ..., 4: ...}.

    files: for the encoding "jpeg", the JPEG files that were decoded, None for other images: these are encoded here, and
      their smaller levels are made of the decoded result.
    """
    if encoding == "jpeg":
        files = list(files or [None] * len(images))
        images = images.copy()
        for index, image in enumerate(images):
            if files[index] is None:
                files[index] = encode_picture(image, "JPEG", **_JPEG)
                images[index] = _decoded(files[index], "JPEG")
    levels = {}
    for resolution, level in image_levels(images).items():
        if encoding == "jpeg" and resolution == images.shape[1]:
            shape = (images.shape[3], resolution, resolution)
            levels[resolution] = [serialize_example({"shape": shape, "jpeg": file}) for file in files]
        else:
            levels[resolution] = [encode_example(image, level_encoding(encoding, largest=False)) for image in level]
    return levels


def level_encoding(encoding: str, largest: bool) -> str:
    """Encoding of one level of a set: small levels would suffer from JPEG, and PNGs of them are small as well."""
    return "png" if encoding == "jpeg" and not largest else encoding


def encode_example(image_hwc: np.ndarray, encoding: str = "raw") -> bytes:
    """uint8 [H, W, C] -> a serialised Example, "raw" or "png". The same image always gives the same bytes."""
    height, width, channels = image_hwc.shape
    shape = (channels, height, width)
    if encoding == "raw":
        image_chw = np.ascontiguousarray(image_hwc.transpose(2, 0, 1))  # NumPy 1's tobytes() is slow without it.
        return serialize_example({"shape": shape, "data": image_chw.tobytes()})
    return serialize_example({"shape": shape, "png": encode_picture(image_hwc, "PNG")})


def stored_picture(serialized: bytes) -> tuple[str, bytes]:
    """-> (one of `ENCODINGS`, the raw pixels or the picture's file). ValueError if it is not a record of a picture."""
    features = parse_example(serialized)
    name = _picture_feature(features)
    return _FEATURES[name], features[name]


def decode_example(serialized: bytes) -> np.ndarray:
    """-> uint8 [H, W, C], one record at a time. Raises ValueError, which says what is wrong with it."""
    features = parse_example(serialized)
    name, shape = _picture_feature(features), features["shape"]
    data = features[name]
    if name != "data":
        image = _decoded(data, name.upper())
        if image.transpose(2, 0, 1).shape != shape:
            raise ValueError(f"shape {list(shape)} [C, H, W] does not fit its picture of {list(image.shape)} [H, W, C]")
        return image
    if len(shape) != 3 or len(data) != np.prod(shape):
        raise ValueError(f"shape {list(shape)} [C, H, W] does not fit its data of {len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(shape).transpose(1, 2, 0)


def _picture_feature(features) -> str:
    found = [name for name in _FEATURES if isinstance(features.get(name), bytes)]
    if not isinstance(features.get("shape"), tuple) or len(found) != 1:
        names = sorted(features) or "nothing"
        raise ValueError(f"an Example with 'shape' and 'data' (or 'png' or 'jpeg') was expected, it has {names}")
    return found[0]


def encode_picture(image_hwc: np.ndarray, kind: str, **options) -> bytes:
    """uint8 [H, W, C] -> a file; kind: "PNG" or "JPEG", with Pillow's options."""
    stream = io.BytesIO()
    Image.fromarray(image_hwc[:, :, 0] if image_hwc.shape[2] == 1 else image_hwc).save(stream, kind, **options)
    return stream.getvalue()


def _decoded(data: bytes, kind: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as picture:
            image = np.asarray(picture)
    except Exception as error:  # Pillow's plugins raise exceptions of all kinds for damaged files.
        raise ValueError(f"its {kind} is damaged: {reason_of(error)}") from error
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


def parse_picture_example(serialized, resolution: int, num_channels: int, encoding: str):
    """Graph version for one record of a PNG or JPEG file: string [] -> uint8 [r, r, C]. Fails on any other size."""
    import tensorflow as tf

    features = {"shape": tf.io.FixedLenFeature([3], tf.int64), encoding: tf.io.FixedLenFeature([], tf.string)}
    file = tf.io.parse_single_example(serialized, features)[encoding]
    if encoding == "jpeg":  # "INTEGER_ACCURATE": the pixels that Pillow gives, of which the smaller levels are made.
        image = tf.io.decode_jpeg(file, channels=num_channels, dct_method="INTEGER_ACCURATE")
    else:
        image = tf.io.decode_png(file, channels=num_channels)
    expected = [resolution, resolution, num_channels]
    tf.debugging.assert_equal(tf.shape(image), expected, message="wrong shape of a record")
    return tf.ensure_shape(image, expected)
