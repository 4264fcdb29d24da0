"""Pictures become squares of uint8, of one size: cropped, letterboxed or stretched, and resized."""

import contextlib
import hashlib
import statistics
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

import google_crc32c
import numpy as np
from PIL import Image

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.data import MAX_RATIO
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import is_resolution
from stylegan_tf.data import records
from stylegan_tf.data.letterbox import Box, letterbox
from stylegan_tf.data.sources.collection import Collection, Labels
from stylegan_tf.data.sources.opening import (
    BadPicture,
    Page,
    Picture,
    count_pages,
    open_layers,
    parse_background,
    picture_size,
    with_plain_background,
)
from stylegan_tf.data.sources.reading import reading_picture

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
_FEW_COLOURS = 64  # Pictures with at most this many are considered pixel art.
# What may be noticed of a picture, besides what `opening` notices.
PIXEL_ART, ENLARGED, CROPPED = "pixel art", "enlarged", "cropped"
_SAMPLES = 100  # Pictures whose size decides about the resolution.


class DecodedImage(NamedTuple):
    """uint8 [r, r, C] and which part of it is picture; None: all of it.

    peak: the largest value of a picture of more than 8 bits, None for others.
    ratio: width by height of a picture that was stretched, None for others.
    file: the JPEG file of which the image is the decoded content, without any change; None for others.
    noticed: of `PIXEL_ART`, `ENLARGED` (blurred by that), `CROPPED` (by more than half),
      `opening.PAGES`, `colours.CONVERTED`, `BROKEN`, `UNSUPPORTED` and `CUT`.
    digest: of the pixels before they were fitted.
    """

    image: np.ndarray
    box: Optional[Box]
    peak: Optional[float] = None
    ratio: Optional[float] = None
    file: Optional[bytes] = None
    noticed: tuple[str, ...] = ()
    digest: str = ""


def to_square(picture: Picture, options: PictureOptions) -> DecodedImage:
    """Raises ValueError for what cannot be decoded, and UserError for what the options do not say how to take."""
    opened, side = open_layers(picture, options), options.resolution
    first, size = opened.layers[0], (side, side)
    if options.fit == "stretch" and max(first.size) > MAX_RATIO * min(first.size):
        raise ValueError(f"it has {first.width}x{first.height} pixels, which is too long to be stretched to a square")
    if options.fit is None and first.size != size:
        raise UserError(
            f"it has {first.width}x{first.height} pixels, expected {side}x{side} like the first: "
            "pass `resolution` or `fit` to crop and resize all of them."
        )
    noticed = opened.noticed
    is_blurred = options.filter != "nearest" and max(first.size) < side
    if is_blurred and len(opened.layers) == 1 and first.getcolors(_FEW_COLOURS):
        noticed += (PIXEL_ART,)
    if options.filter != "nearest" and (max if options.fit == "pad" else min)(first.size) < side:
        noticed += (ENLARGED,)
    if options.fit == "crop" and 2 * min(first.size) < max(first.size):
        noticed += (CROPPED,)
    box = letterbox(first.size, side) if options.fit == "pad" and first.width != first.height else None
    image = _joined([_fitted(layer, box, options) for layer in opened.layers])
    return DecodedImage(
        image,
        box,
        opened.peak,
        first.width / first.height if options.fit == "stretch" else None,
        picture if opened.is_plain_jpeg and first.size == size else None,
        noticed,
        _digest(opened.layers, image),
    )


def to_pixels(picture: Picture, options: PictureOptions) -> DecodedImage:
    """A picture as large as it is, uint8 [H, W, C]. Raises ValueError for what cannot be decoded."""
    opened = open_layers(picture, options)
    return DecodedImage(_joined(opened.layers), None, opened.peak, noticed=opened.noticed)


def _joined(layers: list[Image.Image]) -> np.ndarray:
    """uint8 [H, W, C]"""
    return np.concatenate([np.atleast_3d(np.asarray(layer)) for layer in layers], axis=2)


def _digest(layers: list[Image.Image], image: np.ndarray) -> str:
    """Hash of the fitted pixels, with a checksum of the original ones: hashing all of these would be slow."""
    checksum = 0
    for layer in layers:
        checksum = google_crc32c.extend(checksum, layer.tobytes())
    digest = hashlib.blake2b(f"{layers[0].mode} {layers[0].size} {checksum}".encode(), digest_size=12)
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()


