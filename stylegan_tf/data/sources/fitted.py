"""A collection whose pictures have become squares of one size: what `writer.write_tfrecords` takes."""

import contextlib
import statistics
from collections.abc import Iterable
from typing import Optional

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import is_resolution
from stylegan_tf.data import records
from stylegan_tf.data.sources.collection import Collection, Labels
from stylegan_tf.data.sources.decoding import Square, to_square
from stylegan_tf.data.sources.opening import BadPicture, Page, Picture, count_pages, picture_size
from stylegan_tf.data.sources.reading import reading_picture

_SAMPLES = 100  # Pictures whose size decides about the resolution.


class FittedSource:
    """`read(i)` -> Square; labels float32 [N, L] or None; `notes`: lines for the user."""

    def __init__(
        self,
        collection: Collection,
        options: PictureOptions,
        labels: Optional[Labels],
        count: int,
        notes: Iterable[str] = (),
    ):
        self._collection, self._count, self.options = collection, count, options
        self.resolution, self.num_channels = options.resolution, options.num_channels
        self.labels = None if labels is None else labels.values[:count]
        self.label_names = () if labels is None else labels.names
        self.white = options.white
        self.left_out, self.notes = tuple(collection.left_out), tuple(notes)
        if count < len(collection):
            self.notes += (f"{len(collection) - count:,} more pictures were not taken: `max_images`.",)

    def __getstate__(self):
        return {**self.__dict__, "labels": None, "left_out": ()}  # Workers need none.

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return self._collection.name(index)

    def read(self, index: int) -> Square:
        """Raises BadPicture for what cannot be decoded, UserError for a wrong size; both name the picture."""
        with reading_picture(self._collection.name(index)):
            square = to_square(self._collection.read(index), self.options)
        if self._collection.aspect_ratio is not None:
            square = square._replace(ratio=self._collection.aspect_ratio)
        return square if square.box is not None else square._replace(box=self._known_box())

    def fingerprint(self, index: int) -> str:
        """Changes when the picture does."""
        with reading_picture(self._collection.name(index)):
            return self._collection.fingerprint(index)

    def _known_box(self):
        """TFRecords that are letterboxed stay so when they are converted once more."""
        box = self._collection.content_box
        return box and tuple(side * self.resolution // self._collection.resolution for side in box)


class PagedCollection(Collection):
    """A collection of files in which each page of a TIFF is a picture."""

    def __init__(self, files: Collection):
        self._files, self.left_out, self.num_channels = files, files.left_out, files.num_channels
        self._places = []
        for index in range(len(files)):
            count = 1
            with contextlib.suppress(BadPicture), reading_picture(files.name(index)):
                content = files.read(index)
                count = count_pages(content) if isinstance(content, bytes) else 1
            self._places += [(index, page if count > 1 else None) for page in range(count)]

    def __getstate__(self):
        return {**self.__dict__, "left_out": ()}

    def __len__(self) -> int:
        return len(self._places)

    def name(self, index: int) -> str:
        file, page = self._places[index]
        return self._files.name(file) + ("" if page is None else f":{page}")

    def label_name(self, index: int) -> str:
        return self._files.label_name(self._places[index][0])

    def read(self, index: int) -> Picture:
        file, page = self._places[index]
        content = self._files.read(file)
        return content if page is None else Page(content, page)

    def fingerprint(self, index: int) -> str:
        return self._files.fingerprint(self._places[index][0])

    def read_other(self, name: str) -> Optional[bytes]:
        return self._files.read_other(name)


def choose_resolution(collection: Collection, fit: Optional[str]) -> int:
    """Without `fit`, the size of the first picture, which must be a square power of two.

    With it, the largest power of two that does not enlarge the median of up to 100 pictures; letterboxed ones count
    with their longer side. At most 1024.
    """
    if fit is None:
        width, height = _first_size(collection)
        if width != height or not is_resolution(width):
            near = _power_of_two(min(width, height))
            raise UserError(
                f"{collection.name(0)} has {width}x{height} pixels: expected a square with a power of two on each "
                f"side. `resolution={near}` crops and resizes all images to {near}x{near}; `fit=pad` keeps all of them."
            )
        return width
    side = max if fit == "pad" else min
    sides = []
    for index in range(0, len(collection), max(1, len(collection) // _SAMPLES)):
        with contextlib.suppress(BadPicture):
            sides.append(side(_size(collection, index)))
    if not sides:
        raise UserError(f"none of the pictures that were tried can be read, the first is {collection.name(0)}.")
    return _power_of_two(int(statistics.median_low(sides)))


def _power_of_two(side: int) -> int:
    """The largest one up to `side`, within 4 and 1024."""
    return min(1024, max(records.MIN_RESOLUTION, 1 << (side.bit_length() - 1)))


def _first_size(collection: Collection) -> tuple[int, int]:
    """Of the first picture that can be read."""
    for index in range(min(len(collection), _SAMPLES)):
        try:
            return _size(collection, index)
        except BadPicture as error:
            last = str(error)
    raise UserError(f"{last}, nor can those before it: is this a collection of pictures?")


def _size(collection: Collection, index: int) -> tuple[int, int]:
    with reading_picture(collection.name(index)):
        return picture_size(collection.read(index))
