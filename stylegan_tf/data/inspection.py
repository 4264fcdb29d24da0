"""What a dataset holds: its labels in words, its facts and their digest; damage, previews, files, comparison.

Needs no TensorFlow.
"""

import hashlib
import io
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.dataset_files import DatasetInfo, damaged_records, load_labels, local_files, read_records
from stylegan_tf.data.letterbox import Box, scaled_box, unstretched
from stylegan_tf.files.atomic_write import AtomicBatch, make_folder

_LISTED = 20  # Classes, numbers or lines.
_PUBLISHED_TOGETHER = 256  # Pictures that share one sync of the disk.


def describe(info: DatasetInfo) -> str:
    """A few lines: format, size of every level, and how often each label occurs."""
    lines = [
        f"{info.name}: {info.count:,} images of {info.resolution}x{info.resolution} pixels, "
        f"{info.num_channels} channel(s), {info.encoding}",
        f"shards: {len(info.shard_counts)} with {min(info.shard_counts):,} to {max(info.shard_counts):,} images",
    ]
    if info.content_box is not None:
        left, top, right, bottom = info.content_box
        lines.append(f"letterboxed: the pictures are within ({left}, {top}) to ({right}, {bottom})")
    if info.aspect_ratio is not None:
        lines.append(f"stretched: the pictures were {info.aspect_ratio:g} times as wide as high")
    for resolution, paths in info.levels.items():
        size = sum(os.path.getsize(path) for path in paths)
        lines.append(f"level {resolution:4}: {readable_size(size)}, {readable_size(size / info.count)} an image")
    lines.append(describe_labels(load_labels(info), info.label_names))
    return "\n".join(lines)


def bad_records(info: DatasetInfo) -> Iterator[str]:
    """Compares the checksums of all records of all levels, and decodes them -> a line for each bad one."""
    for resolution, paths in info.levels.items():
        for path in paths:
            for index, reason in damaged_records(path, (resolution, resolution, info.num_channels)):
                yield f"record {index} of {path}: {reason}"


def level_mismatches(info: DatasetInfo) -> Iterator[str]:
    """Compares every level with the reduced largest one (authors' rule, `records.image_levels`)."""
    others = {resolution: read_images(info, resolution) for resolution in info.levels if resolution != info.resolution}
    for index, image in enumerate(read_images(info, info.resolution)):
        levels = records.image_levels(image[np.newaxis])
        for resolution, images in others.items():
            found = next(images)
            if resolution in levels and not np.array_equal(levels[resolution][0], found):
                yield f"image {index} at level {resolution} is not the reduced image of level {info.resolution}"


def read_images(info: DatasetInfo, resolution: int) -> Iterator[np.ndarray]:
    """uint8 [r, r, C] in record order. Raises UserError for a damaged record."""
    for path in info.shards(resolution):
        yield from _images_of(path)


def _images_of(path: str, wanted: Optional[Collection[int]] = None) -> Iterator[np.ndarray]:
    for index, found in enumerate(read_records(path, wanted)):
        if isinstance(found, str):
            raise UserError(f"record {index} of {path} is damaged: {found}.")
        if found is not None:
            yield found


def preview(info: DatasetInfo, resolution: int, count: int) -> np.ndarray:
    """Up to `count` images, evenly spaced -> uint8 [n, r, r, C]. No others are read."""
    if count < 1:
        raise UserError(f"the number of images must be positive, got {count}.")
    wanted = np.linspace(0, info.count - 1, min(count, info.count)).round().astype(int)
    images, start = [], 0
    for path, size in zip(info.shards(resolution), info.shard_counts):
        inside = wanted[(start <= wanted) & (wanted < start + size)] - start
        images += _images_of(path, set(inside.tolist())) if len(inside) else []
        start += size
    return np.stack(images)