def _fitted(image: Image.Image, box: Optional[Box], options: PictureOptions) -> Image.Image:
    size, filter = (options.resolution, options.resolution), FILTERS[options.filter]
    if box is not None:
        image = _letterboxed(image, box, options)
    elif options.fit == "crop" and image.width != image.height:
        image = _central_square(image)
    image = image if image.size == size else image.resize(size, filter)
    # Resizing has made transparent pixels black.
    return with_plain_background(image, parse_background(options.background)) if image.mode == "RGBA" else image


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _letterboxed(image: Image.Image, box: Box, options: PictureOptions) -> Image.Image:
    """The picture within `box`; bars of the background on both sides."""
    left, top, right, bottom = box
    colour = parse_background(options.background)
    gray = round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])
    bars = {"L": gray, "RGB": colour, "RGBA": (*colour, 0)}[image.mode]
    canvas = Image.new(image.mode, (options.resolution, options.resolution), bars)
    if image.size != (right - left, bottom - top):
        image = image.resize((right - left, bottom - top), FILTERS[options.filter])
    canvas.paste(image, (left, top))
    return canvas


class FittedSource:
    """`read(i)` -> DecodedImage; labels float32 [N, L] or None; `notes`: lines for the user."""

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
        self.white, self.has_planes = options.white, options.planes is not None
        self.skipped, self.notes = tuple(collection.skipped), tuple(notes)
        if count < len(collection):
            self.notes += (f"{len(collection) - count:,} more pictures were not taken: `max_images`.",)

    def __getstate__(self):
        return {**self.__dict__, "labels": None, "skipped": ()}  # Workers need none.

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return self._collection.name(index)

    def read(self, index: int) -> DecodedImage:
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
        """TFRecords that are letterboxed stay so when they are converted again."""
        box = self._collection.content_box
        return box and tuple(side * self.resolution // self._collection.resolution for side in box)


class PagedCollection(Collection):
    """A collection of files in which each page of a TIFF is a picture.

    enough: a number of pictures; the files after these are not read and count as one each.
    """

    def __init__(self, files: Collection, enough: Optional[int] = None):
        self._files, self.skipped, self.num_channels = files, files.skipped, files.num_channels
        self.label_columns, self.has_classes = files.label_columns, files.has_classes
        self._places = []
        for index in range(len(files)):
            count = 1
            if enough is None or len(self._places) < enough:
                with contextlib.suppress(BadPicture), reading_picture(files.name(index)):
                    content = files.read(index)
                    count = count_pages(content) if isinstance(content, bytes) else 1
            self._places += [(index, page if count > 1 else None) for page in range(count)]

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

    def classes(self, column: str = "") -> Optional[Labels]:
        labels = self._files.classes(column)
        return labels and labels._replace(values=labels.values[[file for file, _ in self._places]])


def choose_resolution(collection: Collection, fit: Optional[str]) -> int:
    """Without `fit`, the size of the first picture, which must be a square power of two.

    With it, the largest power of two that does not enlarge the median of up to 100 pictures; letterboxed ones count
    with their longer side. At most 1024.
    """
    count, step = len(collection), max(1, len(collection) // _SAMPLES)
    sizes = _sizes(collection, range(min(count, _SAMPLES)) if fit is None else range(0, count, step))
    first = next(sizes, None)
    if first is None:
        try:
            with reading_picture(collection.name(0)):
                first = picture_size(collection.read(0))
        except BadPicture as error:
            text = f"none of the pictures that were tried can be read: {error}. Is this a collection of pictures?"
            raise UserError(text) from error
    if fit is None:
        width, height = first
        if width != height or not is_resolution(width):
            near = _power_of_two(min(first))
            raise UserError(
                f"{collection.name(0)} has {width}x{height} pixels: expected a square with a power of two on each "
                f"side. `resolution={near}` crops and resizes all images to {near}x{near}; `fit=pad` keeps all of them."
            )
        return width
    side = max if fit == "pad" else min
    return _power_of_two(statistics.median_low(side(size) for size in (first, *sizes)))


def _power_of_two(side: int) -> int:
    """The largest one up to `side`, within 4 and 1024."""
    return min(1024, max(records.MIN_RESOLUTION, 1 << (side.bit_length() - 1)))


def _sizes(collection: Collection, indices: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(width, height) of the pictures that can be read."""
    for index in indices:
        size = None
        with contextlib.suppress(BadPicture), reading_picture(collection.name(index)):
            size = picture_size(collection.read(index))
        if size is not None:
            yield size
