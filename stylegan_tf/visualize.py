"""Pictures of generated images: float images to bytes, grids to PNG files."""

import math
import os
from collections.abc import Sequence
from typing import Optional

import numpy as np
from PIL import Image

from stylegan_tf.atomic_files import written_aside
from stylegan_tf.errors import UserError


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Float images in [-1, 1] -> uint8 of the same shape: 127.5 x + 127.5, rounded (halves up) and clipped."""
    scaled = np.asarray(images, np.float32) * np.float32(127.5) + np.float32(128.0)
    return np.clip(np.floor(scaled), 0, 255).astype(np.uint8)


def image_grid(images: np.ndarray, columns: Optional[int] = None) -> np.ndarray:
    """uint8 [N, H, W, C] -> one picture [rows * H, columns * W, C], filled row by row; what is left over stays black.

    Without `columns` the grid is as square as possible, and rather wide than high.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[0] == 0:
        raise ValueError(f"expected uint8 images [N, H, W, C] with N > 0, got {images.dtype} {list(images.shape)}")
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    padding = np.zeros([rows * columns - count, height, width, channels], np.uint8)
    grid = np.concatenate([images, padding]).reshape(rows, columns, height, width, channels)
    # [rows, columns, H, W, C] -> [rows, H, columns, W, C] -> [rows * H, columns * W, C]
    return grid.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def crop_to_box(images: np.ndarray, box: Optional[Sequence[float]]) -> np.ndarray:
    """[N, H, W, C] -> the part within `box`: left, top, right, bottom as fractions of width and height; None: all."""
    if box is None:
        return images
    height, width = images.shape[1:3]
    try:
        left, top, right, bottom = (round(side * size) for side, size in zip(box, (width, height) * 2))
    except (TypeError, ValueError):
        raise UserError(f"the content box {box!r} is not four fractions: --nocrop leaves it out.") from None
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise UserError(
            f"the content box {box!r} is empty or not inside of images of {width}x{height}: --nocrop leaves it out."
        )
    return images[:, top:bottom, left:right]


def save_image(image: np.ndarray, path: os.PathLike) -> None:
    """Writes uint8 [H, W, 1 or 3] as a PNG, under a temporary name first: nobody sees half a picture."""
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(f"expected an image [H, W, 1 or 3], got {list(image.shape)}")
    picture = Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image)
    with written_aside(path) as temporary:
        picture.save(temporary, format="PNG")


def save_image_grid(images: np.ndarray, path: os.PathLike, columns: Optional[int] = None) -> None:
    """Writes `image_grid(images, columns)` as a PNG."""
    save_image(image_grid(images, columns), path)
