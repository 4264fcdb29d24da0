"""Collections of pictures that are arrays: in NumPy's, HDF5's and MATLAB's files, of the demo set, or computed."""

import functools
import math
import os
import zipfile
from collections.abc import Iterable, Sequence
from typing import Callable, Optional

import numpy as np
from PIL import Image

from stylegan_tf.config.errors import UserError, optional_module
from stylegan_tf.data import demo, records
from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.archives import check_zip_directory
from stylegan_tf.data.sources.collection import Collection, Labels, Skipped, as_labels, one_hot
from stylegan_tf.files.arrays import read_array_stream

_IMAGE_NAMES = ("images", "image", "x", "x_train", "data", "arr_0")
_MAX_PLANES = 16
_LABEL_NAMES = ("labels", "label", "y", "y_train", "classes", "arr_1")


class ArrayCollection(Collection):
    """Numbers [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 to 16 channels."""

    def __init__(
        self,
        array: reading.LazyArray,
        where: str,
        labels: Optional[Callable[[], Labels]] = None,  # Nothing of them is read before they are asked for.
        skipped: Sequence[Skipped] = (),
        files: Optional[Sequence[str]] = None,  # What it was read from, if that is not `where`.
    ):
        shape, dtype = array.get().shape, array.get().dtype
        self._array, self._labels, self.skipped, self._count = array, labels, skipped, shape[0]
        self.has_classes = labels is not None
        self._fingerprint = " ".join(map(reading.fingerprint, [where] if files is None else files))
        self._channels_first = channels_first(shape, dtype, where)
        self.num_channels = 1 if len(shape) == 3 or shape[1 if self._channels_first else 3] == 1 else 3

    def read(self, index: int) -> np.ndarray:
        picture = np.array(self._array.get()[index])
        return picture.transpose(1, 2, 0) if self._channels_first else picture

    def classes(self) -> Optional[Labels]:
        return self._labels and self._labels()


class HDF5Collection(ArrayCollection):
    """The largest dataset of pictures in an HDF5 file (files with several sizes hold them as data4x4, data8x8, ...)."""

    def __init__(self, path: str):
        found = _hdf5_datasets(path)
        images = [name for name, node in found.items() if _is_pictures(node.shape, node.dtype)]
        images = [name for name in images if found[name].dtype == np.uint8] or images
        if not images:
            listed = ", ".join(f"{name} {node.dtype} {list(node.shape)}" for name, node in found.items()) or "nothing"
            raise UserError(
                f"`source` {path} holds no pictures: expected a dataset of numbers [N, C, H, W] or "
                f"[N, H, W, C], found {listed}."
            )
        name = max(images, key=lambda name: found[name].size)
        if "MATLAB_class" in found[name].attrs:
            raise UserError(_of_matlab(path))
        _check_is_written(path, name, found[name])
        label_name = _first_of(_LABEL_NAMES, found)
        labels = label_name and functools.partial(_hdf5_labels, path, label_name, found[name].shape[0])
        skipped = _other_arrays(found, name, label_name)
        array = reading.LazyArray(_hdf5_dataset, path, name)
        super().__init__(array, f"{path}:{name}", labels, skipped, [path])


class DemoCollection(ArrayCollection):
    """The demo set, at 64x64 or a smaller level."""

    def __init__(self, resolution: Optional[int] = None):
        super().__init__(reading.LazyArray(_demo_level, resolution), "the demo set", files=())

    def attributes(self) -> dict[str, demo.Attribute]:
        return demo.load_demo_attributes()


class SyntheticCollection(Collection):
    """Soft random blobs: picture i is always the same."""

    def __init__(self, count: int, resolution: int):
        self._count, self._resolution = count, resolution

    def read(self, index: int) -> np.ndarray:
        coarse = np.random.RandomState(index).randint(0, 256, [4, 4, 3]).astype(np.uint8)
        size = (self._resolution, self._resolution)
        return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def npy_collection(path: str) -> ArrayCollection:
    """A `.npy` file, mapped into memory."""
    array = reading.mapped(reading.SpooledFile(path))
    _checked(array)
    return ArrayCollection(array, path)


def npz_collection(path: str) -> ArrayCollection:
    """The array `images` (or x, data, ...) of a `.npz` file, with `labels` (or y, ...) if it is there."""
    with zipfile.ZipFile(path) as archive:
        check_zip_directory(path, archive.infolist())
        names = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        image_name = next(iter(names)) if len(names) == 1 else _first_of(_IMAGE_NAMES, names)
        if image_name == "dlatents":
            raise UserError(
                f"`source` {path} holds dlatents, not pictures: give the folder that generate makes of them."
            )
        if image_name is None:
            raise UserError(f"`source` {path} should have an array 'images', found: {', '.join(names) or 'none'}.")
        with archive.open(names[image_name]) as stream:
            array = reading.mapped(reading.copied(stream))
    label_name = _first_of(_LABEL_NAMES, [name for name in names if name != image_name])
    labels = label_name and functools.partial(_npz_labels, path, label_name, len(_checked(array)))
    return ArrayCollection(array, path, labels, _other_arrays(names, image_name, label_name))


def _npz_labels(path: str, name: str, count: int) -> Labels:
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        labels = read_array_stream(stream, archive.getinfo(f"{name}.npy").file_size)
    return as_labels(labels, f"{path}:{name}", count)


