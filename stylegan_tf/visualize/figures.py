"""The paper's figures 2 (uncurated images), 4 and 5 (noise, Sec. 3.2), and 8 (truncation)."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import resized
from stylegan_tf.visualize.style_mixing import layer_groups
from stylegan_tf.visualize.tile_table import Band, Canvas, scale_for, tile_table

_COLUMN_DIVISORS = (1, 2, 4, 4, 8, 8)  # A column's tiles are the largest ones divided by this.
_LARGEST = 256  # Pixels that the largest tiles should have at least: the smallest then have 32.
TRUNCATION_PSIS = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)
REALISATIONS = 100
_DETAIL_PIXELS = 256  # Minimum size of the large pictures.
_FRAME = (255, 200, 0)


def uncurated_count(rows: int) -> int:
    """Images in Fig. 2 with this many rows of the largest tiles."""
    return rows * sum(_COLUMN_DIVISORS)


def uncurated_figure(
    painter: Painter, seeds: Sequence[int], rows=3, scale: Optional[int] = None, progress: StartProgress = Progress
):
    """Figure 2: columns of smaller and smaller tiles, filled from the top down, as the images come. uint8 [H, W, 3]."""
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
        tiles.append(painter.pictures(painter.broadcast(np.repeat(w[None], len(psis), axis=0), psi=np.float32(psis))))
    above = [Band(f"psi = {psi:g}", column, column) for column, psi in enumerate(psis)]
    return tile_table(tiles, scale, above)


class NoiseStatistics(NamedTuple):
    """One image under many realisations of the noise."""

    examples: np.ndarray  # The first four: uint8 [4, h, w, 3].
    deviation: np.ndarray  # Standard deviation of every pixel's brightness, in steps of 256: float64 [h, w].


def noise_statistics(painter: Painter, w: np.ndarray, realisations: int = REALISATIONS) -> NoiseStatistics:
    """Statistics of the image of w [L, W] with noise seeds 0, 1, ...; only sums are kept beyond the first four."""
    ws = np.broadcast_to(w, [realisations, *w.shape])
    examples, total, squares = [], 0, 0  # Whole numbers: what does not vary has a deviation of exactly 0.
    for pictures in painter.picture_batches(ws, noise_seeds=range(realisations)):
        examples += list(pictures[: max(0, 4 - len(examples))])
        brightness = pictures.sum(axis=-1, dtype=np.int64)  # Three times the mean of the channels.
        total, squares = total + brightness.sum(axis=0), squares + (brightness**2).sum(axis=0)
    deviation = np.sqrt(realisations * squares - total**2) / (3 * realisations)
    return NoiseStatistics(np.stack(examples), deviation)


def noise_detail_figure(
    painter: Painter, seeds: Sequence[int], realisations=REALISATIONS, scale=None, progress: StartProgress = Progress
):
    """Figure 4, a row for every seed: (a) an image, (b) zooms of four realisations, (c) standard deviations.

    The zooms show the part, a quarter as wide and high as the image, where the noise does most; it is framed in (a).
    Returns uint8 [H, W, 3].
    """
    painter.check_noise("this figure")
    rows = []
    with progress(len(seeds) * realisations, "Generating", "images") as bar:
        for w in painter.dlatents(painter.latents(seeds)):
            rows.append(noise_statistics(painter, w, realisations))
            bar.update(len(rows) * realisations)
    height, width = rows[0].deviation.shape
    scale = scale_for((height, width), scale, _DETAIL_PIXELS)
    peak = max(row.deviation.max() for row in rows)
    size, gap = max(14, width * scale // 20), max(4, width * scale // 40)
    tops = [round(3.2 * size) + row * (height * scale + gap) for row in range(len(rows))]
    lefts = [gap + column * (width * scale + gap) for column in range(3)]
    canvas = Canvas(lefts[-1] + width * scale + gap, tops[-1] + height * scale + gap)
    for top, row in zip(tops, rows):
        _draw_detail_row(canvas, row, lefts, top, scale, peak)
    captions = (
        ("(a) Generated image", ""),
        ("(b) Stochastic variation", "4 realisations of the noise"),
        ("(c) Standard deviation", f"{realisations} realisations; white is {peak:.1f} of 255"),
    )
    for left, lines in zip(lefts, captions):
        for number, line in enumerate(lines):
            canvas.caption(line, (left + width * scale // 2, (0.9 + 1.35 * number) * size), size, width * scale)
    return canvas.image


def _draw_detail_row(canvas, row, lefts, top, scale, peak):
    height, width = row.deviation.shape
    canvas.paste(resized(row.examples[0], scale), lefts[0], top)
    y, x, window_height, window_width = busiest_window(row.deviation)
    thickness = max(2, scale // 4)
    canvas.frame(lefts[0] + x * scale, top + y * scale, window_width * scale, window_height * scale, thickness, _FRAME)
    half_height, half_width = height * scale // 2 - 1, width * scale // 2 - 1  # A thin line between them.
    for index, example in enumerate(row.examples):
        zoom = resized(example[y : y + window_height, x : x + window_width], 2 * scale)[:half_height, :half_width]
        canvas.paste(zoom, lefts[1] + index % 2 * (half_width + 2), top + index // 2 * (half_height + 2))
    levels = np.round(row.deviation * (255 / max(peak, 1e-9))).astype(np.uint8)
    canvas.paste(resized(np.repeat(levels[:, :, None], 3, axis=-1), scale), lefts[2], top)


def busiest_window(values: np.ndarray) -> tuple[int, int, int, int]:
    """(y, x, height, width) of the window, a quarter of [H, W] along each side, with the largest sum of values."""
    height, width = (max(1, -(-size // 4)) for size in values.shape)
    sums = np.pad(np.cumsum(np.cumsum(values, axis=0), axis=1), ((1, 0), (1, 0)))
    totals = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    y, x = np.unravel_index(np.argmax(totals), totals.shape)
    return int(y), int(x), height, width


def noise_components_figure(painter: Painter, seeds: Sequence[int], scale: Optional[int] = None) -> np.ndarray:
    """Figure 5, a row for every seed: noise in all layers, none, the fine ones only, the coarse ones only.

    Fine are the fine layers of `layer_groups` (64x64 and up in large networks), coarse all others.
    """
    painter.check_noise("this figure")
    masks, captions = noise_masks(painter.resolutions)
    tiles = []
    for seed, w in enumerate(painter.dlatents(painter.latents(seeds))):
        drawn = painter.draw_noise([seed], painter.resolutions[-1])
        noise = [layer * on[:, None, None, None] for layer, on in zip(drawn, np.float32(masks).T)]
        tiles.append(painter.pictures(np.broadcast_to(w, [len(masks), *w.shape]), noise=noise))
    above = [Band(caption, column, column) for column, caption in enumerate(captions)]
    return tile_table(tiles, scale, above)


def noise_masks(resolutions: Sequence[int]) -> tuple[np.ndarray, list[str]]:
    """bool [columns, L], the layers with noise in each column of Fig. 5, and the captions.

    Networks without fine layers (8x8 and below) have the first two columns only.
    """
    groups = layer_groups(resolutions)
    masks = np.zeros([4, 2 * len(resolutions)], bool)
    masks[0] = True
    if groups[-1].name != "fine":
        return masks[:2], ["(a) All layers\n ", "(b) No noise\n "]
    masks[2, groups[-1].layers] = True
    masks[3] = ~masks[2]
    coarse = f"4x4 to {groups[-2].resolutions[-1]}x{groups[-2].resolutions[-1]}"
    fine = f"(c) Fine only\n{groups[-1].span}"
    return masks, ["(a) All layers\n ", "(b) No noise\n ", fine, f"(d) Coarse only\n{coarse}"]
