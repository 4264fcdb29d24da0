"""Finds and checks the files of a dataset: ours, or what the authors' converter wrote."""

import contextlib
import dataclasses
import json
import os
import pathlib
import struct
from collections.abc import Iterator
from typing import Optional

import numpy as np

from stylegan_tf.data import records, writer
from stylegan_tf.errors import UserError

_HEADER = struct.Struct("<QI")  # TFRecord: length of the data, its CRC; then the data and 4 bytes of CRC.
_OVERHEAD = _HEADER.size + 4


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is in a dataset folder. All levels hold the same images in the same order and the same shards."""

    folder: str
    name: str
    resolution: int  # Of the largest level.
    num_channels: int
    count: int  # Images, the same at every level.
    levels: dict[int, tuple[str, ...]]  # Resolution -> paths of its shards.
    shard_counts: tuple[int, ...]  # Records in each shard, at any level.
    labels_path: Optional[str] = None
    label_size: int = 0
    label_names: tuple[str, ...] = ()

    def shards(self, resolution: int) -> tuple[str, ...]:
        """The files of one level. Raises UserError if the dataset does not have it."""
        if resolution not in self.levels:
            have = ", ".join(map(str, sorted(self.levels)))
            raise UserError(f"the dataset in {self.folder} has no level of resolution {resolution}, it has: {have}.")
        return self.levels[resolution]


def find_dataset(folder) -> DatasetInfo:
    """Looks at the files and at the first record of each.

    Takes `<name>-rNN.tfrecords` (the authors') and `<name>-rNN-00000-of-00004.tfrecords`, with or without
    `<name>-rxx.labels`. Raises UserError if the folder is missing, empty or incomplete, and for damaged files.
    """
    folder = pathlib.Path(folder)
    name, levels = _find_levels(folder)
    shapes = {resolution: [_check_shard(path, resolution) for path in paths] for resolution, paths in levels.items()}
    largest = max(levels)
    num_channels, shard_counts = shapes[largest][0][0], tuple(count for _, count in shapes[largest])
    for resolution, found in shapes.items():
        for path, (channels, count), expected in zip(levels[resolution], found, shard_counts):
            if channels != num_channels or count != expected:
                raise UserError(
                    f"{path} holds {count} images of {channels} channel(s), the files of level {largest} hold "
                    f"{expected} of {num_channels}: the dataset is incomplete or mixed, write it again."
                )
    description = _read_description(folder)
    count = sum(shard_counts)
    if description.get("count", count) != count:
        raise UserError(f"{folder} holds {count} images, its {writer.DESCRIPTION_FILE} says {description['count']}.")
    info = DatasetInfo(str(folder), name, largest, num_channels, count, levels, shard_counts)
    return _with_labels(info, tuple(description.get("label_names", ())))


def load_labels(info: DatasetInfo) -> np.ndarray:
    """-> float32 [count, label_size], in record order; [count, 0] for a dataset without labels."""
    if info.labels_path is None:
        return np.zeros([info.count, 0], np.float32)
    try:
        with open(info.labels_path, "rb") as stream:
            labels = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cannot read the labels in {info.labels_path}: {error}.") from error
    if labels.ndim != 2 or len(labels) != info.count or labels.dtype.kind not in "fiub":
        raise UserError(
            f"{info.labels_path} holds {labels.dtype} {list(labels.shape)}, expected numbers [{info.count}, labels]: "
            "one row for each image."
        )
    return labels.astype(np.float32)


def find_damage(info: DatasetInfo, resolution: int) -> Optional[str]:
    """Reads one level to the end -> where its first damaged record is and what to do, or None if all are sound."""
    import tensorflow as tf

    expected = (resolution, resolution, info.num_channels)
    for path in info.shards(resolution):
        index = 0
        try:
            for serialized in tf.data.TFRecordDataset(path):
                shape = records.decode_example(serialized.numpy()).shape
                if shape != expected:
                    raise ValueError(f"its shape is {list(shape)}, expected {list(expected)} [H, W, C]")
                index += 1
        except tf.errors.NotFoundError:
            return f"{path} is gone: it was there when the run started."
        except (tf.errors.OpError, ValueError) as error:
            reason = str(getattr(error, "message", error)).splitlines()[0]
            return f"record {index} of {path} is damaged ({reason}): write the dataset again, or copy it again."
    return None


@contextlib.contextmanager
def data_errors_named(info: DatasetInfo, resolution: int) -> Iterator[None]:
    """Put it around code that reads batches: a damaged record becomes a UserError that names file and record."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        damage = find_damage(info, resolution)
        if damage is None:
            raise  # Not about the data.
        raise UserError(damage) from error


def _find_levels(folder: pathlib.Path) -> tuple[str, dict[int, tuple[str, ...]]]:
    """-> (name, {resolution: paths of all its shards in order}), largest level first."""
    hint = "Make one with tools/create_tfrecords.py."
    if not folder.is_dir():
        raise UserError(f"the data folder {folder} {'is a file' if folder.exists() else 'does not exist'}. {hint}")
    shards: dict[int, dict[int, str]] = {}
    names, num_shards = set(), set()
    for path in sorted(folder.iterdir()):
        parsed = records.parse_shard_file_name(path.name)
        if parsed is not None:
            names.add(parsed.name)
            num_shards.add(parsed.num_shards)
            shards.setdefault(parsed.resolution, {})[parsed.shard] = str(path)
    if not shards:
        raise UserError(f"the data folder {folder} holds no *-rNN.tfrecords files. {hint}")
    if len(names) > 1 or len(num_shards) > 1:
        found = ", ".join(sorted(names)) if len(names) > 1 else f"{sorted(num_shards)} shards per level"
        raise UserError(f"the data folder {folder} holds several datasets ({found}): keep each in its own folder.")
    name, expected = names.pop(), num_shards.pop()
    for resolution, found in shards.items():
        for shard in range(expected):
            if shard not in found:
                missing = records.shard_file_name(name, resolution, shard, expected)
                raise UserError(f"the data folder {folder} is incomplete: {missing} is missing.")
    return name, {r: tuple(shards[r][shard] for shard in range(expected)) for r in sorted(shards, reverse=True)}


def _check_shard(path: str, resolution: int) -> tuple[int, int]:
    """Reads the first record and the size of the file -> (channels, number of records)."""
    size = os.path.getsize(path)
    with open(path, "rb") as stream:
        header = stream.read(_HEADER.size)
        length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
        serialized = stream.read(length) if length < size else b""
    if size == 0 or size < length + _OVERHEAD:
        raise UserError(f"{path} is {'empty' if size == 0 else 'cut off or not a TFRecord file'}: write it again.")
    try:
        shape = records.decode_example(serialized).shape
    except ValueError as error:
        raise UserError(f"the first record of {path} is damaged: {error}.") from error
    if shape[:2] != (resolution, resolution):
        raise UserError(
            f"the images in {path} have {shape[1]}x{shape[0]} pixels, its name says {resolution}x{resolution}."
        )
    return shape[2], _count_records(path, size, length)


def _count_records(path: str, size: int, first_length: int) -> int:
    """Records of one level have one length, so that the size tells their number; where it does not, headers do."""
    if size % (first_length + _OVERHEAD) == 0:
        return size // (first_length + _OVERHEAD)
    lengths: list[int] = []
    position = 0
    with open(path, "rb") as stream:
        while position < size:
            stream.seek(position)
            header = stream.read(_HEADER.size)
            if len(header) == _HEADER.size:
                lengths.append(_HEADER.unpack(header)[0])
                position += lengths[-1] + _OVERHEAD
            if len(header) < _HEADER.size or position > size:
                raise UserError(f"{path} is cut off or damaged at record {max(len(lengths) - 1, 0)}: write it again.")
    return len(lengths)


def _read_description(folder: pathlib.Path) -> dict:
    """dataset.json, or {} without it: the authors' datasets have none, and the files tell nearly all of it."""
    path = folder / writer.DESCRIPTION_FILE
    if not path.exists():
        return {}
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}.") from error
    if not isinstance(description, dict):
        raise UserError(f"{path} should hold a JSON object.")
    return description


def _with_labels(info: DatasetInfo, names: tuple[str, ...]) -> DatasetInfo:
    path = pathlib.Path(info.folder) / records.labels_file_name(info.name)
    if not path.exists():
        if names:
            raise UserError(f"{path} is missing: {writer.DESCRIPTION_FILE} says that the dataset has labels.")
        return info
    info = dataclasses.replace(info, labels_path=str(path))
    size = load_labels(info).shape[1]
    if len(names) != size:
        names = tuple(f"label{index}" for index in range(size))
    return dataclasses.replace(info, label_size=size, label_names=names)
