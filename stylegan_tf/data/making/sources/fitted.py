"""A collection whose pictures have become squares of one size: what `writer.write_tfrecords` takes."""

import statistics
from typing import Optional

from stylegan_tf.data import records
from stylegan_tf.data.making.decoding import BadPicture, PictureOptions, Square, picture_size, to_square
from stylegan_tf.data.making.sources.collection import Collection, Labels
from stylegan_tf.errors import UserError

_LOOKED_AT = 100  # Pictures whose size decides about the resolution.


class FittedSource:
    """`read(i)` -> Square; labels float32 [N, L] or None."""

    def __init__(self, collection: Collection, options: PictureOptions, labels: Optional[Labels], count: int):
        self._collection, self._count, self.options = collection, count, options
        self.resolution, self.num_channels = options.resolution, options.num_channels
        self.labels = None if labels is None else labels.values[:count]
        self.label_names = () if labels is None else labels.names

    def __getstate__(self):
        return {**self.__dict__, "labels": None}  # Workers need none.

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return self._collection.name(index)

    def read(self, index: int) -> Square:
        """Raises BadPicture for what cannot be decoded, UserError for a wrong size; both name the picture."""
        name = self._collection.name(index)
        try:
            square = to_square(self._collection.read(index), self.options)
        except BadPicture as error:
            raise BadPicture(f"{name} {error}") from error
        except ValueError as error:
            raise BadPicture(f"{name} cannot be read as an image ({error})") from error
        except UserError as error:
            raise UserError(f"{name} does not fit: {error}") from error
        return square if square.box is not None else square._replace(box=self._known_box())

    def _known_box(self):
        """Letterboxed TFRecords that are only written anew stay letterboxed."""
        box = self._collection.content_box
        return box and tuple(side * self.resolution // self._collection.resolution for side in box)


def choose_resolution(collection: Collection, fit: Optional[str]) -> int:
    """Without `fit`, the size of the first picture, which must be a square power of two.

    With it, the largest power of two that does not enlarge the median of up to 100 pictures; letterboxed ones count
    with their longer side. At most 1024.
    """
    if fit is None:
        width, height = _first_size(collection)
        if width != height or not records.is_valid_resolution(width):
            raise UserError(
                f"{collection.name(0)} has {width}x{height} pixels: expected a square with a power of two on each "
                "side. Pass --resolution, or --fit=crop|pad|stretch, to crop and resize all images."
            )
        return width
    side = max if fit == "pad" else min
    sides = []
    for index in range(0, len(collection), max(1, len(collection) // _LOOKED_AT)):
        try:
            sides.append(side(picture_size(collection.read(index))))
        except (BadPicture, ValueError):
            continue
    if not sides:
        raise UserError(f"none of the pictures that were tried can be read, the first is {collection.name(0)}.")
    median = int(statistics.median_low(sides))
    return min(1024, max(records.MIN_RESOLUTION, 1 << (median.bit_length() - 1)))


def _first_size(collection: Collection) -> tuple[int, int]:
    """Of the first picture that can be read."""
    for index in range(min(len(collection), _LOOKED_AT)):
        try:
            return picture_size(collection.read(index))
        except (BadPicture, ValueError) as error:
            first = f"{collection.name(index)} cannot be read as an image ({error})"
    raise UserError(f"{first}, nor can those before it: is this a collection of pictures?")
