"""The interface of all kinds of sources, and labels by class."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.demo import Attribute
from stylegan_tf.data.letterbox import Box
from stylegan_tf.data.sources.opening import Picture
from stylegan_tf.files.file_errors import short

_MAX_CLASSES = 100_000


class Labels(NamedTuple):
    """One row for each picture, in the order of the collection."""

    values: np.ndarray  # float32 [N, L]
    names: tuple[str, ...]  # L of them.
    note: str = ""  # For the user: where they come from.


class Skipped(NamedTuple):
    """A file that was found and is not a picture of the set."""

    name: str
    kind: str  # ".heic", "hidden", "broken links": follows a number in the summary.


class Collection:
    """Pictures by number, with names, and with labels if the source brings some.

    A collection is sent to worker processes: files are opened where they are first needed. Archives are read as
    streams; nothing in them is ever extracted to a path that they name.
    """

    _count: int  # Pictures.
    _fingerprint = ""  # Fingerprint of the file that holds all of them.
    _opened: Sequence[str] = ()  # Attributes that every process opens for itself, None until then.
    num_channels = 3  # Default for the records.
    has_planes = False  # Whether the channels are no colours, as in a dataset made with `planes`.
    content_box: Optional[Box] = None  # For pictures that are letterboxed already, at `resolution`.
    aspect_ratio: Optional[float] = None  # For pictures that are stretched already.
    resolution: Optional[int] = None
    skipped: Sequence[Skipped] = ()  # All other files that were found.

    def __getstate__(self):
        return {**self.__dict__, **dict.fromkeys(self._opened), "skipped": ()}

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """For messages, and for looking up labels: the path of a file within the source, or just a number."""
        return f"{index:08d}"

    def label_name(self, index: int) -> str:
        """By which a file of labels knows the picture."""
        return self.name(index)

    def read(self, index: int) -> Picture:
        """Raises whatever reading and decoding raise: `reading.reading_picture` sorts it."""
        raise NotImplementedError

    def fingerprint(self, index: int) -> str:
        """Changes when the picture does: size and time of the file that it is in."""
        return self._fingerprint

    def read_other(self, name: str) -> Optional[bytes]:
        """A file next to the pictures, such as dataset.json; None if it is not there."""
        return None

    has_classes = False  # Whether `classes()` has something to read.
    label_columns: Sequence[str] = ()  # Names that `classes` takes.

    def classes(self, column: str = "") -> Optional[Labels]:
        """The source's own labels, or those of one of `label_columns`; None if it has none. UserError for bad ones."""
        return None

    def attributes(self) -> Optional[dict[str, Attribute]]:
        """What is known about each picture by name; None if nothing is."""
        return None


def one_hot(classes: np.ndarray, names: Optional[tuple[str, ...]] = None) -> Labels:
    """int [N] -> one-hot labels. Without `names` every number that occurs is a class of that name."""
    classes = np.asarray(classes).astype(np.int64).reshape(-1)
    if classes.size and classes.min() < 0:
        raise UserError(f"class numbers start at 0, found {classes.min()}.")
    note = ""
    if names is None:
        numbers, classes = np.unique(classes, return_inverse=True)
        classes, names = classes.reshape(-1), tuple(map(str, numbers))
        if len(numbers) and numbers[-1] != len(numbers) - 1:
            note = (
                f"class numbers from {numbers[0]} to {numbers[-1]}, of which {len(numbers)} occur: these are the "
                "columns of the labels."
            )
    if len(names) > _MAX_CLASSES or (classes.size and classes.max() >= len(names)):
        raise UserError(f"class number {classes.max()} does not fit {min(len(names), _MAX_CLASSES)} classes.")
    values = np.zeros([len(classes), len(names)], np.float32)
    values[np.arange(len(classes)), classes] = 1
    return Labels(values, names, note)


def as_labels(array: np.ndarray, where: str, count: int, pictures: Optional[Sequence[str]] = None) -> Labels:
    """Class numbers [N] or [N, 1] (whole numbers, of integer or floating type), or numbers [N, L].

    where, pictures: for messages; without names of pictures, these are numbered.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or len(array) != count or not array.size:
        raise UserError(
            f"{where} holds {array.dtype} {list(array.shape)}, expected class numbers [{count}] or numbers "
            f"[{count}, labels]."
        )
    table = array.reshape(count, -1)
    values = finite_labels(table, where, pictures or [f"picture {index}" for index in range(count)])
    if table.shape[1] == 1 and array.dtype.kind != "b" and (table == np.rint(table)).all():
        return one_hot(table)
    return Labels(values, tuple(f"label{index}" for index in range(values.shape[1])))


def finite_labels(table: np.ndarray, where: str, pictures: Sequence[str]) -> np.ndarray:
    """Numbers [N, L] as they are stored: float32. UserError for one that is not finite then."""
    with np.errstate(over="ignore"):
        values = table.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        label, picture = short(table[wrong[0]].tolist(), 200), short(pictures[wrong[0]], 200)
        raise UserError(
            f"{where} has the label {label} for {picture} ({len(wrong)} such labels), expected finite numbers."
        )
    return values


def own_channels(pictures) -> dict[str, int]:
    """The option by which the channels of a `Collection` or a `DatasetInfo` stay what they are."""
    return {"planes" if pictures.has_planes else "channels": pictures.num_channels}
