"""Pictures that are not square, in square images: boxes of letterboxed ones, the ratio of stretched ones."""

from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np
from PIL import Image

from stylegan_tf.config.errors import UserError

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels: what of a letterboxed square is picture.


def letterbox(size: tuple[int, int], resolution: int) -> Box:
    """Where a picture of (width, height) lies in a square: centred, and its longer side fills it."""
    longest = max(size)
    width, height = (max(1, round(side * resolution / longest)) for side in size)
    left, top = (resolution - width) // 2, (resolution - height) // 2
    return left, top, left + width, top + height


def union(boxes: Iterable[Optional[Box]]) -> Optional[Box]:
    """The smallest box around all; None for no boxes."""
    boxes = [box for box in boxes if box is not None]
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes)
    return min(lefts), min(tops), max(rights), max(bottoms)


def scaled_box(box: Optional[Box], resolution: int, to: int) -> Optional[Box]:
    """A box at another resolution; None without one, and where it would be empty."""
    if box is None:
        return None
    left, top, right, bottom = (round(side * to / resolution) for side in box)
    return (left, top, right, bottom) if left < right and top < bottom else None


def crop_to_box(images: np.ndarray, box: Optional[Sequence[float]]) -> np.ndarray:
    """[N, H, W, C] -> the part within `box`: left, top, right, bottom as fractions of width and height; None: all."""
    if box is None:
        return images
    height, width = images.shape[1:3]
    try:
        left, top, right, bottom = (round(side * size) for side, size in zip(box, (width, height) * 2))
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"the content box {box!r} is not four fractions: `crop=false` ignores it.") from None
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise UserError(
            f"the content box {box!r} is empty or not inside images of {width}x{height}: `crop=false` ignores it."
        )
    return images[:, top:bottom, left:right]


def unstretched_size(size: tuple[int, int], ratio: Optional[float]) -> tuple[int, int]:
    """(width, height) with the ratio of the two that pictures had before they were stretched; one side grows."""
    width, height = size
    if ratio is None:
        return size
    return (max(1, round(width * ratio)), height) if ratio >= 1 else (width, max(1, round(height / ratio)))


def unstretched(images: np.ndarray, ratio: Optional[float]) -> np.ndarray:
    """uint8 [N, H, W, C] that were stretched to squares -> in the shape they had, see `unstretched_size`."""
    size = unstretched_size((images.shape[2], images.shape[1]), ratio)
    if size == (images.shape[2], images.shape[1]):
        return images
    return np.stack([resize(image, size) for image in images])


def resize(image: np.ndarray, size: tuple[int, int], filter=Image.Resampling.LANCZOS) -> np.ndarray:
    """uint8 [H, W, C] -> [height, width, C] for `size` = (width, height). Only four channels have transparency."""
    if image.shape[2] in (3, 4):
        return np.asarray(Image.fromarray(image).resize(size, filter))
    planes = (np.ascontiguousarray(image[:, :, channel]) for channel in range(image.shape[2]))
    return np.stack([np.asarray(Image.fromarray(plane).resize(size, filter)) for plane in planes], axis=-1)
