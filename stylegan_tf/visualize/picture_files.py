"""Pictures of generated images: float images to bytes, grids, sizes, files."""

import io
import math
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Optional, Union

import numpy as np
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import letterbox
from stylegan_tf.files.atomic_write import atomic_write, check_writable, resolved_link

_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_ENCODINGS = {
    ".png": {"format": "PNG"},
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": {"format": "WEBP", "quality": 90, "method": 4},
}

_MAX_SIDE = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500, ".gif": 65_535}  # Pixels that the formats hold.
_MAX_PIXELS = 2**30  # For any picture: 3 GiB, of which several copies are in memory.


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Float images in [-1, 1] -> uint8 of the same shape: 127.5 x + 127.5, rounded (halves up) and clipped."""
    scaled = np.asarray(images, np.float32) * np.float32(127.5) + np.float32(128.0)
    return np.clip(np.floor(scaled), 0, 255).astype(np.uint8)


def image_grid(images: np.ndarray, columns: Optional[int] = None) -> np.ndarray:
    """uint8 [N, H, W, C] -> one picture [rows * H, columns * W, C], filled row by row; what is left over stays black.

    Without `columns` the grid is as square as possible, and rather wide than high; up to four times as wide if that
    fills all rows.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[0] == 0:
        raise ValueError(f"expected uint8 images [N, H, W, C] with N > 0, got {images.dtype} {list(images.shape)}")
    count, height, width, channels = images.shape
    rows, columns = grid_shape(count, columns)
    padding = np.zeros([rows * columns - count, height, width, channels], np.uint8)
    grid = np.concatenate([images, padding]).reshape(rows, columns, height, width, channels)
    # [rows, columns, H, W, C] -> [rows, H, columns, W, C] -> [rows * H, columns * W, C]
    return grid.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def grid_shape(count: int, columns: Optional[int] = None) -> tuple[int, int]:
    """(rows, columns) of `image_grid`."""
    columns = columns or _columns(count)
    return -(-count // columns), columns


def _columns(count: int) -> int:
    """6 -> 3, 16 -> 4, 31 -> 6, 32 -> 8: of the numbers that leave no gap the smallest with as many columns as rows."""
    least = math.ceil(math.sqrt(count))
    return next((columns for columns in range(least, math.isqrt(4 * count) + 1) if count % columns == 0), least)


def as_shown(images: np.ndarray, planes: Optional[Sequence[int]] = None) -> np.ndarray:
    """[..., C] -> [..., 1, 3 or 4]: what has no colours is shown by its first three planes, or by those named."""
    channels = images.shape[-1]
    if planes:
        if len(planes) not in (1, 3) or not all(0 <= plane < channels for plane in planes):
            raise UserError(f"one or three planes from 0 to {channels - 1} can be shown, got {list(planes)}.")
        return images[..., list(planes)]
    return images if channels in (1, 3, 4) else images[..., :3] if channels > 3 else images[..., :1]


def as_rgb(images: np.ndarray) -> np.ndarray:
    """uint8 [..., H, W, C] -> [..., H, W, 3]: gray as three channels, transparent pixels white; see `as_shown`."""
    images = as_shown(images)
    if images.shape[-1] == 4:
        opacity = images[..., 3:] / np.float32(255)
        return np.rint(images[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return images if images.shape[-1] == 3 else np.repeat(images, 3, axis=-1)


def resized(image: np.ndarray, scale: Fraction) -> np.ndarray:
    """uint8 [H, W, C] at `scale` times its size: pixels repeated, or box-filtered if that does not work out."""
    scale = Fraction(scale)
    if scale.denominator == 1:
        return image.repeat(scale.numerator, axis=0).repeat(scale.numerator, axis=1)
    height, width = (max(1, round(size * scale)) for size in image.shape[:2])
    return letterbox.resize(image, (width, height), Image.Resampling.BOX)


def save_image(image: np.ndarray, path: os.PathLike) -> None:
    """Writes uint8 [H, W, 1, 3 or 4], under a temporary name first: no reader sees half a picture.

    The suffix says how: .png, .jpg or .jpeg (quality 95, full colour resolution), .webp (quality 90).
    """
    content = encoded(image, path)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def check_picture_path(path: Union[str, os.PathLike]) -> None:
    """UserError or OSError if `save_image` could not write this file, before anything is computed for it."""
    _encoding(path)
    check_writable(resolved_link(Path(path)).parent)


def _encoding(path: Union[str, os.PathLike]) -> dict:
    suffix = Path(path).suffix.lower()
    if suffix not in _ENCODINGS:
        raise UserError(f"{path}: the name of a picture must end in {', '.join(_ENCODINGS)}.")
    return _ENCODINGS[suffix]


def check_picture_size(path: Union[str, os.PathLike], height: int, width: int) -> None:
    """UserError if a picture or frame has more pixels than the format of the file, or memory, holds."""
    suffix = Path(path).suffix.lower()
    longest = _MAX_SIDE.get(suffix, _MAX_PIXELS)
    if max(height, width) > longest or height * width > _MAX_PIXELS:
        limit = (
            f"{suffix} holds {longest:,} a side" if longest < max(height, width) else f"the maximum is {_MAX_PIXELS:,}"
        )
        raise UserError(
            f"{path} would have {width:,} x {height:,} pixels, {limit}: use fewer images, a smaller `scale` or another "
            "format."
        )


def encoded(image: np.ndarray, path: os.PathLike) -> bytes:
    """The content of the file `path` of uint8 [H, W, 1, 3 or 4]; its suffix says how, see `save_image`."""
    encoding = _encoding(path)
    check_picture_size(path, *image.shape[:2])
    stream = io.BytesIO()
    image = as_rgb(image) if image.shape[-1] == 4 and encoding["format"] == "JPEG" else image
    _as_picture(image).save(stream, **encoding)
    return stream.getvalue()


def _as_picture(image: np.ndarray) -> Image.Image:
    if image.ndim != 3 or image.shape[-1] not in (1, 3, 4):
        raise ValueError(f"expected an image [H, W, 1, 3 or 4], got {list(image.shape)}")
    return Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image)


def save_image_grid(
    images: np.ndarray, path: Union[str, os.PathLike], columns: Optional[int] = None, scale: int = 1
) -> None:
    """Writes `image_grid(images, columns)`, enlarged by repeated pixels, to a file; see `save_image`."""
    save_image(resized(image_grid(images, columns), Fraction(scale)), path)
