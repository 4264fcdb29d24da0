"""Any picture -> a square of uint8: modes, orientation, transparency, fitting."""

import dataclasses
import io
from typing import NamedTuple, Optional, Union

import numpy as np
from PIL import Image, ImageColor, ImageOps

from stylegan_tf.data.dataset_files import Box
from stylegan_tf.errors import UserError

FITS = ("crop", "pad", "stretch")
FILTERS = {"lanczos": Image.Resampling.LANCZOS, "box": Image.Resampling.BOX}
Picture = Union[bytes, np.ndarray]  # A file's content, or uint8 [H, W] or [H, W, 1 to 4] (gray, +alpha, RGB, +alpha).


class BadPicture(UserError):
    """One picture cannot be used; the others can."""


@dataclasses.dataclass(frozen=True)
class PictureOptions:
    """What pictures become.

    fit: "crop" takes the central square, "pad" letterboxes with `background`, "stretch" distorts; None: a picture must
      have the right size already. `background` is also what shows through where a picture is transparent.
    """

    resolution: int
    num_channels: int = 3
    fit: Optional[str] = "crop"
    filter: str = "lanczos"
    background: tuple[int, int, int] = (255, 255, 255)


class Square(NamedTuple):
    """uint8 [r, r, C] and which part of it is picture; None: all of it."""

    image: np.ndarray
    box: Optional[Box]


def to_square(picture: Picture, options: PictureOptions) -> Square:
    """Raises ValueError for what cannot be decoded, and UserError for a wrong size if `options.fit` is None."""
    image = _open(picture, options.background, "L" if options.num_channels == 1 else "RGB")
    size, box = (options.resolution, options.resolution), None
    if options.fit is None and image.size != size:
        raise UserError(
            f"it has {image.width}x{image.height} pixels, expected {size[0]}x{size[1]} like the first: "
            "pass --resolution or --fit to crop and resize all of them."
        )
    if options.fit == "pad" and image.width != image.height:
        image, box = _letterboxed(image, options)
    elif options.fit == "crop" and image.width != image.height:
        image = _central_square(image)
    if image.size != size:
        image = image.resize(size, FILTERS[options.filter])
    pixels = np.asarray(image)
    return Square(pixels.reshape(*size, options.num_channels), box)


def picture_size(picture: Picture) -> tuple[int, int]:
    """(width, height) as it will be shown; reads the head of a file only. Raises ValueError."""
    if isinstance(picture, np.ndarray):
        return picture.shape[1], picture.shape[0]
    with _decoding_errors(), Image.open(io.BytesIO(picture)) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return image.size[::-1] if turned else image.size


def parse_background(text: str) -> tuple[int, int, int]:
    """ "white", "#ff8000", "rgb(10, 20, 30)" -> (r, g, b)."""
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise UserError(f"--background takes a colour like white, black or #808080, got '{text}'.") from None


class _decoding_errors:
    """Pillow's plugins raise exceptions of all kinds for damaged files: they become ValueError."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _traceback):
        if isinstance(error, Exception) and not isinstance(error, UserError):
            raise ValueError(" ".join(str(error).split()) or kind.__name__) from error


def _open(picture: Picture, background, mode: str) -> Image.Image:
    """-> "RGB" or "L", upright and opaque. Of an animation the first frame."""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or not (picture.ndim == 2 or picture.ndim == 3 and 1 <= picture.shape[2] <= 4):
            raise ValueError(f"expected uint8 [H, W] or [H, W, 1 to 4], found {picture.dtype} {list(picture.shape)}")
        picture = picture[:, :, 0] if picture.shape[2:] == (1,) else picture
        return _flattened(Image.fromarray(np.ascontiguousarray(picture)), background, mode)
    with _decoding_errors(), Image.open(io.BytesIO(picture)) as image:
        image.load()
        return _flattened(ImageOps.exif_transpose(image), background, mode)


def _flattened(image: Image.Image, background, mode: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit gray: Pillow's own conversion would clip it.
        image = _wide_gray(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, background)
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
    if image.mode == mode:
        return image
    # By way of RGB: a palette, CMYK or YCbCr has no direct way to gray.
    return image.convert("RGB").convert(mode) if image.mode not in ("L", "1") else image.convert(mode)


def _wide_gray(image: Image.Image) -> Image.Image:
    values, largest = np.asarray(image), 2**16 - 1
    if image.mode == "F" or values.min() < 0 or values.max() > largest:
        raise ValueError(f"mode {image.mode} with values {values.min()} to {values.max()} is not supported")
    return Image.fromarray(np.rint(values.astype(np.float64) * (255 / largest)).astype(np.uint8))


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _letterboxed(image: Image.Image, options: PictureOptions) -> tuple[Image.Image, Box]:
    """The longer side fills the square; bars of the background on both sides of the shorter one."""
    resolution, longest = options.resolution, max(image.size)
    width, height = (max(1, round(side * resolution / longest)) for side in image.size)
    left, top = (resolution - width) // 2, (resolution - height) // 2
    gray = round(0.299 * options.background[0] + 0.587 * options.background[1] + 0.114 * options.background[2])
    canvas = Image.new(image.mode, (resolution, resolution), options.background if image.mode == "RGB" else gray)
    if image.size != (width, height):
        image = image.resize((width, height), FILTERS[options.filter])
    canvas.paste(image, (left, top))
    return canvas, (left, top, left + width, top + height)