def extract(info: DatasetInfo, resolution: int, folder, crop: bool = True) -> int:
    """Writes `00000000.png`, ... in record order, or .npy files of images with planes -> how many.

    crop: letterboxed ones without their bars, stretched ones in the shape that they had.

    Raises UserError if the folder holds anything already.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"`extract` {folder} exists and is not an empty folder: give a new one.")
    make_folder(folder)
    box, ratio = (info.content_box, info.aspect_ratio) if crop else (None, None)
    box = scaled_box(box, info.resolution, resolution)
    kind = "png" if info.num_channels in (1, 3, 4) else "npy"
    count, written = 0, AtomicBatch()
    try:
        for image in read_images(info, resolution):
            written.write(folder / f"{count:08d}.{kind}", _encoded(image, box, ratio, kind))
            count += 1
            if len(written) >= _PUBLISHED_TOGETHER:
                written.publish()
        written.publish()
    finally:
        written.discard()
    return count


def _encoded(image: np.ndarray, box: Optional[Box], ratio: Optional[float], kind: str) -> bytes:
    left, top, right, bottom = box or (0, 0, *image.shape[1::-1])
    image = unstretched(image[np.newaxis, top:bottom, left:right], ratio)[0]
    if kind == "png":
        return records.encode_picture(image, "PNG")
    content = io.BytesIO()
    np.save(content, image, allow_pickle=False)
    return content.getvalue()


def compare(first: DatasetInfo, second: DatasetInfo) -> list[str]:
    """Differences between two sets, at all levels, whatever their shards and encodings; [] if they hold the same."""
    differences = []
    for what in ("count", "resolution", "num_channels", "label_size", "label_names", "content_box", "aspect_ratio"):
        ours, theirs = getattr(first, what), getattr(second, what)
        if ours != theirs:
            differences.append(f"{what}: {ours} and {theirs}")
    if differences and (first.count, first.num_channels) != (second.count, second.num_channels):
        return differences
    if first.label_size == second.label_size:
        unequal = np.flatnonzero((load_labels(first) != load_labels(second)).any(axis=1))
        differences += [f"labels: {len(unequal)} differ, the first of image {unequal[0]}"] if len(unequal) else []
    for resolution in sorted(set(first.levels) | set(second.levels)):
        if resolution not in first.levels or resolution not in second.levels:
            differences.append(f"level {resolution}: only one of them has it")
            continue
        line = _compared_level(read_images(first, resolution), read_images(second, resolution))
        differences += [] if line is None else [f"level {resolution}: {line}"]
    return differences


def listed(lines: Iterable[str]) -> tuple[int, str]:
    """(how many, the first of them on a line each)."""
    count, shown = 0, []
    for line in lines:
        count += 1
        shown += [line] if count <= _LISTED else []
    if count > _LISTED:
        shown.append(f"and {count - _LISTED} more")
    return count, "\n".join(shown)


def _compared_level(ours: Iterator[np.ndarray], theirs: Iterator[np.ndarray]) -> Optional[str]:
    unequal, first, largest = 0, None, 0
    for index, (our, their) in enumerate(zip(ours, theirs)):
        if not np.array_equal(our, their):
            unequal += 1
            first = index if first is None else first
            largest = max(largest, int(np.abs(our.astype(int) - their.astype(int)).max()))
    if not unequal:
        return None
    return f"{unequal} images differ, the first is {first}, by at most {largest} of 255"


def describe_labels(labels: np.ndarray, names: Sequence[str]) -> str:
    """float32 [N, L] -> "labels: 2 classes: cat 10, dog 12"."""
    size = labels.shape[1]
    if not size:
        return "labels: none"
    if not np.isin(labels, (0, 1)).all():
        return f"labels: {_number(size, 'number')}: {_listed(map(_range, names, labels.T))}"
    counts = labels.sum(axis=0).astype(int)
    many = _listed(f"{name} {count:,}" for name, count in zip(names, counts))
    empty = f"; {_number(int((counts == 0).sum()), 'column')} without a picture" if not counts.all() else ""
    if (labels.sum(axis=1) == 1).all():
        return f"labels: {_number(size, 'class', 'classes')}: {many}{empty}"
    return f"labels: {_number(size, 'column')} of 0 and 1, with ones: {many}{empty}"


def describe_label_use(info: DatasetInfo, used: bool) -> str:
    """The same for the labels of a dataset, and whether training uses them."""
    text = describe_labels(load_labels(info), info.label_names)
    return text if used or not info.label_size else f"{text}; they are not used: `conditional`"


def _range(name: str, column: np.ndarray) -> str:
    return f"{name} from {column.min():g} to {column.max():g} (mean {column.mean():g})"


def _listed(parts: Iterable[str]) -> str:
    parts = list(parts)
    more = f" and {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    return ", ".join(parts[:_LISTED]) + more


def _number(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def dataset_facts(info: DatasetInfo) -> dict[str, Any]:
    """JSON values by name. "content" depends on every record of the smallest level, which is made of the others."""
    return {
        "images": info.count,
        "resolution": info.resolution,
        "channels": info.num_channels,
        "labels": info.label_size,
        "content": records_digest(info, min(info.levels))[:16],
    }


def records_digest(info: DatasetInfo, resolution: int) -> str:
    """SHA-256 of one level and of the labels: of contents and order, not of times and places of files.

    The checksums that follow the records stand for their bytes, so that not all of these need to be read.
    """
    digest = hashlib.sha256()
    for path in local_files(info, resolution):
        with open(path, "rb") as stream:
            for record in tfrecord_files.scan(path):
                stream.seek(record.offset + record.length)
                digest.update(record.length.to_bytes(8, "little") + stream.read(tfrecord_files.CRC.size))
    digest.update(load_labels(info).tobytes())
    return digest.hexdigest()


def readable_size(size: float) -> str:
    """1536 -> "1.5 kB"; powers of 1000, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
