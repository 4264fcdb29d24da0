"""Where the images of a new dataset come from: `open_source`."""

import contextlib
import json
import math
import os
import pathlib
import tarfile
import zipfile
from typing import Optional

from stylegan_tf.data import records
from stylegan_tf.data.sources import known_datasets
from stylegan_tf.data.sources.archives import TarCollection, ZipCollection
from stylegan_tf.data.sources.collection import Collection
from stylegan_tf.data.sources.decoding import FILTERS, FITS, PictureOptions
from stylegan_tf.data.sources.fitted import FittedSource, choose_resolution
from stylegan_tf.data.sources.image_files import folder_collection, list_collection, other_entries
from stylegan_tf.data.sources.labels import find_labels
from stylegan_tf.data.sources.reading import reading_source
from stylegan_tf.errors import UserError
from stylegan_tf.files.file_errors import short

_TAR_SUFFIXES = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
_SYNTHETIC_IMAGES = 1000
_KINDS = "a folder, a zip, tar, .npy, .npz, .h5, .mat or idx file, a .txt list of images, 'demo' or 'synthetic'"


def open_source(
    source: str,
    resolution: Optional[int] = None,
    labels: str = "",
    fit: Optional[str] = None,
    filter: str = "lanczos",
    channels: Optional[int] = None,
    background: tuple[int, int, int] = (255, 255, 255),
    max_images: Optional[int] = None,
    white: Optional[float] = None,
) -> FittedSource:
    """Looks at what `source` is (README, "Data") and reads nothing but its names and a few pictures.

    Args:
      resolution: side of the written images, a power of two; None: see `choose_resolution`.
      labels: see `labels.find_labels`.
      fit, filter, background, white: see `PictureOptions`. With a resolution, `fit` defaults to "crop".
      channels: 1, 3, or 4 (RGBA); None: 3, or 1 where all pictures are gray by their format.
      max_images: the first ones only; the number of pictures of 'synthetic'.
    Raises:
      UserError for a missing or empty source, one of an unknown kind, and bad options.
    """
    _check_options(resolution, fit, filter, channels, max_images, white)
    with reading_source(str(source)):
        collection = open_collection(str(source), resolution, max_images)
        found = find_labels(collection, labels)
        notes = [found.note] if found is not None and found.note else _unused_labels(collection, labels)
        if resolution is not None and fit is None:
            fit = "crop"
        options = PictureOptions(
            resolution=choose_resolution(collection, fit) if resolution is None else resolution,
            num_channels=channels or collection.num_channels,
            fit=fit,
            filter=filter,
            background=background,
            white=white,
        )
    count = min(len(collection), max_images or len(collection))
    return FittedSource(collection, options, found, count, notes)


def _unused_labels(collection: Collection, labels: str) -> list[str]:
    """A note that the source has labels and `labels` was not given."""
    if labels.strip():
        return []
    for name in [entry.name for entry in collection.left_out if entry.name.rpartition("/")[2] == "dataset.json"]:
        with contextlib.suppress(Exception):  # Not a file of labels, then.
            if json.loads(collection.read_other(name))["labels"]:
                return [f"the source holds {name} with labels, which are not used: `labels={name}`."]
    with contextlib.suppress(UserError):
        if collection.classes() is not None:
            return ["the source has labels, which are not used: `labels=classes`."]
    return []


def open_collection(source: str, resolution: Optional[int] = None, max_images: Optional[int] = None) -> Collection:
    """The pictures of `source` as they are. `resolution`: for the sources that can make any."""
    if source in ("demo", "synthetic"):
        from stylegan_tf.data.sources.own_datasets import DemoCollection, SyntheticCollection

        if source == "demo":
            return DemoCollection(resolution)
        return SyntheticCollection(max_images or _SYNTHETIC_IMAGES, resolution or 64)
    path = pathlib.Path(os.path.expanduser(source))
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise UserError(f"`source` {short(source)}: there is no such file or folder. Give {_KINDS}.")
    return _in_file(path)


def _in_folder(folder: pathlib.Path) -> Collection:
    names = os.listdir(folder)
    if any(records.parse_shard_file_name(name) for name in names):
        from stylegan_tf.data.sources.own_datasets import TFRecordCollection

        return TFRecordCollection(folder)
    if "data.mdb" in names:
        from stylegan_tf.data.sources.lsun import LmdbCollection

        return LmdbCollection(str(folder))
    faces = known_datasets.celeba_folder(folder)
    if faces is not None:
        return faces
    idx = known_datasets.idx_file(folder)
    if idx is not None:
        found = known_datasets.IdxCollection(idx)
        inside = idx.relative_to(folder).parts
        found.left_out += other_entries(folder, inside[:1]) if len(inside) > 1 else []
        return found
    from stylegan_tf.data.sources.known_datasets import cifar_folder

    return cifar_folder(folder) or folder_collection(folder)


def _in_file(path: pathlib.Path) -> Collection:
    from stylegan_tf.data.sources import arrays

    name = path.name.lower()
    by_suffix = {".npy": arrays.npy_collection, ".npz": arrays.npz_collection, ".mat": arrays.svhn_collection}
    by_suffix.update(dict.fromkeys((".h5", ".hdf5"), arrays.HDF5Collection))
    if path.suffix.lower() in by_suffix:
        with reading_source(str(path), f"a {path.suffix.lower()} file"):
            return by_suffix[path.suffix.lower()](str(path))
    if name.endswith((".txt", ".lst")):
        return list_collection(path)
    if "idx3" in name:
        return known_datasets.IdxCollection(path)
    if zipfile.is_zipfile(path):
        with reading_source(str(path), "a zip archive"):
            return known_datasets.celeba_zip(path) or ZipCollection(str(path))
    if name.endswith(_TAR_SUFFIXES) or tarfile.is_tarfile(path):
        from stylegan_tf.data.sources.known_datasets import cifar_archive

        with reading_source(str(path), "a tar archive"):
            return cifar_archive(str(path)) or TarCollection(str(path))
    raise UserError(f"`source` {path} is a file of an unknown kind, or a damaged one. Give {_KINDS}.")


def _check_options(resolution, fit, filter, channels, max_images, white) -> None:
    if resolution is not None and not records.is_valid_resolution(resolution):
        raise UserError(f"`resolution` must be a power of two of at least 4, got {resolution}.")
    if resolution is not None and resolution > 4096:
        raise UserError(f"`resolution` must be at most 4096, got {resolution}.")
    if fit is not None and fit not in FITS:
        raise UserError(f"`fit` must be one of {', '.join(FITS)}, got {fit}.")
    if filter not in FILTERS:
        raise UserError(f"`filter` must be one of {', '.join(FILTERS)}, got {filter}.")
    if channels not in (None, 1, 3, 4):
        raise UserError(f"`channels` must be 1, 3 or 4, got {channels}.")
    if max_images is not None and max_images < 1:
        raise UserError(f"`max_images` must be positive, got {max_images}.")
    if white is not None and not (math.isfinite(white) and white > 0):
        raise UserError(f"`white` must be a positive number, got {white}.")
