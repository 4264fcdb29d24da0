"""What every kind of source has in common."""

from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.data.demo import Attribute
from stylegan_tf.data.making.decoding import Box, Picture
from stylegan_tf.errors import UserError


class Labels(NamedTuple):
    """One row for each picture, in the order of the collection."""

    values: np.ndarray  # float32 [N, L]
    names: tuple[str, ...]  # L of them.


class Collection:
    """Pictures by number, with names, and with labels if the source brings some.

    A collection is sent to worker processes: files are opened where they are first needed and are not part of what is
    sent. Archives are read as streams; nothing in them is ever extracted to a path that they name.
    """

    num_channels = 3  # Of what is written, unless asked otherwise.
    content_box: Optional[Box] = None  # Of pictures that are letterboxed already, at `resolution`.
    resolution: Optional[int] = None

    def __len__(self) -> int:
        raise NotImplementedError

    def name(self, index: int) -> str:
        """For messages, and for looking up labels: the path of a file within the source, or just a number."""
        return f"{index:08d}"

    def read(self, index: int) -> Picture:
        """Raises `BadPicture` if this one cannot be read."""
        raise NotImplementedError

    def read_other(self, name: str) -> Optional[bytes]:
        """A file beside the pictures, such as dataset.json; None if it is not there."""
        return None

    def classes(self) -> Optional[Labels]:
        """The source's own labels; None if it has none."""
        return None

    def attributes(self) -> Optional[dict[str, Attribute]]:
        """What is known about each picture by name; None if nothing is."""
        return None


def one_hot(classes: np.ndarray, names: Optional[tuple[str, ...]] = None) -> Labels:
    """int [N], from 0 -> one-hot labels."""
    classes = np.asarray(classes).astype(np.int64).reshape(-1)
    if classes.size and classes.min() < 0:
        raise UserError(f"class numbers start at 0, found {classes.min()}.")
    size = len(names) if names else int(classes.max(initial=-1)) + 1
    if classes.size and (classes.max() >= size or size > 100_000):
        raise UserError(f"class number {classes.max()} does not fit {size} classes.")
    names = names or tuple(str(number) for number in range(size))
    values = np.zeros([len(classes), size], np.float32)
    values[np.arange(len(classes)), classes] = 1
    return Labels(values, names)


def as_labels(array: np.ndarray, where: str, count: int) -> Labels:
    """Class numbers [N] (or [N, 1] integers), or numbers [N, L]."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or len(array) != count:
        raise UserError(f"{where} holds {array.dtype} {list(array.shape)}, expected class numbers [{count}] or numbers "
                        f"[{count}, labels].")
    if array.dtype.kind in "iu" and (array.ndim == 1 or array.shape[1] == 1):
        return one_hot(array)
    values = array.reshape(count, -1).astype(np.float32)
    return Labels(values, tuple(f"label{index}" for index in range(values.shape[1])))


def optional_module(name: str, what: str):
    """A module that only some sources need. Raises UserError, which says how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise UserError(f"reading {what} needs the Python package {package}: pip install {package}.") from error
