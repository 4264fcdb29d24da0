"""Finds and checks the files of a dataset: ours, or what the authors' converter wrote."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Optional, Union

import numpy as np

from stylegan_tf.config.data import MAX_RATIO
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import is_finite_number
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.letterbox import Box
from stylegan_tf.data.remote_shards import RemoteShards
from stylegan_tf.files.addresses import scheme_of
from stylegan_tf.files.arrays import read_array
from stylegan_tf.files.file_errors import read_json, short
from stylegan_tf.files.storage import Store, ensure_local

DESCRIPTION_FILE = "dataset.json"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is in a dataset folder. All levels hold the same images in the same order and the same shards."""

    folder: str
    name: str
    resolution: int  # Resolution of the largest level.
    num_channels: int
    count: int  # Images, the same at every level.
    levels: dict[int, tuple[str, ...]]  # Resolution -> paths of its shards.
    shard_counts: tuple[int, ...]  # Records in each shard, at any level.
    labels_path: Optional[str] = None
    label_size: int = 0
    label_names: tuple[str, ...] = ()
    encoding: str = "raw"  # For the records: "raw", "png", or "jpeg" (the largest level; the others are PNG then).
    content_box: Optional[Box] = None  # For letterboxed pictures: left, top, right, bottom at `resolution`.
    aspect_ratio: Optional[float] = None  # For pictures that were stretched to squares: width by height.
    has_planes: bool = False  # Whether channels are what `planes` has kept, and the fourth is no transparency.
    conversion: Optional[str] = None  # Digest of the pictures and the options that it was made of.
    remote: Optional[RemoteShards] = None  # Reads the shards where they are not local files.

    @property
    def relative_box(self) -> Optional[tuple[float, ...]]:
        """`content_box` as fractions of the side, for images of other sizes."""
        return None if self.content_box is None else tuple(side / self.resolution for side in self.content_box)

    def shards(self, resolution: int) -> tuple[str, ...]:
        """The files of one level. Raises UserError if the dataset does not have it."""
        if resolution not in self.levels:
            have = ", ".join(map(str, sorted(self.levels)))
            raise UserError(f"the dataset in {self.folder} has no level of resolution {resolution}, it has: {have}.")
        return self.levels[resolution]


def find_dataset(folder, cache_dir: Optional[str] = None, cache_gib: Optional[float] = None) -> DatasetInfo:
    """Looks at the files and at the first record of each.

    Takes `<name>-rNN.tfrecords` (the authors') and `<name>-rNN-00000-of-00004.tfrecords`, with or without
    `<name>-rxx.labels`. Of an address, all of it is copied to the folder `cache_dir` first (None: the default); with
    `cache_gib`, pieces of that size together are, when they are read.

    Raises UserError if the folder is missing, empty or incomplete, and for damaged files.
    """
    remote = RemoteShards(folder, cache_dir, int(cache_gib * 2**30)) if cache_gib and scheme_of(folder) else None
    place, folder = folder, remote.folder if remote else ensure_local(folder, cache=cache_dir)
    name, levels = _find_levels(folder, remote.paths if remote else None)
    with ThreadPoolExecutor(8 if remote else 1) as pool:
        shapes = {
            resolution: list(pool.map(lambda path, r=resolution: _check_shard(path, r, remote), paths))
            for resolution, paths in levels.items()
        }
    largest = max(levels)
    first, shard_counts = shapes[largest][0], tuple(found.count for found in shapes[largest])
    for resolution, shards in shapes.items():
        for path, found, expected in zip(levels[resolution], shards, shard_counts):
            encoding = records.level_encoding(first.encoding, largest=resolution == largest)
            if found != (first.channels, expected, encoding):
                raise UserError(
                    f"{path} holds {found.count} {found.encoding} images of {found.channels} channel(s), the files of "
                    f"level {largest} hold {expected} {first.encoding} images of {first.channels}: the dataset is "
                    "incomplete or mixed, write it again."
                )
    description = _read_description(folder, largest)
    box, ratio = description.get("content_box"), description.get("aspect_ratio")
    count = sum(shard_counts)
    if description.get("count", count) != count:
        raise UserError(f"{folder} holds {count} images, its {DESCRIPTION_FILE} says {description['count']}.")
    info = DatasetInfo(
        str(place if remote else folder),
        name,
        largest,
        first.channels,
        count,
        levels,
        shard_counts,
        encoding=first.encoding,
        content_box=None if box is None else tuple(box),
        aspect_ratio=None if ratio is None else float(ratio),
        has_planes=description.get("has_planes") is True or first.channels not in (1, 3, 4),
        conversion=description.get("conversion"),
        remote=remote,
    )
    return _with_labels(info, folder, description)


