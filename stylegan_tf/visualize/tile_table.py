"""Pictures of one size in rows and columns, with captions above and to the left."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.picture_files import resized

_INK = (40, 40, 40)
_LEGIBLE = 128  # Pixels that a tile should have at least.
_MAX_SIDE = 30_000  # Pixels; beyond it most viewers give up.


class Canvas:
    """Pictures, captions and frames at pixel positions (x to the right, y down) on white."""

    def __init__(self, width: int, height: int):
        self._sheet = Image.new("RGB", (width, height), "white")

    def paste(self, picture: np.ndarray, x: int, y: int) -> None:
        """Puts uint8 [h, w, 3] with its upper left corner at (x, y)."""
        self._sheet.paste(Image.fromarray(picture), (x, y))

    def caption(self, text: str, center: tuple, size: int, max_width: int, upright: bool = False) -> None:
        """Writes around a centre, smaller than `size` pixels if it would be longer than `max_width`.

        upright: turned by a quarter, to be read from below; max_width is then a height.
        """
        if not text.strip():
            return
        font = _font(size)
        while font.getlength(text) > max_width and size > 7:
            size -= 1
            font = _font(size)
        left, _top, right, _bottom = font.getbbox(text, anchor="ls")
        ascent, descent = font.getmetrics()  # The same line for all letters: captions side by side are level.
        label = Image.new("L", (right - left + 2, ascent + descent), 0)
        ImageDraw.Draw(label).text((1 - left, ascent), text, fill=255, font=font, anchor="ls")
        if upright:
            label = label.transpose(Image.Transpose.ROTATE_90)
        corner = (round(center[0] - label.width / 2), round(center[1] - label.height / 2))
        self._sheet.paste(_INK, corner, label)

    def frame(self, x: int, y: int, width: int, height: int, thickness: int, color: tuple) -> None:
        """Draws an outline around a rectangle."""
        outer = (x - thickness, y - thickness, x + width + thickness - 1, y + height + thickness - 1)
        ImageDraw.Draw(self._sheet).rectangle(outer, outline=color, width=thickness)

    @property
    def image(self) -> np.ndarray:
        """uint8 [height, width, 3]."""
        return np.asarray(self._sheet)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # Pillow carries it.


class Band(NamedTuple):
    """A caption for columns (or rows) first to last; lines are separated by line breaks."""

    text: str
    first: int
    last: int


def scale_for(picture_shape: Sequence[int], scale: Optional[int] = None, legible: int = _LEGIBLE) -> int:
    """`scale` itself, or if None the power of two that brings the longer side of [H, W, ...] to `legible` pixels."""
    if scale is not None:
        return scale
    scale = 1
    while scale * max(picture_shape[:2]) < legible:
        scale *= 2
    return scale


def tile_table(
    tiles: Sequence[Sequence[Optional[np.ndarray]]],
    scale: Optional[int] = None,
    above: Sequence[Band] = (),
    beside: Sequence[Band] = (),
    corner: str = "",
    breaks_above: Collection[int] = (),
    breaks_beside: Collection[int] = (),
) -> np.ndarray:
    """One picture of rows of tiles.

    Args:
      tiles: rows of uint8 [h, w, 3], all of one size; None leaves a place empty.
      scale: enlargement by repeated pixels; None: see `scale_for`.
      above, beside: captions of columns and of rows; those of rows are turned by a quarter.
      corner: a caption for the left column if the place in its top row is empty.
      breaks_above: rows that have a wider gap above them; breaks_beside: columns with a wider gap to the left.
    Returns:
      uint8 [H, W, 3].
    """
    shape = next(tile.shape for row in tiles for tile in row if tile is not None)
    scale = scale_for(shape, scale)
    height, width = shape[0] * scale, shape[1] * scale
    size = max(12, min(height, width) // 9)  # Font size of the captions.
    gap, wide = max(2, width // 64), max(6, width // 12)
    xs = _positions(len(tiles[0]), width, gap, wide, breaks_beside, start=_margin(beside, size))
    ys = _positions(len(tiles), height, gap, wide, breaks_above, start=_margin(above, size))
    sheet = (xs[-1] + width + gap, ys[-1] + height + gap)
    if max(sheet) > _MAX_SIDE:
        raise UserError(f"the picture would have {sheet[0]}x{sheet[1]} pixels: use fewer seeds or a smaller `scale`.")
    canvas = Canvas(*sheet)
    for y, row in zip(ys, tiles):
        for x, tile in zip(xs, row):
            if tile is not None:
                canvas.paste(resized(tile, scale), x, y)
    canvas.caption(corner, (xs[0] + width / 2, ys[0] + height - size), size, width)
    _write(canvas, above, xs, width, size, upright=False)
    _write(canvas, beside, ys, height, size, upright=True)
    return canvas.image


def _margin(bands, size):
    """Room for the lines of the captions."""
    lines = max((band.text.count("\n") + 1 for band in bands), default=0)
    return round(lines * size * 1.4 + size * 0.4) if lines else size // 6


def _positions(count, extent, gap, wide, breaks, start):
    positions = []
    for index in range(count):
        start += wide if index in breaks else gap
        positions.append(start)
        start += extent
    return positions


def _write(canvas, bands, positions, extent, size, upright):
    margin = _margin(bands, size)
    for band in bands:
        first, last = positions[band.first], positions[band.last] + extent
        lines = band.text.split("\n")
        for number, line in enumerate(lines):
            across = margin - round((len(lines) - number - 0.5) * size * 1.4)  # The last line is next to the tiles.
            along = (first + last) / 2
            center = (across, along) if upright else (along, across)
            canvas.caption(line, center, size, last - first, upright)
