"""Colours as a file has them -> sRGB of 8 bits: colour profiles, 16 bits, numbers of other types."""

import functools
import io
import sys
from typing import Callable, Optional

import numpy as np
from PIL import Image, ImageCms

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.errors import UserError

WIDEST = 2**16 - 1  # White in pictures of 16 bits, by default.
# What may be noticed of a picture's profile, or instead of one.
CONVERTED, BROKEN, UNSUPPORTED = "converted", "broken profile", "unsupported colour space"
CUT = "cut to 8 bits"  # Of 16: `white` does not apply.
_GAMMA = 1 / 2.2  # In the gAMA chunks of PNGs in sRGB; in their cHRM chunks: white, red, green and blue as (x, y).
_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Spaces of profiles -> modes of Pillow.
_SAME = 1  # Levels by which a profile may differ from sRGB and still is sRGB.


class NeedsOption(UserError, ValueError):
    """What to make of a picture is not clear: an option has to say it, for all of them."""


def to_srgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture by its embedded profile, and what was noticed. Gray stays gray, and transparency what it is.

    A profile that cannot be read, or is for other colours than the file has, is ignored, as viewers do.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image, ()
    try:
        space, transform = _transform(profile)
        if transform is None:
            return image, ()
        return _transformed(image, space, lambda colours: ImageCms.applyTransform(colours, transform)), (CONVERTED,)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError):
        return image, (BROKEN,)


def png_space(image: Image.Image, content: bytes) -> tuple[Optional[float], bool]:
    """-> (exponent of the gAMA chunk of a PNG, None where it says sRGB or does not count; whether other chunks say that
    its colours are not sRGB, which is ignored).

    The chunks' precedence is that of the PNG specification: cICP, iCCP, sRGB, then gAMA and cHRM.
    """
    if image.format != "PNG" or "icc_profile" in image.info:
        return None, False
    _, found, code = content[: content.find(b"IDAT")].partition(b"\x00\x00\x00\x04cICP")
    if found and code.startswith(b"\x01\x0d"):  # Primaries and transfer function of sRGB in ITU-T H.273.
        return None, False
    if "srgb" in image.info:
        return None, bool(found)
    gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity", ())
    has_others = len(primaries) == 8 and max(abs(a - b) for a, b in zip(primaries, _CHROMATICITIES)) > 0.01
    # 0 is meaningless, and ignored.
    return gamma if gamma and abs(gamma - _GAMMA) > 0.02 else None, bool(found) or has_others


def from_gamma(image: Image.Image, gamma: float) -> Image.Image:
    """A loaded picture of 8 bits by the exponent of its gAMA chunk -> sRGB; transparency is kept."""
    curve = np.rint(_by_gamma(np.arange(256.0), gamma)).astype(int).tolist()
    return _transformed(image, "", lambda colours: colours.point(curve * len(colours.getbands())))


def _by_gamma(levels: np.ndarray, gamma: float) -> np.ndarray:
    """Levels in 0 to 255 that are light to the power of `gamma` -> sRGB (IEC 61966-2-1)."""
    light = (levels / 255) ** (1 / gamma)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _transformed(image: Image.Image, space: str, transform: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """space: Pillow's mode of what `transform` takes; "": any."""
    has_clear_colour = "transparency" in image.info
    if has_clear_colour or image.mode in ("P", "PA", "1"):
        with_alpha = "LA" if image.mode == "L" else "RGBA"
        image = image.convert(with_alpha if has_clear_colour or image.mode == "PA" else "RGB")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    is_gray = image.mode in ("L", "LA")
    if not is_gray and image.mode not in ("RGB", "RGBA", "CMYK"):
        raise ValueError(f"a profile and the mode {image.mode}")
    colours = image.getchannel("L") if is_gray else image.convert("RGB") if alpha is not None else image
    if is_gray and space == "RGB":  # A program made the picture gray and kept its profile.
        colours = colours.convert("RGB")
    if space and colours.mode != space:
        raise ValueError(f"a profile of {space} in a picture of {colours.mode}")
    result = transform(colours)
    result = result.getchannel("G") if is_gray and result.mode == "RGB" else result
    if alpha is not None:
        result.putalpha(alpha)
    return result


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes) -> tuple[str, Optional[ImageCms.ImageCmsTransform]]:
    """-> (Pillow's mode of the profile's colours, how to get to sRGB from there; None if they are sRGB)."""
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    space = _SPACES[opened.profile.xcolor_space]
    transform = ImageCms.buildTransform(opened, _srgb(), space, "RGB")
    if space == "CMYK":
        return space, transform
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    samples = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)  # [1, 18^3, 3]
    samples = samples if space == "RGB" else steps[np.newaxis]
    found = np.asarray(ImageCms.applyTransform(Image.fromarray(samples), transform)).astype(int)
    expected = samples if space == "RGB" else samples[..., np.newaxis]
    return space, None if np.abs(found - expected).max() <= _SAME else transform


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.createProfile("sRGB")


