"""MNIST and Fashion-MNIST: idx files, compressed or not."""

import gzip
import pathlib
from typing import Optional

import numpy as np

from stylegan_tf.data.making.sources import reading, spool
from stylegan_tf.data.making.sources.collection import Collection, Labels, one_hot
from stylegan_tf.data.making.sources.image_files import others_in
from stylegan_tf.errors import UserError

_IDX_IMAGES = ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte")
_SETS = ("MNIST", "FashionMNIST", "KMNIST", "QMNIST")
_FOLDERS = ("", "raw", *(f"{name}/raw" for name in _SETS), *_SETS)


class IdxCollection(Collection):
    """MNIST's format. Pictures of 28x28 pixels get two black pixels on each side: 32x32, as in the authors' sets."""

    num_channels = 1

    def __init__(self, path: pathlib.Path):
        images = _read_idx(path)
        if images.ndim != 3:
            raise UserError(f"--source {path} holds an array {list(images.shape)}, expected pictures [N, H, W].")
        if images.shape[1:] == (28, 28):
            images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
        self._images, self._count = spool.saved(images), len(images)
        self._labels_path = _labels_of(path)
        used = [path.name, *([] if self._labels_path is None else [self._labels_path.name])]
        self.left_out = others_in(path.parent, used)
        self._fingerprint = reading.fingerprint(str(path))

    def fingerprint(self, index: int) -> str:
        return self._fingerprint

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> np.ndarray:
        return np.array(self._images.get()[index])

    def classes(self) -> Optional[Labels]:
        if self._labels_path is None:
            return None
        labels = _read_idx(self._labels_path)
        if labels.shape != (self._count,):
            raise UserError(f"{self._labels_path} holds {list(labels.shape)} labels, expected [{self._count}].")
        return one_hot(labels, tuple("0123456789") if labels.max() < 10 else None)


def idx_file(folder: pathlib.Path) -> Optional[pathlib.Path]:
    """The training images of an MNIST-like set in a folder or where torchvision puts them inside; compressed or not."""
    names = [name + suffix for name in _IDX_IMAGES for suffix in ("", ".gz")]
    candidates = (folder / inside / name for inside in _FOLDERS for name in names)
    found = {path.parent: path for path in reversed(list(candidates)) if path.is_file()}
    if len(found) > 1:
        sets = ", ".join(map(str, found))
        raise UserError(f"--source {folder} holds several sets ({sets}): give one of the folders.")
    return next(iter(found.values()), None)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Two zero bytes, type 8 (uint8), number of axes, their sizes as big-endian int32, the data."""
    with reading.reading_source(str(path), "an idx file"):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            head = stream.read(4)
            if len(head) != 4 or head[:3] != b"\x00\x00\x08" or not 1 <= head[3] <= 4:
                raise UserError(f"{path} is not an idx file of bytes, as MNIST's files are.")
            shape = tuple(np.frombuffer(stream.read(4 * head[3]), ">i4").tolist())
            data = stream.read()
    if len(shape) != head[3] or min(shape) < 1 or len(data) != int(np.prod(shape, dtype=np.int64)):
        raise UserError(f"{path} is damaged: it has {len(data)} bytes of data for an array {list(shape)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _labels_of(path: pathlib.Path) -> Optional[pathlib.Path]:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    others = (labels, labels.with_suffix("") if labels.suffix == ".gz" else labels.with_name(labels.name + ".gz"))
    return next((other for other in others if other.is_file() and other != path), None)
