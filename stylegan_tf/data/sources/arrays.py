"""Collections of pictures that are arrays in a file: NumPy, HDF5, and MATLAB's format as SVHN uses it."""

import os
import zipfile
from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np

from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.collection import Collection, Labels, LeftOut, as_labels, one_hot, optional_module
from stylegan_tf.errors import UserError
from stylegan_tf.files.arrays import read_array_stream

_IMAGE_NAMES = ("images", "image", "x", "x_train", "data", "arr_0")
_LABEL_NAMES = ("labels", "label", "y", "y_train", "classes", "arr_1")


class ArrayCollection(Collection):
    """uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 to 4 channels (gray, gray + alpha, RGB, RGB + alpha)."""

    def __init__(
        self,
        array: reading.SpooledArray,
        where: str,
        labels: Optional[Labels] = None,
        left_out: Sequence[LeftOut] = (),
        files: Sequence[str] = (),  # What it was read from, if that is not `where`.
    ):
        self._array, self._labels, self.left_out = array, labels, left_out
        self._fingerprint = " ".join(map(reading.fingerprint, files or [where]))
        self._channels_first = channels_first(array.get().shape, array.get().dtype, where)
        self.num_channels = _written_channels(array.get().shape, self._channels_first)

    def __len__(self) -> int:
        return len(self._array.get())

    def read(self, index: int) -> np.ndarray:
        picture = np.array(self._array.get()[index])
        return picture.transpose(1, 2, 0) if self._channels_first else picture

    def classes(self) -> Optional[Labels]:
        return self._labels

    def fingerprint(self, index: int) -> str:
        return self._fingerprint


class HDF5Collection(Collection):
    """The largest dataset of pictures in an HDF5 file (files with several sizes hold them as data4x4, data8x8, ...)."""

    def __init__(self, path: str):
        self._path, self._file = path, None
        found = {name: (shape, dtype) for name, shape, dtype in self._datasets()}
        images = [name for name, (shape, dtype) in found.items() if dtype == np.uint8 and len(shape) in (3, 4)]
        if not images:
            listed = ", ".join(f"{name} {dtype} {list(shape)}" for name, (shape, dtype) in found.items()) or "nothing"
            raise UserError(
                f"`source` {path} holds no pictures: expected a dataset uint8 [N, C, H, W] or "
                f"[N, H, W, C], found {listed}."
            )
        self._name = max(images, key=lambda name: np.prod(found[name][0], dtype=np.int64))
        shape, dtype = found[self._name]
        self._count = shape[0]
        self._channels_first = channels_first(shape, dtype, f"{path}:{self._name}")
        self.num_channels = _written_channels(shape, self._channels_first)
        self._label_name = _first_of(_LABEL_NAMES, found)
        self.left_out = _other_arrays(found, self._name, self._label_name)
        self._fingerprint = reading.fingerprint(path)

    def __getstate__(self):
        return {**self.__dict__, "_file": None}

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> np.ndarray:
        picture = self._open()[self._name][index]
        return picture.transpose(1, 2, 0) if self._channels_first else picture

    def classes(self) -> Optional[Labels]:
        if self._label_name is None:
            return None
        return as_labels(self._open()[self._label_name][()], f"{self._path}:{self._label_name}", self._count)

    def fingerprint(self, index: int) -> str:
        return self._fingerprint

    def _open(self):
        if self._file is None:
            h5py = optional_module("h5py", "HDF5 files")
            with reading.reading_source(self._path, "HDF5"):
                self._file = h5py.File(self._path, "r")
        return self._file

    def _datasets(self) -> list[tuple]:
        """(name, shape, dtype) of all."""
        found: list[tuple] = []

        def visit(name, node):
            if hasattr(node, "shape") and hasattr(node, "dtype"):
                found.append((name, node.shape, node.dtype))

        self._open().visititems(visit)
        return found


def npy_collection(path: str) -> ArrayCollection:
    """A `.npy` file, mapped into memory."""
    array = reading.SpooledArray(reading.SpooledFile(path, temporary=False))
    _checked(array, path)
    return ArrayCollection(array, path)