def find_conversion(place: Union[pathlib.Path, str]) -> Optional[str]:
    """Digest of what the dataset in a folder, or at an address, was made of; None if not all of it is there.

    Nothing but the description is read from an address.
    """
    try:
        if not scheme_of(place):
            return find_dataset(place).conversion
        folder = ensure_local(place, lambda names: {DESCRIPTION_FILE}.intersection(names))
        names = [name for name in Store(place).names() if "/" not in name]
        name, levels = _find_levels(folder, names)
        description = _read_description(folder, max(levels))
    except UserError:
        return None
    has_labels = records.labels_file_name(name) in names or not description.get("label_size")
    return description.get("conversion") if has_labels else None


def local_files(info: DatasetInfo, resolution: int) -> Iterator[str]:
    """Files with the records of a level in their order: its shards, or pieces of them, which stay until the next."""
    for path in info.shards(resolution):
        yield from [path] if info.remote is None else info.remote.pieces(path)


def load_labels(info: DatasetInfo) -> np.ndarray:
    """-> float32 [count, label_size], in record order; [count, 0] for a dataset without labels."""
    if info.labels_path is None:
        return np.zeros([info.count, 0], np.float32)
    labels = read_array(info.labels_path, "file of labels", "write the dataset again")
    if labels.ndim != 2 or len(labels) != info.count or labels.dtype.kind not in "fiub":
        raise UserError(
            f"{info.labels_path} holds {labels.dtype} {list(labels.shape)}, expected numbers [{info.count}, labels]: "
            "one row for each image."
        )
    with np.errstate(over="ignore"):
        labels = labels.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(labels).all(axis=1))
    if len(wrong):
        raise UserError(f"{info.labels_path}: the label of image {wrong[0]} is not finite ({len(wrong)} such labels).")
    return labels


def find_damage(info: DatasetInfo, resolution: int) -> Optional[str]:
    """Checks one level -> what has happened to it since `find_dataset` and what to do, or None if all is intact."""
    advice = "put it back (python -m stylegan_tf.create_tfrecords writes the same files again)"
    paths = info.shards(resolution)
    for path, expected in zip(paths, info.shard_counts):  # The quick checks come first.
        try:
            count = len(find_records(path))
        except OSError as error:
            return f"{path} cannot be read any more ({error.strerror}): {advice}."
        except UserError as error:
            return str(error)
        if count != expected:
            return f"{path} holds {count} records now, it held {expected} when the run started: {advice}."
    for path in paths:
        for index, reason in damaged_records(path, (resolution, resolution, info.num_channels)):
            return f"record {index} of {path} is damaged ({reason}): write the dataset again, or copy it again."
    return None


def read_records(path: str, wanted: Optional[Collection[int]] = None) -> Iterator[Union[np.ndarray, str, None]]:
    """uint8 [H, W, C] of each record of a file, or what is wrong with it: checksums are compared.

    wanted: the numbers of the records that are read; of the others come None.
    """
    with open(path, "rb") as stream:
        for index, record in enumerate(tfrecord_files.scan(path)):
            found = record.damage
            if found is None and (wanted is None or index in wanted):
                stream.seek(record.offset)
                data = stream.read(record.length + tfrecord_files.CRC.size)
                try:
                    is_intact = tfrecord_files.matches_checksum(data)
                    found = records.decode_example(data[: record.length]) if is_intact else tfrecord_files.DAMAGED_DATA
                except ValueError as error:
                    found = str(error)
            yield found