def to_levels(
    values: np.ndarray, options: PictureOptions, needs_white: bool = False, gamma: Optional[float] = None
) -> tuple[np.ndarray, float]:
    """Numbers -> uint8, `black` as 0 and `white` as 255, and the largest number. ValueError for what has no level.

    NeedsOption where `black` or `white` must say what the levels are.

    needs_white: whether `white` has no default, as with floats. gamma: of `png_space`.
    """
    flat = values if values.dtype.kind in "iu" else values.astype(np.float64)
    if not np.isfinite(flat).all():
        place = np.argwhere(~np.isfinite(flat))[0].tolist()
        where = ", ".join(f"{name} {at}" for name, at in zip(("row", "column", "plane"), place))
        raise ValueError(f"it has {flat[tuple(place)]} at {where}, which is not finite")
    lowest, peak, black = float(values.min()), float(values.max()), options.black
    found = f"it has values from {lowest:g} to {peak:g}"
    if black is None and lowest < 0:
        raise NeedsOption(f"{found}, expected none below 0: `black=N` makes N black.")
    if options.white is None and (needs_white or peak > WIDEST):
        raise NeedsOption(f"{found} of type {values.dtype}: `white=N` makes N white.")
    black, white = black or 0.0, WIDEST if options.white is None else options.white
    scaled = np.clip((values.astype(np.float64) - black) * (255 / (white - black)), 0, 255)
    return np.rint(scaled if gamma is None else _by_gamma(scaled, gamma)).astype(np.uint8), peak


def has_wide_colour(image: Image.Image) -> bool:
    """Whether a picture that is not loaded yet has 16 bits for each of several channels."""
    raw_modes = str([tile[3] for tile in image.tile])
    return len(image.getbands()) > 1 and ";16" in raw_modes and not _is_cut(image)


def fixed_white(image: Image.Image, content: bytes) -> Optional[int]:
    """White by the header of a picture that is not loaded yet, if Pillow scales by it, or cuts the values to 8 bits.

    None for all other kinds, where the options may say what is white.
    """
    white = 0
    if image.format == "PPM" and image.mode in ("I", "RGB") and image.tile[0][0] != "raw":
        white = image.tile[0][3][-1]
    elif image.format == "JPEG2000":
        white = 2 ** ((content[content.find(b"\xff\x4f\xff\x51") + 42] & 127) + 1) - 1  # Ssiz of ISO 15444-1.
    elif _is_cut(image) and (image.format != "SGI" or content[3] == 2):
        white = WIDEST
    keeps_all = white == WIDEST and image.mode.startswith("I")
    return white if white > 255 and not keeps_all else None


def _is_cut(image: Image.Image) -> bool:
    """Whether there is no way to the lower bytes: in SGI's format, and in TIFFs whose colours are premultiplied."""
    return image.format == "SGI" or "RGBa;16" in str(image.tile)


def peak_of_bytes(image: Image.Image) -> float:
    """The largest value of a loaded picture of which Pillow has kept the upper 8 of 16 bits."""
    return 257.0 * max(image.getchannel(band).getextrema()[1] for band in image.getbands() if band != "A")


def lower_bytes(image: Image.Image) -> np.ndarray:
    """uint8 [H, W, C], the lower 8 bits of colours of 16, from a picture that is not loaded yet.

    Pillow decodes the upper byte of each; where it is given the opposite byte order, that is the lower one.
    """
    swapped = "16B" if sys.byteorder == "little" else "16L"
    other = {"LA;16B": "RGBA", ";16B": ";16L", ";16L": ";16B", ";16N": f";{swapped}"}  # LA: four bytes a pixel.
    order = next(order for order in other if order in str(image.tile))
    image.tile = [(*tile[:3], _with_raw_mode(tile[3], order, other[order])) for tile in image.tile]
    lower = np.asarray(image)
    return lower[:, :, [1, 1, 1, 3]] if order == "LA;16B" else lower


def _with_raw_mode(args, old: str, new: str):
    """It is the first of a decoder's arguments, or the only one."""
    return args.replace(old, new) if isinstance(args, str) else (args[0].replace(old, new), *args[1:])


def to_bytes(
    image: Image.Image, lower: Optional[np.ndarray], options: PictureOptions, gamma: Optional[float] = None
) -> tuple[Image.Image, float]:
    """A loaded picture of more than 8 bits -> one of 8, and the largest value of its colours.

    Transparency keeps its own range; the transparent colour of a PNG becomes transparency.

    lower: of `lower_bytes`, where Pillow has kept the upper byte of each value only. gamma: of `png_space`.
    """
    values, mode = np.atleast_3d(np.asarray(image)), "L"
    if lower is not None:
        values, mode = values.astype(np.uint16) * np.uint16(256) + lower, image.mode
    count = len(mode.rstrip("A"))
    levels, peak = to_levels(values[:, :, :count], options, needs_white=image.mode == "F", gamma=gamma)
    alpha = np.rint(values[:, :, count:] * (255 / WIDEST)).astype(np.uint8)
    if "transparency" in image.info:
        is_clear = (values == image.info["transparency"]).all(axis=2, keepdims=True)
        alpha, mode = np.where(is_clear, 0, 255).astype(np.uint8), mode + "A"
    return Image.frombytes(mode, image.size, np.concatenate([levels, alpha], axis=2).tobytes()), peak
