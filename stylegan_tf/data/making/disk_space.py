"""Estimates the size of a dataset, and checks that the disk has room for it."""

import pathlib
import shutil
from typing import NamedTuple

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.sources.decoding import Square
from stylegan_tf.data.sources.opening import BadPicture

_SAMPLES = 8  # Pictures that are encoded to estimate the size of PNG and JPEG records.
_RESERVE = 0.02  # Share of the estimate that should be free beyond it.


class Estimate(NamedTuple):
    """Bytes of an average picture, and of all."""

    image_bytes: int  # All levels.
    largest_level_bytes: int
    total_bytes: int
    encoding: str

    def text(self, source) -> str:
        """One line for people."""
        about = "about " if self.encoding != "raw" else ""
        kind = {1: "gray", 3: "RGB", 4: "RGBA"}.get(source.num_channels, f"{source.num_channels}-channel")
        return (
            f"{len(source):,} images of {source.resolution}x{source.resolution} pixels, {kind}, {self.encoding}: "
            f"{about}{readable(self.image_bytes)} each with all levels, {about}{readable(self.total_bytes)} in all"
        )


def estimate(source, encoding: str) -> Estimate:
    """Exact for raw records; for the others from a few pictures, evenly spaced."""
    if encoding == "raw":
        squares = [_black(source)]
    else:
        squares = _samples(source)
    largest, total = [], []
    for square in squares:
        encoded = records.encoded_levels(square.image[np.newaxis], encoding, [square.file])
        sizes = {resolution: len(examples[0]) + tfrecord_files.OVERHEAD for resolution, examples in encoded.items()}
        largest.append(sizes[source.resolution])
        total.append(sum(sizes.values()))
    image_bytes = -(-sum(total) // len(total))
    return Estimate(image_bytes, -(-sum(largest) // len(largest)), image_bytes * len(source), encoding)


def check_disk(dest: pathlib.Path, expected: Estimate, partial: pathlib.Path) -> None:
    """Raises UserError if what is still to be written does not fit."""
    parent = next(folder for folder in dest.parents if folder.exists())
    written = sum(path.stat().st_size for path in partial.rglob("*.tfrecords")) if partial.exists() else 0
    needed = int((expected.total_bytes - written) * (1 + _RESERVE))
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise UserError(
            f"the disk of {parent} has {readable(free)} free, the dataset needs {readable(needed)} more: free some "
            "space, choose another `dest` or a smaller `resolution`, or `encoding=png` or jpeg."
        )


def readable(size: float) -> str:
    """1536 -> "1.5 kB"; powers of 1000, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _samples(source) -> list[Square]:
    squares = []
    for index in range(0, len(source), max(1, len(source) // _SAMPLES)):
        try:
            squares.append(source.read(index))
        except BadPicture:
            continue
    return squares or [_black(source)]


def _black(source) -> Square:
    return Square(np.zeros([source.resolution, source.resolution, source.num_channels], np.uint8), None)
