"""A picture's file, or an array -> an upright image of the wanted colours, or its planes, as large as it is."""

import contextlib
import functools
import io
from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

import numpy as np
from PIL import Image, ImageColor, ImageOps

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import colours
from stylegan_tf.data.sources.colours import NeedsOption
from stylegan_tf.files.file_errors import short

# What may be opened. Others would start programs (EPS: Ghostscript) or take any bytes for a picture.
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA"),
    *("TIFF", "WEBP"),
)
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"8BPS", b"qoif", *_TIFF)
_MAGIC += (b"\x00\x00\x00\x0cjP  \r\n", b"\xff\x4f\xff\x51")  # JPEG 2000.
_MAX_TIFF_BYTES = 2**30  # Size of the pixels of a page.
# Tags of TIFFs, and the numbers of colours by photometric interpretation (RGB, CMYK, YCbCr, CIE L*a*b*; others 1).
_SUBFILE, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR, _EXTRA = 254, 258, 262, 274, 277, 284, 338
_SAMPLE_FORMAT, _PROFILE = 339, 34675
_COLOURS = {2: 3, 5: 4, 6: 3, 8: 3}
_WHITE_IS_ZERO = 0
PAGES = "pages"  # What may be noticed of a picture, besides what `colours` notices.


class Page(NamedTuple):
    """One page of a TIFF: the content of the file, and the number of the page among those that are pictures."""

    content: bytes
    number: int


# A file's content, or numbers [H, W] or [H, W, C].
Picture = Union[bytes, np.ndarray, Page]


class BadPicture(UserError):
    """One picture cannot be used; the others can."""


class Opened(NamedTuple):
    """A picture before it is fitted: one upright image, "L", "RGB" (opaque) or "RGBA", or a plane "L" each."""

    layers: list[Image.Image]
    peak: Optional[float] = None
    noticed: tuple[str, ...] = ()
    is_plain_jpeg: bool = False  # The image is what any reader of the JPEG file sees.


def open_layers(picture: Picture, options: PictureOptions) -> Opened:
    """Decodes a picture; of an animation the first frame. Raises as `to_square` does."""
    if isinstance(picture, np.ndarray):
        return _open_array(picture, options)
    content, page = picture if isinstance(picture, Page) else (picture, None)
    with _decoding(content) as image:
        if image is None:
            return _open_tiff(content, page, options)
        pages = _pages(image) if image.format == "TIFF" else [0]
        noticed = (PAGES,) if page is None and len(pages) > 1 else ()
        if image.format == "TIFF":
            image.seek(pages[page or 0])
            if options.planes or _has_planes(image) or _is_misread(image):
                return _open_tiff(content, page, options)
        opened = _open_image(image, content, options)
        return opened._replace(noticed=noticed + opened.noticed)


def picture_size(picture: Picture) -> tuple[int, int]:
    """(width, height) as it will be shown; reads the header of a file only. Raises ValueError."""
    if isinstance(picture, np.ndarray):
        return picture.shape[1], picture.shape[0]
    content, page = picture if isinstance(picture, Page) else (picture, 0)
    with _decoding(content) as image:
        if image is None:
            with _tifffile_pages(content) as pages:
                size = pages[page].imagewidth, pages[page].imagelength
                return size[::-1] if pages[page].tags.valueof(_ORIENTATION, 1) in (5, 6, 7, 8) else size
        if page:
            image.seek(_pages(image)[page])
        size = image.size
        if image.format == "TIFF":  # Whose size Pillow has turned already, or not: depends on its version.
            size = (image.tag_v2[256], image.tag_v2[257])
        return size[::-1] if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else size


def count_pages(content: bytes) -> int:
    """Number of pages of a TIFF; 1 for other files, and for damaged ones."""
    if not content.startswith(_TIFF):
        return 1
    with contextlib.suppress(ValueError), _decoding(content) as image:
        if image is not None:
            return len(_pages(image))
        with _tifffile_pages(content) as pages:
            return len(pages)
    return 1


def open_picture(content: bytes) -> Image.Image:
    """Pillow's image of a file's content, if it has one of `FORMATS`."""
    try:
        image = Image.open(io.BytesIO(content), formats=_formats())
    except Image.UnidentifiedImageError:  # Its own text is the address of the stream.
        raise Image.UnidentifiedImageError("it is not a picture of a known kind, or its header is damaged") from None
    if image.format == "PPM" and image.tile[0][0] == "ppm" and image.tile[0][3] == ("RGB", colours.WIDEST):
        image.tile = [("raw", *image.tile[0][1:3], "RGB;16B")]  # Pillow's own decoder drops the lower bytes.
    return image


def is_picture_content(head: bytes) -> bool:
    """Whether a file that begins so is a picture, by the first 32 bytes."""
    if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
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


