"""A white sheet for pictures with captions."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_INK = (40, 40, 40)


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
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        ascent, descent = font.getmetrics()  # The same line for all letters: captions side by side are level.
        label = Image.new("L", (right - left + 2, ascent + descent), 0)
        ImageDraw.Draw(label).text((1 - left, ascent), text, fill=255, font=font, anchor="ls")
        if upright:
            label = label.transpose(Image.Transpose.ROTATE_90)
        corner = (round(center[0] - label.width / 2), round(center[1] - label.height / 2))
        self._sheet.paste(_INK, corner, label)

    def frame(self, x: int, y: int, width: int, height: int, thickness: int, color: tuple) -> None:
        """Draws the outline of a rectangle, outside of it."""
        outer = (x - thickness, y - thickness, x + width + thickness - 1, y + height + thickness - 1)
        ImageDraw.Draw(self._sheet).rectangle(outer, outline=color, width=thickness)

    @property
    def image(self) -> np.ndarray:
        """uint8 [height, width, 3]."""
        return np.asarray(self._sheet)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # Pillow carries it.
