"""Figures 2 (uncurated images) and 8 (truncation)."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Optional

import numpy as np

from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.errors import UserError
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import resized
from stylegan_tf.visualize.tile_table import Band, Canvas, scale_for, tile_table

_COLUMN_DIVISORS = (1, 2, 4, 4, 8, 8)  # A column's tiles are the largest ones divided by this.
_LARGEST = 256  # Pixels that the largest tiles should have at least: the smallest then have 32.
TRUNCATION_PSIS = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)


def uncurated_count(rows: int) -> int:
    """Images in Fig. 2 with this many rows of the largest tiles."""
    return rows * sum(_COLUMN_DIVISORS)


def uncurated_figure(
    painter: Painter, seeds: Sequence[int], rows=3, scale: Optional[int] = None, progress: StartProgress = Progress
):
    """Figure 2: columns of ever smaller tiles, filled from the top down, as the images come. uint8 [H, W, 3]."""
    needed = uncurated_count(rows)
    if len(seeds) < needed:
        raise UserError(f"this figure shows {needed} images in {rows} rows, but there are {len(seeds)} `seeds`.")
    z = painter.latents(seeds[:needed])
    canvas, places, done = None, iter(()), 0
    with progress(needed, "Generating", "images") as bar:
        for pictures in painter.picture_batches(painter.dlatents(z)):
            if canvas is None:
                canvas, places = _uncurated_canvas(pictures.shape[1:], rows, scale)
            for picture, (x, y, factor) in zip(pictures, places):
                canvas.paste(resized(picture, factor), x, y)
            done += len(pictures)
            bar.update(done)
    return canvas.image


def _uncurated_canvas(shape, rows, scale):
    """The empty canvas and an iterator over the places: (x, y, enlargement)."""
    scale = scale_for(shape, scale, _LARGEST)
    height, width = shape[0] * scale, shape[1] * scale
    places, left = [], 0
    for divisor in _COLUMN_DIVISORS:
        tops = [height * row // divisor for row in range(rows * divisor)]
        places += [(left, top, Fraction(scale, divisor)) for top in tops]
        left += max(1, round(width / divisor))
    return Canvas(left, height * rows), iter(places)


def truncation_figure(painter: Painter, seeds, psis: Sequence[float] = TRUNCATION_PSIS, scale=None):
    """Figure 8: a row of images from psi 1 over the mean image (psi 0) to the opposite for every seed."""
    painter.check_styles("the truncation trick")
    tiles = []
    for w in painter.map(painter.latents(seeds)):
        tiles.append(painter.pictures(painter.broadcast(np.repeat(w[None], len(psis), axis=0), np.float32(psis))))
    above = [Band(f"psi = {psi:g}", column, column) for column, psi in enumerate(psis)]
    return tile_table(tiles, scale, above)