@contextlib.contextmanager
def _decoding(content: bytes) -> Iterator[Optional[Image.Image]]:
    """Pillow's image, or None for a TIFF that only tifffile may know.

    Pillow's plugins raise exceptions of all kinds for damaged files: they become ValueError. A lack of memory says
    nothing about a file, and stays what it is.
    """
    try:
        image = None
        try:
            image = open_picture(content)
        except Image.UnidentifiedImageError:
            if not content.startswith(_TIFF):
                raise
        with image or contextlib.nullcontext():
            yield image
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _open_image(image: Image.Image, content: bytes, options: PictureOptions) -> Opened:
    """A picture that Pillow reads, not loaded yet."""
    white, is_wide, lower, peak = colours.fixed_white(image, content), colours.has_wide_colour(image), None, None
    if white is not None and (options.white is not None or options.black is not None):
        raise NeedsOption(
            f"its values are scaled with {white} as white, as its header says: leave out `white` and `black`, or save "
            "it as PNG or TIFF of 16 bits."
        )
    if is_wide:
        with open_picture(content) as again:
            again.seek(image.tell())
            lower = colours.lower_bytes(again)
    if image.format == "PNG":  # Decoding does not compare the checksums of the pixels.
        with open_picture(content) as again:
            again.verify()
        step = {"L;2": 85, "L;4": 17}.get(image.tile[0][3])
        if step and "transparency" in image.info:  # Pillow scales the pixels, and not this.
            image.info["transparency"] *= step
    gamma, is_unsupported = (None, False) if options.planes else colours.png_space(image, content)
    image.load()
    pixels = image
    if is_wide or image.mode.startswith("I") or image.mode == "F":  # Pillow's own conversion would clip the latter.
        pixels, peak = colours.to_bytes(image, lower, options, gamma)
        if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            pixels = ImageOps.invert(pixels)
        pixels = _with_info(pixels, image)
    elif gamma is not None:
        pixels = _with_info(colours.from_gamma(image, gamma), image)
    noticed: tuple[str, ...] = ()
    if white is not None:
        peak, noticed = (colours.peak_of_bytes(image), (colours.CUT,)) if white == colours.WIDEST else (None, ())
    upright = ImageOps.exif_transpose(pixels)
    if options.planes:
        known = upright if upright.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else upright.convert("RGB")
        return Opened(_planes(np.asarray(known), options.planes), peak, noticed)
    converted, about_profile = colours.to_srgb(upright)
    noticed += about_profile + ((colours.CONVERTED,) if gamma is not None else ())
    noticed += (colours.UNSUPPORTED,) if is_unsupported else ()
    flat = _flattened(converted, options)
    is_plain = image.format == "JPEG" and image.mode == flat.mode and converted is upright
    return Opened([flat], peak, noticed, is_plain and image.getexif().get(0x0112, 1) == 1)


def _with_info(image: Image.Image, original: Image.Image) -> Image.Image:
    """With the orientation and the profile of the original."""
    image.info.update({key: original.info[key] for key in ("exif", "icc_profile") if key in original.info})
    image.getexif().update(original.getexif())
    return image


def _open_array(array: np.ndarray, options: PictureOptions) -> Opened:
    """Numbers [H, W] or [H, W, C]: gray, RGB, RGBA if `channels=4` says so, or `planes`."""
    return _opened(*_to_bytes(array, options), options)


def _to_bytes(array: np.ndarray, options: PictureOptions) -> tuple[np.ndarray, Optional[float]]:
    """-> (uint8 [H, W, C], the largest number if there are more than 8 bits)"""
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3):
        raise ValueError(f"expected numbers [H, W] or [H, W, C], found {array.dtype} {list(array.shape)}")
    values = np.ascontiguousarray(np.atleast_3d(array))
    count = values.shape[2]
    if not options.planes and count not in (1, 3) and (count, options.channels) != (4, 4):
        alpha = ", `channels=4` takes the fourth for transparency" if count == 4 else ""
        raise NeedsOption(f"it has {count} planes: `planes={count}` keeps them{alpha}.")
    if values.dtype not in (np.uint8, np.uint16) and options.white is None:
        found = f"it holds {values.dtype} from {values.min():g} to {values.max():g}"
        raise NeedsOption(f"{found}: `white=N`, and perhaps `black=N`, say what is white and black.")
    return (values, None) if values.dtype == np.uint8 else colours.to_levels(values, options)


def _opened(
    values: np.ndarray, peak: Optional[float], options: PictureOptions, profile: Optional[bytes] = None
) -> Opened:
    """Of uint8 [H, W, C]."""
    if options.planes:
        return Opened(_planes(values, options.planes), peak)
    image = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
    if profile:
        image.info["icc_profile"] = profile
    converted, noticed = colours.to_srgb(image)
    return Opened([_flattened(converted, options)], peak, noticed)