def svhn_collection(path: str) -> ArrayCollection:
    """`train_32x32.mat` of SVHN: X [32, 32, 3, N] and y [N, 1], where 10 stands for the digit 0."""
    io = optional_module("scipy.io", "a MATLAB file")
    with open(path, "rb") as stream:
        if stream.read(10) == b"MATLAB 7.3":
            raise UserError(_of_matlab(path))
    content = io.loadmat(path, variable_names=("X", "y"))
    names = [name for name, _, _ in io.whosmat(path)]
    images, labels = content.get("X"), content.get("y")
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.dtype != np.uint8:
        raise UserError(f"`source` {path} should have X, uint8 [H, W, C, N], as SVHN's files of cropped digits have.")
    labels = None if labels is None else functools.partial(_svhn_labels, labels, path, images.shape[3])
    pictures = reading.saved(np.ascontiguousarray(images.transpose(3, 0, 1, 2)))
    return ArrayCollection(pictures, path, labels, _other_arrays(names, "X", "y"))


def _svhn_labels(labels, path: str, count: int) -> Labels:
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iuf" or labels.size != count:
        raise UserError(f"`source` {path} holds {count} pictures, but not as many class numbers in y.")
    if labels.dtype.kind == "f" and not np.isin(labels, np.arange(11)).all():
        raise UserError(f"`source` {path} has other values in y than the digits 1 to 10.")
    return one_hot(labels.reshape(-1) % 10, tuple("0123456789"))


def _of_matlab(path: str) -> str:
    return (
        f"`source` {path} is a MATLAB v7.3 file, whose arrays have their axes in reverse order: save X, uint8 "
        "[H, W, C, N], with -v7, or make a .npy file [N, H, W, C] of it."
    )


def _hdf5_datasets(path: str) -> dict:
    """All of a file by name."""
    found = {}

    def visit(name, node):
        if hasattr(node, "shape") and hasattr(node, "dtype"):
            found[name] = node

    _hdf5_file(path).visititems(visit)
    return found


def _hdf5_file(path: str):
    return optional_module("h5py", "an HDF5 file").File(path, "r")


def _hdf5_dataset(path: str, name: str):
    return _hdf5_file(path)[name]


def _hdf5_labels(path: str, name: str, count: int) -> Labels:
    return as_labels(_hdf5_dataset(path, name)[()], f"{path}:{name}", count)


def _check_is_written(path: str, name: str, data) -> None:
    """HDF5 reads zeros where nothing was written, and where a chunk is missing, as after damage to their index."""
    if data.id.get_space_status() == 0:  # SPACE_STATUS_NOT_ALLOCATED
        raise UserError(f"`source` {path} was never finished: nothing was written to its {name}.")
    expected = math.prod(-(-size // chunk) for size, chunk in zip(data.shape, data.chunks)) if data.chunks else 0
    if data.chunks and data.id.get_num_chunks() != expected:
        found = f"{data.id.get_num_chunks():,} of {expected:,} pieces of {name}"
        raise UserError(f"`source` {path} is damaged or was never finished: it holds {found}.")


def _demo_level(resolution: Optional[int]) -> np.ndarray:
    """A level, not pictures resized by a filter: a set at 32x32 is the set at 64x64 without its largest level."""
    images = demo.load_demo_images()
    if (resolution or 4) > images.shape[1]:
        raise UserError(f"`resolution={resolution}`: the demo set has {images.shape[1]}x{images.shape[1]} pixels.")
    return records.image_levels(images)[resolution or images.shape[1]]


def channels_first(shape: Sequence[int], dtype, where: str) -> bool:
    """Which of the two layouts an array of pictures has. Raises UserError if it is none."""
    if len(shape) == 3 and shape[2] <= 4 < shape[1]:
        raise UserError(f"{where} holds {dtype} {list(shape)}: is it one picture? Save it as [1, H, W, C].")
    if _is_pictures(shape, dtype):
        if len(shape) == 3 or shape[3] <= 4:
            return False
        if min(shape[1], shape[3]) <= _MAX_PLANES:
            return shape[1] < shape[3]
    raise UserError(
        f"{where} holds {dtype} {list(shape)}, expected pictures: numbers [N, H, W], [N, H, W, C] or "
        f"[N, C, H, W] with 1 to {_MAX_PLANES} channels."
    )


def _is_pictures(shape: Sequence[int], dtype) -> bool:
    return dtype.kind in "biuf" and len(shape) in (3, 4) and all(shape)


def _other_arrays(names: Iterable[str], *used: Optional[str]) -> list[Skipped]:
    return [Skipped(name, "other arrays") for name in names if name not in used]


def _first_of(wanted: Iterable[str], names: Iterable[str]) -> Optional[str]:
    return next((name for name in wanted if name in names), None)


def _checked(array: reading.LazyArray) -> np.ndarray:
    found = array.get()
    if not isinstance(found, np.ndarray):
        raise ValueError("it holds something else than an array of numbers")
    if isinstance(found, np.memmap) and found.offset + found.nbytes != os.path.getsize(found.filename):
        raise ValueError(
            f"it has {os.path.getsize(found.filename):,} bytes, its header says {found.offset + found.nbytes:,}"
        )
    return found
