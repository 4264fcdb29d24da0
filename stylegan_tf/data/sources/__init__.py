"""Where the images of a new dataset come from: `open_source`."""

import contextlib
import dataclasses
import json
import os
import pathlib
import tarfile
import zipfile
from typing import Optional

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records
from stylegan_tf.data.sources import arrays, known_datasets
from stylegan_tf.data.sources.archives import TarCollection, ZipCollection
from stylegan_tf.data.sources.collection import Collection, own_channels
from stylegan_tf.data.sources.databases import (
    LmdbCollection,
    TableCollection,
    TFRecordCollection,
    is_table,
    table_folder,
)
from stylegan_tf.data.sources.fitted import FittedSource, PagedCollection, choose_resolution
from stylegan_tf.data.sources.image_files import (
    IMAGE_SUFFIXES,
    FileCollection,
    NamedCollection,
    folder_collection,
    list_collection,
    other_entries,
)
from stylegan_tf.data.sources.labels import find_labels
from stylegan_tf.data.sources.opening import BadPicture, open_layers, parse_background
from stylegan_tf.data.sources.reading import reading_picture, reading_source
from stylegan_tf.files.file_errors import short
from stylegan_tf.files.storage import ensure_local

_TAR_SUFFIXES = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
_OF_FILES = (NamedCollection, LmdbCollection, TableCollection)  # Whose pictures may be TIFFs.
_SYNTHETIC_IMAGES = 1000
_KINDS = (
    "a folder, a zip, tar, .npy, .npz, .h5, .mat, .parquet, .arrow or idx file, a picture, a .txt list of images, "
    "'demo' or 'synthetic'"
)


def open_source(source: str, options: SourceOptions = SourceOptions()) -> FittedSource:
    """Looks at what `source` is (README, "Data") and reads nothing but its names and a few pictures.

    Without a resolution, see `choose_resolution`; with one, pictures are cropped unless `fit` is given. Without
    channels there are 3, or 1 where all pictures are gray by their format. labels: see `labels.find_labels`.

    Raises:
      UserError for a missing or empty source, one of an unknown kind, and for options that do not fit it.
    """
    parse_background(options.background)
    with reading_source(str(source)):
        collection = open_collection(str(source), options.resolution, options.max_images)
        if options.pages == "all" and isinstance(collection, _OF_FILES):
            collection = PagedCollection(collection, None if options.labels else options.max_images)
        if not options.channels and not options.planes:
            options = dataclasses.replace(options, **own_channels(collection))
        with contextlib.suppress(BadPicture), reading_picture(collection.name(0)):
            open_layers(collection.read(0), options)  # Planes that the options do not mention are reported at once.
        found = find_labels(collection, options.labels)
        notes = [found.note] if found is not None and found.note else _unused_labels(collection, options.labels)
        chosen = {}
        if options.resolution is None:
            chosen["resolution"] = choose_resolution(collection, options.fit)
        elif options.fit is None:
            chosen["fit"] = "crop"
    count = min(len(collection), options.max_images or len(collection))
    return FittedSource(collection, dataclasses.replace(options, **chosen), found, count, notes)


def _unused_labels(collection: Collection, labels: str) -> list[str]:
    """A note that the source has labels and `labels` was not given."""
    if labels.strip():
        return []
    for name in [entry.name for entry in collection.skipped if entry.name.rpartition("/")[2] == "dataset.json"]:
        with contextlib.suppress(Exception):  # Not a file of labels, then.
            if json.loads(collection.read_other(name))["labels"]:
                return [f"the source holds {name} with labels, which are not used: `labels={name}`."]
    return ["the source has labels, which are not used: `labels=classes`."] if collection.has_classes else []


def open_collection(source: str, resolution: Optional[int] = None, max_images: Optional[int] = None) -> Collection:
    """The pictures of `source` as they are. `resolution`: for the sources that can make any."""
    if source in ("demo", "synthetic"):
        if source == "demo":
            return arrays.DemoCollection(resolution)
        return arrays.SyntheticCollection(max_images or _SYNTHETIC_IMAGES, resolution or 64)
    path = ensure_local(os.path.expanduser(source))
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise UserError(f"`source` {short(source)}: there is no such file or folder. Give {_KINDS}.")
    return _in_file(path)


def _in_folder(folder: pathlib.Path) -> Collection:
    names = os.listdir(folder)
    if any(records.parse_shard_file_name(name) for name in names):
        return TFRecordCollection(folder)
    if "data.mdb" in names:
        return LmdbCollection(str(folder))
    faces = known_datasets.celeba_folder(folder)
    if faces is not None:
        return faces
    idx = known_datasets.idx_file(folder)
    if idx is not None:
        found = known_datasets.IdxCollection(idx)
        inside = idx.relative_to(folder).parts
        found.skipped += other_entries(folder, inside[:1]) if len(inside) > 1 else []
        return found
    tables = None if any(name.lower().endswith(IMAGE_SUFFIXES) for name in names) else table_folder(folder)
    return tables or known_datasets.cifar_folder(folder) or folder_collection(folder)


def _in_file(path: pathlib.Path) -> Collection:
    name = path.name.lower()
    by_suffix = {".npy": arrays.npy_collection, ".npz": arrays.npz_collection, ".mat": arrays.svhn_collection}
    by_suffix.update(dict.fromkeys((".h5", ".hdf5"), arrays.HDF5Collection))
    if path.suffix.lower() in by_suffix:
        with reading_source(str(path), f"a {path.suffix.lower()} file"):
            return by_suffix[path.suffix.lower()](str(path))
    if is_table(name):
        return TableCollection([path], str(path))
    if name.endswith(IMAGE_SUFFIXES):
        return FileCollection(str(path.parent), [path.name])
    if name.endswith((".txt", ".lst")):
        return list_collection(path)
    if "idx3" in name:
        return known_datasets.IdxCollection(path)
    if zipfile.is_zipfile(path):
        with reading_source(str(path), "a zip archive"):
            return known_datasets.celeba_zip(path) or ZipCollection(str(path))
    if name.endswith(_TAR_SUFFIXES) or tarfile.is_tarfile(path):
        with reading_source(str(path), "a tar archive"):
            return known_datasets.cifar_archive(str(path)) or TarCollection(str(path))
    raise UserError(f"`source` {path} is a file of an unknown kind, or a damaged one. Give {_KINDS}.")
