"""Writes a dataset: TFRecords of every level from full size down to 4x4, the labels, and dataset.json."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from stylegan_tf.data import records
from stylegan_tf.errors import UserError
from stylegan_tf.progress import ProgressBar

DESCRIPTION_FILE = "dataset.json"
_CHUNK_BYTES = 2**24  # Full-size pixels that are in memory at a time (as float32: four times as much).


def write_tfrecords(source, dest, num_shards: int = 4, seed: int = 123, overwrite: bool = False) -> pathlib.Path:
    """Writes `source` (see `sources.open_source`) into the new folder `dest` and returns it.

    The order of the images is shuffled once, with `seed` (123 gives the authors' order). One shard gives files with
    the authors' names; with more, record i of the whole set is in the shard that `np.array_split` puts it in.
    Everything is written to a temporary folder beside `dest` and renamed at the end: a `dest` that exists is complete.
    Raises UserError if `dest` exists (with `overwrite`: unless it holds a dataset), or if an image cannot be read.
    """
    dest = pathlib.Path(os.path.abspath(dest))
    if not 1 <= num_shards <= min(len(source), 99999):
        raise UserError(f"--shards must be between 1 and the number of images ({len(source)}), got {num_shards}.")
    _check_dest(dest, overwrite)
    order = np.arange(len(source))
    np.random.RandomState(seed).shuffle(order)
    with _temporary_sibling(dest) as folder:
        _write_levels(source, order, folder, dest.name, num_shards)
        if source.labels is not None:
            with open(folder / records.labels_file_name(dest.name), "wb") as stream:
                np.save(stream, np.asarray(source.labels, np.float32)[order])
        description = json.dumps(_describe(source, dest.name, num_shards), indent=1) + "\n"
        (folder / DESCRIPTION_FILE).write_text(description, encoding="utf-8")
        _move_into_place(folder, dest)
    return dest


def _write_levels(source, order: np.ndarray, folder: pathlib.Path, name: str, num_shards: int) -> None:
    """Full size to 4x4, one shard of every level at a time."""
    import tensorflow as tf

    done = 0
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(ProgressBar(len(order), f"Writing {name}", "images"))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))))
        for shard, indices in enumerate(np.array_split(order, num_shards)):
            with contextlib.ExitStack() as shard_files:
                writers = {}
                for images in _chunks(source, indices, pool):
                    for resolution, level in records.image_levels(images).items():
                        if resolution not in writers:
                            path = folder / records.shard_file_name(name, resolution, shard, num_shards)
                            writers[resolution] = shard_files.enter_context(tf.io.TFRecordWriter(str(path)))
                        for image in level:
                            writers[resolution].write(records.encode_example(image))
                    done += len(images)
                    bar.update(done)


def _chunks(source, indices: Sequence[int], pool: concurrent.futures.Executor) -> Iterator[np.ndarray]:
    """uint8 [n, r, r, C] at a time; the images of a chunk are decoded in parallel."""
    image_bytes = source.resolution**2 * source.num_channels
    size = max(1, min(256, _CHUNK_BYTES // image_bytes))
    for start in range(0, len(indices), size):
        yield np.stack(list(pool.map(source.read, indices[start : start + size])))


def _describe(source, name: str, num_shards: int) -> dict:
    """What dataset.json says: enough to know the set without opening a record."""
    levels: list[int] = []
    resolution = source.resolution
    while resolution >= records.MIN_RESOLUTION:
        levels.append(resolution)
        resolution //= 2
    return {
        "name": name,
        "count": len(source),
        "resolution": source.resolution,
        "num_channels": source.num_channels,
        "levels": levels,
        "num_shards": num_shards,
        "label_size": 0 if source.labels is None else source.labels.shape[1],
        "label_names": list(source.label_names),
    }


def holds_dataset(folder: pathlib.Path) -> bool:
    """Whether there is a record file of ours or of the authors in `folder`."""
    return any(records.parse_shard_file_name(path.name) for path in folder.iterdir())


def _check_dest(dest: pathlib.Path, overwrite: bool) -> None:
    if not dest.exists():
        return
    if not dest.is_dir():
        raise UserError(f"--dest {dest} is a file: give the name of a new folder.")
    if not any(dest.iterdir()):
        return
    if not overwrite:
        raise UserError(f"--dest {dest} exists and is not empty: give another folder, or --overwrite to replace it.")
    if not holds_dataset(dest):  # Never delete what may be somebody's photographs.
        raise UserError(f"--dest {dest} exists and holds no dataset: --overwrite replaces datasets only.")


@contextlib.contextmanager
def _temporary_sibling(dest: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder on the same disk, gone at the end unless it was renamed."""
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{dest.name}.partial-", dir=dest.parent))
    except OSError as error:
        raise UserError(f"cannot write to {dest.parent}: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(folder: pathlib.Path, dest: pathlib.Path) -> None:
    """`folder` becomes `dest`. An older dataset there is moved aside first and deleted last."""
    folder.chmod(0o777 & ~_umask())  # mkdtemp makes folders that only their owner can read.
    if not dest.exists():
        folder.rename(dest)
        return
    aside = pathlib.Path(tempfile.mkdtemp(prefix=f".{dest.name}.old-", dir=dest.parent))
    dest.rename(aside / dest.name)
    folder.rename(dest)
    shutil.rmtree(aside)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
