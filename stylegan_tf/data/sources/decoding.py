"""Any picture -> a square of uint8: modes, orientation, transparency, fitting."""

import functools
import io
import sys
from typing import NamedTuple, Optional, Union

import numpy as np
from PIL import Image, ImageColor, ImageOps

from stylegan_tf.config import PictureOptions
from stylegan_tf.data.letterbox import Box, letterbox
from stylegan_tf.errors import UserError
from stylegan_tf.files.file_errors import short

FILTERS = {"lanczos": Image.Resampling.LANCZOS, "box": Image.Resampling.BOX}
# What may be opened. Others would start programs (EPS: Ghostscript) or take any bytes for a picture.
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA"),
    *("TIFF", "WEBP"),
)
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*", b"8BPS", b"qoif")
_MAGIC += (b"\x00\x00\x00\x0cjP  \r\n", b"\xff\x4f\xff\x51")  # JPEG 2000.
WIDEST = 2**16 - 1  # White in pictures of 16 bits, by default.
Picture = Union[bytes, np.ndarray]  # A file's content, or uint8 [H, W] or [H, W, 1 to 4] (gray, +alpha, RGB, +alpha).


class BadPicture(UserError):
    """One picture cannot be used; the others can."""


class Square(NamedTuple):
    """uint8 [r, r, C] and which part of it is picture; None: all of it.

    peak: the largest value of a picture of more than 8 bits, None for others.
    ratio: width by height of a picture that was stretched, None for others.
    file: the JPEG file of which the image is the decoded content, without any change; None for others.
    """

    image: np.ndarray
    box: Optional[Box]
    peak: Optional[float] = None
    ratio: Optional[float] = None
    file: Optional[bytes] = None


def to_square(picture: Picture, options: PictureOptions) -> Square:
    """Raises ValueError for what cannot be decoded, and UserError for a wrong size if `options.fit` is None."""
    image, peak, is_plain_jpeg = _open(picture, options)
    size, box, original = (options.resolution, options.resolution), None, image.size
    if options.fit is None and image.size != size:
        raise UserError(
            f"it has {image.width}x{image.height} pixels, expected {size[0]}x{size[1]} like the first: "
            "pass `resolution` or `fit` to crop and resize all of them."
        )
    if options.fit == "pad" and image.width != image.height:
        image, box = _letterboxed(image, options)
    elif options.fit == "crop" and image.width != image.height:
        image = _central_square(image)
    file = picture if is_plain_jpeg and box is None and original == image.size == size else None
    if image.size != size:
        image = image.resize(size, FILTERS[options.filter])
    if image.mode == "RGBA":  # Resizing has made clear pixels black.
        image = _with_plain_background(image, parse_background(options.background))
    pixels = np.asarray(image)
    ratio = original[0] / original[1] if options.fit == "stretch" else None
    return Square(pixels.reshape(*size, options.channels), box, peak, ratio, file)


def to_pixels(picture: Picture, options: PictureOptions) -> np.ndarray:
    """uint8 [H, W, C] of a picture as large as it is. Raises ValueError for what cannot be decoded."""
    image = _open(picture, options).image
    return np.asarray(image).reshape(image.height, image.width, options.channels)


def picture_size(picture: Picture) -> tuple[int, int]:
    """(width, height) as it will be shown; reads the head of a file only. Raises ValueError."""
    if isinstance(picture, np.ndarray):
        return picture.shape[1], picture.shape[0]
    with _decoding_errors(), open_picture(picture) as image:
        size = image.size
        if image.format == "TIFF":  # Whose size Pillow has turned already, or not: that depends on its version.
            size = (image.tag_v2[256], image.tag_v2[257])
        return size[::-1] if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else size


def open_picture(content: bytes) -> Image.Image:
    """Pillow's image of a file's content, if it has one of `FORMATS`."""
    if content[:4] in (b"%!PS", b"\xc5\xd0\xd3\xc6"):
        raise ValueError("it is a PostScript program, which is never run")
    return Image.open(io.BytesIO(content), formats=_formats())


def is_picture_content(head: bytes) -> bool:
    """Whether a file that begins so is a picture, by the first 32 bytes."""
    if head.startswith(_MAGIC) or head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return True
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return True
    return head[:2] in (b"P4", b"P5", b"P6") and head[2:3].isspace() and (head[3:4].isdigit() or head[3:4] == b"#")