def _planes(values: np.ndarray, count: int) -> list[Image.Image]:
    """uint8 [H, W, C] or [H, W] -> an image for each of the first planes."""
    values = np.atleast_3d(values)
    found = values.shape[2]
    if found < count:
        raise NeedsOption(f"it has {found} planes: `planes` must be at most {found}, got {count}.")
    return [Image.fromarray(np.ascontiguousarray(values[:, :, plane])) for plane in range(count)]


def _pages(image: Image.Image) -> list[int]:
    """The frames of a TIFF that are pictures: no thumbnails, no masks."""
    found = []
    for frame in range(getattr(image, "n_frames", 1)):
        image.seek(frame)
        found += [] if image.tag_v2.get(_SUBFILE, 0) & 5 else [frame]
    return found or [0]


def _has_planes(image: Image.Image) -> bool:
    """Whether a TIFF has samples besides its colours that are not its transparency."""
    extra = image.tag_v2.get(_SAMPLES, 1) - _COLOURS.get(image.tag_v2.get(_PHOTOMETRIC), 1)
    kinds = image.tag_v2.get(_EXTRA, ())
    return extra > 1 or (extra == 1 and tuple(np.atleast_1d(kinds)) not in ((1,), (2,)))


def _is_misread(image: Image.Image) -> bool:
    """Whether Pillow takes the samples of a TIFF for others: those of 16 bits in separate planes, and signed bytes."""
    bits, kind = (max(np.atleast_1d(image.tag_v2.get(tag, 1))) for tag in (_BITS, _SAMPLE_FORMAT))
    is_separate = image.tag_v2.get(_PLANAR) == 2 and len(image.getbands()) > 1
    return (is_separate and bits > 8) or (bits == 8 and kind == 2)


def _open_tiff(content: bytes, page: Optional[int], options: PictureOptions) -> Opened:
    """A page whose samples Pillow does not read, or not as they are."""
    with _tifffile_pages(content) as pages:
        found = pages[page or 0]
        if found.nbytes > _MAX_TIFF_BYTES:
            raise ValueError(f"its pixels have {found.nbytes:,} bytes, more than {_MAX_TIFF_BYTES:,}")
        ends = [offset + size for offset, size in zip(found.dataoffsets, found.databytecounts)]
        if max(ends, default=0) > len(content) or not all(found.databytecounts):
            raise ValueError("it is cut off, or pieces of it are missing")
        values, axes = found.asarray(), found.axes
        kind, turn, profile = (found.tags.valueof(tag) for tag in (_PHOTOMETRIC, _ORIENTATION, _PROFILE))
        kind_name = found.photometric.name
    if axes == "SYX":
        values, axes = values.transpose(1, 2, 0), "YXS"
    if axes not in ("YX", "YXS"):
        raise ValueError(f"its axes are {axes}, expected rows, columns and samples")
    if not options.planes and kind not in (None, _WHITE_IS_ZERO, 1, 2):
        raise ValueError(f"its colours are {kind_name}, expected gray or RGB: save it as that")
    values, peak = _to_bytes(values, options)
    if kind == _WHITE_IS_ZERO:
        values = np.concatenate([255 - values[:, :, :1], values[:, :, 1:]], axis=2)
    values = values.swapaxes(0, 1) if turn in (5, 6, 7, 8) else values
    values = values[:: -1 if turn in (3, 4, 7, 8) else 1, :: -1 if turn in (2, 3, 6, 7) else 1]
    opened = _opened(values, peak, options, profile)
    return opened._replace(noticed=((PAGES,) if page is None and len(pages) > 1 else ()) + opened.noticed)


@contextlib.contextmanager
def _tifffile_pages(content: bytes) -> Iterator[list]:
    """The pages of a TIFF that are pictures."""
    try:
        import tifffile
    except ImportError:
        raise ValueError("TIFFs with planes, or unknown to Pillow, need tifffile: pip install tifffile") from None
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        pages = [page for page in file.pages if not page.subfiletype & 5]
        if not pages:
            raise ValueError("it has no pages")
        yield pages


def _flattened(image: Image.Image, options: PictureOptions) -> Image.Image:
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[options.num_channels]
    if mode == "RGBA":
        return with_plain_background(image.convert("RGBA"), parse_background(options.background))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, parse_background(options.background))
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
    if image.mode == mode:
        return image
    # By way of RGB: a palette, CMYK or YCbCr has no direct way to gray.
    return image.convert("RGB").convert(mode) if image.mode not in ("L", "1") else image.convert(mode)


def with_plain_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Transparent pixels may have any colour, which nobody sees: networks should not have to learn it."""
    pixels = np.array(image)
    pixels[pixels[:, :, 3] == 0] = (*background, 0)
    return Image.fromarray(pixels)


@functools.cache
def parse_background(text: str) -> tuple[int, int, int]:
    """ "white", "#ff8000", "rgb(10, 20, 30)" -> (r, g, b)."""
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        found = short(text, 100)
        raise UserError(f"`background` takes a colour like white, black or #808080, got '{found}'.") from None
