"""A picture -> a square of uint8: crop, letterbox or stretch, and resize."""

import hashlib
from typing import NamedTuple, Optional

import google_crc32c
import numpy as np
from PIL import Image

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import Box, letterbox
from stylegan_tf.data.sources.opening import Picture, open_layers, parse_background, with_plain_background

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
_FEW_COLOURS = 64  # At most so many are taken for pixel art.
PIXEL_ART = "pixel art"  # What may be noticed of a picture, beside what `opening` notices.


class Square(NamedTuple):
    """uint8 [r, r, C] and which part of it is picture; None: all of it.

    peak: the largest value of a picture of more than 8 bits, None for others.
    ratio: width by height of a picture that was stretched, None for others.
    file: the JPEG file of which the image is the decoded content, without any change; None for others.
    noticed: of `PIXEL_ART`, `opening.PAGES`, `colours.CONVERTED` and `colours.BROKEN`.
    digest: of the pixels before they were fitted.
    """

    image: np.ndarray
    box: Optional[Box]
    peak: Optional[float] = None
    ratio: Optional[float] = None
    file: Optional[bytes] = None
    noticed: tuple[str, ...] = ()
    digest: str = ""


def to_square(picture: Picture, options: PictureOptions) -> Square:
    """Raises ValueError for what cannot be decoded, and UserError for what the options do not say how to take."""
    opened, side = open_layers(picture, options), options.resolution
    first, size = opened.layers[0], (side, side)
    if options.fit is None and first.size != size:
        raise UserError(
            f"it has {first.width}x{first.height} pixels, expected {side}x{side} like the first: "
            "pass `resolution` or `fit` to crop and resize all of them."
        )
    noticed = opened.noticed
    if _is_enlarged(first.size, options) and len(opened.layers) == 1 and first.getcolors(_FEW_COLOURS):
        noticed += (PIXEL_ART,)
    box = letterbox(first.size, side) if options.fit == "pad" and first.width != first.height else None
    image = _joined([_fitted(layer, box, options) for layer in opened.layers])
    return Square(
        image,
        box,
        opened.peak,
        first.width / first.height if options.fit == "stretch" else None,
        picture if opened.is_plain_jpeg and first.size == size else None,
        noticed,
        _digest(opened.layers, image),
    )


def to_pixels(picture: Picture, options: PictureOptions) -> np.ndarray:
    """uint8 [H, W, C] of a picture as large as it is. Raises ValueError for what cannot be decoded."""
    return _joined(open_layers(picture, options).layers)


def _joined(layers: list[Image.Image]) -> np.ndarray:
    """uint8 [H, W, C]"""
    return np.concatenate([np.atleast_3d(np.asarray(layer)) for layer in layers], axis=2)


def _digest(layers: list[Image.Image], image: np.ndarray) -> str:
    """Of the fitted pixels, with a checksum of those before: hashing all of a photo would take as long as decoding."""
    checksum = 0
    for layer in layers:
        checksum = google_crc32c.extend(checksum, layer.tobytes())
    digest = hashlib.blake2b(f"{layers[0].mode} {layers[0].size} {checksum}".encode(), digest_size=12)
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()


def _is_enlarged(size: tuple[int, int], options: PictureOptions) -> bool:
    """By a filter that mixes pixels."""
    return options.filter != "nearest" and max(size) < options.resolution


def _fitted(image: Image.Image, box: Optional[Box], options: PictureOptions) -> Image.Image:
    size, filter = (options.resolution, options.resolution), FILTERS[options.filter]
    if box is not None:
        image = _letterboxed(image, box, options)
    elif options.fit == "crop" and image.width != image.height:
        image = _central_square(image)
    image = image if image.size == size else image.resize(size, filter)
    # Resizing has made clear pixels black.
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