def npz_collection(path: str) -> ArrayCollection:
    """The array `images` (or x, data, ...) of a `.npz` file, with `labels` (or y, ...) if it is there."""
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        image_name = next(iter(names)) if len(names) == 1 else _first_of(_IMAGE_NAMES, names)
        if image_name is None:
            raise UserError(f"`source` {path} should have an array 'images', found: {', '.join(names) or 'none'}.")
        with archive.open(names[image_name]) as stream:
            array = reading.SpooledArray(reading.copied(stream))
        label_name = _first_of(_LABEL_NAMES, [name for name in names if name != image_name])
        labels = None
        if label_name is not None:
            with archive.open(names[label_name]) as stream:
                labels = read_array_stream(stream, archive.getinfo(names[label_name]).file_size)
    count = len(_checked(array, path))
    labels = None if labels is None else as_labels(labels, f"{path}:{label_name}", count)
    return ArrayCollection(array, path, labels, _other_arrays(names, image_name, label_name))


def svhn_collection(path: str) -> ArrayCollection:
    """`train_32x32.mat` of SVHN: X [32, 32, 3, N] and y [N, 1], where 10 stands for the digit 0."""
    io = optional_module("scipy.io", "MATLAB files")
    with reading.reading_source(path, "a MATLAB file"):
        content = io.loadmat(path, variable_names=("X", "y"))
        names = [name for name, _, _ in io.whosmat(path)]
    images, labels = content.get("X"), content.get("y")
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.dtype != np.uint8:
        raise UserError(f"`source` {path} should have X, uint8 [H, W, C, N], as SVHN's files of cropped digits have.")
    if labels is not None:
        count = images.shape[3]
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iuf" or labels.size != count:
            raise UserError(f"`source` {path} holds {count} pictures and no {count} class numbers in y.")
        if labels.dtype.kind == "f" and not np.isin(labels, np.arange(11)).all():
            raise UserError(f"`source` {path} has y that are no digits from 1 to 10.")
        labels = one_hot(labels.reshape(-1) % 10, tuple("0123456789"))
    pictures = reading.saved(np.ascontiguousarray(images.transpose(3, 0, 1, 2)))
    return ArrayCollection(pictures, path, labels, _other_arrays(names, "X", "y"))


def channels_first(shape: Sequence[int], dtype, where: str) -> bool:
    """Which of the two layouts an array of pictures has. Raises UserError if it is none."""
    is_pictures = dtype == np.uint8 and len(shape) in (3, 4) and all(shape)
    if is_pictures and (len(shape) == 3 or 1 <= shape[3] <= 4):
        return False
    if is_pictures and 1 <= shape[1] <= 4:
        return True
    raise UserError(
        f"{where} holds {dtype} {list(shape)}, expected pictures: uint8 [N, H, W], [N, H, W, C] or "
        "[N, C, H, W] with 1 to 4 channels."
    )


def _written_channels(shape: Sequence[int], first: bool) -> int:
    channels = 1 if len(shape) == 3 else shape[1] if first else shape[3]
    return 1 if channels <= 2 else 3


def _other_arrays(names: Iterable[str], *used: Optional[str]) -> list[LeftOut]:
    return [LeftOut(name, "other arrays") for name in names if name not in used]


def _first_of(wanted: Iterable[str], names: Iterable[str]) -> Optional[str]:
    return next((name for name in wanted if name in names), None)


def _checked(array: reading.SpooledArray, path: str) -> np.ndarray:
    with reading.reading_source(path, "an array of numbers"):  # Of Python objects, or no array at all.
        found = array.get()
        if not isinstance(found, np.ndarray):
            raise ValueError("it holds something else")
        if isinstance(found, np.memmap) and found.offset + found.nbytes != os.path.getsize(found.filename):
            raise ValueError(
                f"it has {os.path.getsize(found.filename):,} bytes, its head says {found.offset + found.nbytes:,}"
            )
        return found