@functools.cache
def _formats() -> list[str]:
    """Those of `FORMATS` that this Pillow can read."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


@functools.cache
def parse_background(text: str) -> tuple[int, int, int]:
    """ "white", "#ff8000", "rgb(10, 20, 30)" -> (r, g, b)."""
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        found = short(text, 100)
        raise UserError(f"`background` takes a colour like white, black or #808080, got '{found}'.") from None


class _decoding_errors:
    """Pillow's plugins raise exceptions of all kinds for damaged files: they become ValueError.

    A lack of memory is nothing that a file says, and stays what it is.
    """

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _traceback):
        if isinstance(error, Exception) and not isinstance(error, (UserError, MemoryError)):
            raise ValueError(" ".join(str(error).split()) or kind.__name__) from error


class _Opened(NamedTuple):
    image: Image.Image  # "RGB" or "L", upright and opaque, or "RGBA".
    peak: Optional[float]
    is_plain_jpeg: bool  # The image is what any reader of the JPEG file sees.


def _open(picture: Picture, options: PictureOptions) -> _Opened:
    """Of an animation the first frame."""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or not (picture.ndim == 2 or picture.ndim == 3 and 1 <= picture.shape[2] <= 4):
            raise ValueError(f"expected uint8 [H, W] or [H, W, 1 to 4], found {picture.dtype} {list(picture.shape)}")
        picture = picture[:, :, 0] if picture.shape[2:] == (1,) else picture
        return _Opened(_flattened(Image.fromarray(np.ascontiguousarray(picture)), options), None, False)
    with _decoding_errors(), open_picture(picture) as image:
        lower = _lower_bytes(picture, image) if options.white is not None else None
        wide_colour = _has_wide_colour(image)
        image.load()
        upright, peak = ImageOps.exif_transpose(image), None
        if upright.mode.startswith("I") or upright.mode == "F":  # Pillow's own conversion would clip it.
            upright, peak = _narrowed(upright, options.white)
        elif wide_colour:  # Pillow has kept the upper 8 of 16 bits.
            ranges = zip(upright.getbands(), upright.getextrema())
            peak = max(high for band, (_, high) in ranges if band != "A") * 257  # Opaque is not bright.
            if lower is not None:
                image, peak = _scaled_colour(image, lower, options.white)
                upright = ImageOps.exif_transpose(image)
        flat = _flattened(upright, options)
        is_plain_jpeg = image.format == "JPEG" and image.mode == flat.mode and image.getexif().get(0x0112, 1) == 1
        return _Opened(flat, peak, is_plain_jpeg)


def _has_wide_colour(image: Image.Image) -> bool:
    """Whether a picture that is not loaded yet has 16 bits for each of several channels."""
    return len(image.getbands()) > 1 and any(";16" in str(tile[3]) for tile in image.tile)


def _lower_bytes(content: bytes, image: Image.Image) -> Optional[np.ndarray]:
    """uint8 [H, W, C], the lower 8 of the 16 bits of colours; None for other pictures.

    Pillow decodes the upper byte of each; told the opposite byte order, it takes the lower one.
    """
    if not _has_wide_colour(image):
        return None
    with open_picture(content) as again:
        swapped = "16B" if sys.byteorder == "little" else "16L"
        other = {"LA;16B": "RGBA", ";16B": ";16L", ";16L": ";16B", ";16N": f";{swapped}"}  # LA: four bytes a pixel.
        text = str(again.tile)
        order = next(order for order in other if order in text)
        again.tile = [tile._replace(args=_replaced(tile.args, order, other[order])) for tile in again.tile]
        lower = np.asarray(again)
    return lower[:, :, [1, 1, 1, 3]] if order == "LA;16B" else lower


def _replaced(args, old: str, new: str):
    """The raw mode is the first of a decoder's arguments, or the only one."""
    return args.replace(old, new) if isinstance(args, str) else (args[0].replace(old, new), *args[1:])


def _scaled_colour(image: Image.Image, lower: np.ndarray, white: float) -> tuple[Image.Image, float]:
    """Colours of 16 bits, `white` of them as 255, and their largest value. Transparency keeps its own range."""
    values = np.asarray(image).astype(np.float64) * 256 + lower
    colours = values[:, :, :3]
    alpha = values[:, :, 3:] * (255 / WIDEST)
    scaled = np.concatenate([np.minimum(colours * (255 / white), 255), alpha], axis=2)
    return Image.fromarray(np.rint(scaled).astype(np.uint8)), float(colours.max())


def _flattened(image: Image.Image, options: PictureOptions) -> Image.Image:
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[options.channels]
    if mode == "RGBA":
        return _with_plain_background(image.convert("RGBA"), parse_background(options.background))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, parse_background(options.background))
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
    if image.mode == mode:
        return image
    # By way of RGB: a palette, CMYK or YCbCr has no direct way to gray.
    return image.convert("RGB").convert(mode) if image.mode not in ("L", "1") else image.convert(mode)


def _with_plain_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Nobody sees the colour of clear pixels, and files hold anything there: networks should not have to learn it."""
    pixels = np.array(image)
    pixels[pixels[:, :, 3] == 0] = (*background, 0)
    return Image.fromarray(pixels)


def _narrowed(image: Image.Image, white: Optional[float]) -> tuple[Image.Image, float]:
    """Gray of 16 or 32 bits, or floats -> 8 bits, and the largest value. Above `white` everything is white."""
    values = np.asarray(image)
    lowest, peak = float(values.min()), float(values.max())
    if not np.isfinite([lowest, peak]).all():
        raise ValueError("it has values that are not finite numbers")
    if lowest < 0:
        raise ValueError(f"it has values from {lowest:g} to {peak:g}, expected none below 0")
    if white is None and (image.mode == "F" or peak > WIDEST):
        raise ValueError(f"it has values from {lowest:g} to {peak:g} in mode {image.mode}: `white=N` makes N white")
    scaled = values.astype(np.float64) * (255 / (white or WIDEST))
    return Image.fromarray(np.rint(np.minimum(scaled, 255)).astype(np.uint8)), peak


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _letterboxed(image: Image.Image, options: PictureOptions) -> tuple[Image.Image, Box]:
    """The longer side fills the square; bars of the background on both sides of the shorter one."""
    box = letterbox(image.size, options.resolution)
    left, top, right, bottom = box
    colour = parse_background(options.background)
    gray = round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])
    bars = {"L": gray, "RGB": colour, "RGBA": (*colour, 0)}[image.mode]
    canvas = Image.new(image.mode, (options.resolution, options.resolution), bars)
    if image.size != (right - left, bottom - top):
        image = image.resize((right - left, bottom - top), FILTERS[options.filter])
    canvas.paste(image, (left, top))
    return canvas, box