def damaged_records(path: str, expected_shape: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Compares checksums and decodes every record of a file -> (index, what is wrong) of the bad ones."""
    for index, found in enumerate(read_records(path)):
        if isinstance(found, str):
            yield index, found
        elif found.shape != expected_shape:
            yield index, f"its shape is {list(found.shape)}, expected {list(expected_shape)} [H, W, C]"


@contextlib.contextmanager
def translate_data_errors(info: DatasetInfo, resolution: int) -> Iterator[None]:
    """Context of code that reads batches: a damaged record becomes a UserError that names file and record."""
    import tensorflow as tf

    # Damaged, of another shape or too short; gone; no longer readable; a failing disk.
    errors = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError)
    errors += (tf.errors.PermissionDeniedError, tf.errors.FailedPreconditionError, tf.errors.UnknownError)
    try:
        yield
    except errors as error:
        if info.remote is not None:
            if info.remote.error is None:
                raise
            raise info.remote.error from error
        damage = find_damage(info, resolution)
        if damage is None:
            raise  # Not about the data.
        raise UserError(damage) from error


def _find_levels(folder: pathlib.Path, paths: Optional[Sequence[str]]) -> tuple[str, dict[int, tuple[str, ...]]]:
    """-> (name, {resolution: paths of all its shards in order}), largest level first. paths: None: the folder's."""
    hint = "Make one with python -m stylegan_tf.create_tfrecords."
    if not folder.is_dir():
        raise UserError(f"the data folder {folder} {'is a file' if folder.exists() else 'does not exist'}. {hint}")
    shards: dict[int, dict[int, str]] = {}
    names, num_shards = set(), set()
    for path in sorted(map(str, folder.iterdir())) if paths is None else paths:
        parsed = records.parse_shard_file_name(os.path.basename(path))
        if parsed is not None:
            names.add(parsed.name)
            num_shards.add(parsed.num_shards)
            shards.setdefault(parsed.resolution, {})[parsed.shard] = path
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


class _Shard(NamedTuple):
    channels: int
    count: int
    encoding: str


def _check_shard(path: str, resolution: int, remote: Optional[RemoteShards]) -> _Shard:
    """Looks at the first record and at the size of the file."""
    size, read = (remote.size(path), remote.read) if remote else (os.path.getsize(path), _read)
    head = tfrecord_files.HEADER.size
    header = read(path, 0, head)
    length = tfrecord_files.HEADER.unpack(header)[0] if len(header) == head else size
    serialized = read(path, head, head + length) if length < size else b""
    if size == 0 or size < length + tfrecord_files.OVERHEAD:
        raise UserError(f"{path} is {'empty' if size == 0 else 'cut off or not a TFRecord file'}: write it again.")
    try:
        shape, (encoding, _) = records.decode_example(serialized).shape, records.stored_picture(serialized)
    except ValueError as error:
        raise UserError(f"the first record of {path} is damaged: {error}.") from error
    if shape[:2] != (resolution, resolution):
        raise UserError(
            f"the images in {path} have {shape[1]}x{shape[0]} pixels, its name says {resolution}x{resolution}."
        )
    # Raw records of one level have one length, so that the size tells their number; elsewhere headers do.
    count, rest = divmod(size, length + tfrecord_files.OVERHEAD)
    if encoding != "raw" or rest:
        count = remote.count_records(path) if remote else len(find_records(path))
    elif remote:
        remote.set_starts(path, count)
    return _Shard(shape[2], count, encoding)


def _read(path: str, start: int, end: int) -> bytes:
    with open(path, "rb") as stream:
        stream.seek(start)
        return stream.read(end - start)


def find_records(path: str) -> list[tfrecord_files.Record]:
    """Offsets and lengths of the records of a file. Raises UserError for a damaged length and for a cut off file."""
    found = list(tfrecord_files.scan(path))
    last, damage = len(found) - 1, found[-1].damage if found else None
    if damage == tfrecord_files.CUT_OFF:
        raise UserError(f"{path} is cut off at record {last}: write it again.")
    if damage is not None:
        raise UserError(f"the length of record {last} of {path} is damaged: write the dataset again, or copy it again.")
    return found


def _read_description(folder: pathlib.Path, resolution: int) -> dict:
    """dataset.json, or {} without it: the authors' datasets have none, and the files hold nearly all of it."""
    path = folder / DESCRIPTION_FILE
    if not path.exists():
        return {}
    description = read_json(path, "description of a dataset", "write the dataset again")
    if not isinstance(description, dict):
        raise UserError(f"{path} should hold a JSON object.")
    expected = {
        "label_names": (_are_names, "a list of names"),
        "content_box": (lambda box: _is_box(box, resolution), "left, top, right, bottom inside the images"),
        "aspect_ratio": (_is_ratio, "width by height"),
    }
    for key, (is_valid, meaning) in expected.items():
        value = description.get(key)
        if value is not None and not is_valid(value):
            found = short(value, 60)
            raise UserError(f"{path} has the {key} {found}, expected {meaning}: write the dataset again.")
    return description


def _are_names(value) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_box(value, resolution: int) -> bool:
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(side, int) for side in value):
        return False
    left, top, right, bottom = value
    return 0 <= left < right <= resolution and 0 <= top < bottom <= resolution


def _is_ratio(value) -> bool:
    return is_finite_number(value) and 1 / MAX_RATIO <= value <= MAX_RATIO


def _with_labels(info: DatasetInfo, folder: pathlib.Path, description: dict) -> DatasetInfo:
    path, names = folder / records.labels_file_name(info.name), tuple(description.get("label_names") or ())
    if not path.exists():
        if names or description.get("label_size"):
            raise UserError(f"{path} is missing: {DESCRIPTION_FILE} says that the dataset has labels.")
        return info
    info = dataclasses.replace(info, labels_path=str(path))
    size = load_labels(info).shape[1]
    if names and len(names) != size:
        raise UserError(
            f"{path} holds {size} numbers for each image, {DESCRIPTION_FILE} names {len(names)} labels: "
            "write the dataset again."
        )
    if not names:
        names = tuple(f"label{index}" for index in range(size))
    return dataclasses.replace(info, label_size=size, label_names=names)
