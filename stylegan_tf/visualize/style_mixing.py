"""Style mixing (Sec. 3.1, Fig. 3): some layers take their styles from another image."""

import re
from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.tile_table import Band, tile_table

_ROW_SHARES = {"coarse": 3, "middle": 2, "fine": 1}  # Rows of Fig. 3.


class LayerGroup(NamedTuple):
    """Consecutive layers; two for each resolution."""

    name: str
    layers: range
    resolutions: tuple

    @property
    def span(self) -> str:
        """ "16x16 to 32x32", or "4x4"."""
        ends = dict.fromkeys((self.resolutions[0], self.resolutions[-1]))
        return " to ".join(f"{resolution}x{resolution}" for resolution in ends)


def layer_groups(resolutions: Sequence[int]) -> list[LayerGroup]:
    """Coarse, middle and fine layers of a network with these levels (4, 8, ...), without empty groups.

    From 64x64 up they are the paper's: coarse 4x4 and 8x8, middle 16x16 and 32x32, fine the rest. Smaller networks
    split their fewer levels: 4x4 and 8x8, 16x16, 32x32; at 16x16 one level each; at 8x8 no fine ones.
    """
    coarse, middle = {1: (1, 1), 2: (1, 2), 3: (1, 2), 4: (2, 3)}.get(len(resolutions), (2, 4))
    bounds = (0, coarse, middle, len(resolutions))
    groups = []
    for name, first, last in zip(("coarse", "middle", "fine"), bounds, bounds[1:]):
        members = tuple(resolutions[first:last])
        if members:
            groups.append(LayerGroup(name, range(2 * first, 2 * (first + len(members))), members))
    return groups


def parse_layers(text: str, resolutions: Sequence[int], option: str = "styles") -> list[int]:
    """ "coarse", "middle,fine" or "0-3,6" -> sorted layer numbers. UserError for what the network does not have."""
    groups = {group.name: group.layers for group in layer_groups(resolutions)}
    count, layers = 2 * len(resolutions), set()
    for part in (part.strip() for part in text.split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if part in groups:
            layers.update(groups[part])
        elif part in ("middle", "fine"):
            size = f"{resolutions[-1]}x{resolutions[-1]}"
            raise OptionError(f"{option}: there are no {part} layers in a network of {size}: it has too few levels.")
        elif match and int(match[1]) <= int(match[2] or match[1]) < count:
            layers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        else:
            raise OptionError(
                f"{option} must be coarse, middle, fine, or layers from 0 to {count - 1} like 0-3,6; got {part!r}."
            )
    return sorted(layers)


def mix_layers(ws: np.ndarray, other: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """The styles of `other` in `layers`, those of `ws` elsewhere; both [N, L, W]."""
    mixed = np.array(ws)
    mixed[:, layers] = other[:, layers]
    return mixed


def mixing_table(
    painter: Painter,
    ws_a: np.ndarray,
    layers_of_rows: Sequence[Sequence[int]],
    ws_b: np.ndarray,
    beside: Sequence[Band] = (),
    breaks: Sequence[int] = (),
    scale: Optional[int] = None,
    progress: StartProgress = Progress,
) -> np.ndarray:
    """Sources A in the left column, sources B in the top row, their mixtures where they meet.

    Args:
      ws_a: of the source A of each row, [rows, L, W]; ws_b: of the sources B, [columns, L, W].
      layers_of_rows: for each row the layers that are copied from B.
      beside, breaks: captions of the rows, and rows with a wider gap above them; row 0 is that of the sources B.
    Returns:
      uint8 [H, W, 3].
    """
    painter.check_styles("style mixing")
    tiles = [[None, *painter.pictures(ws_b)]]
    with progress(len(ws_a), "Mixing", "rows") as bar:
        for layers, w_a, picture in zip(layers_of_rows, ws_a, painter.pictures(ws_a)):
            mixed = mix_layers(np.repeat(w_a[None], len(ws_b), axis=0), ws_b, layers)
            tiles.append([picture, *painter.pictures(mixed)])
            bar.update(len(tiles) - 1)
    above = [Band("Source B", 1, len(ws_b))]
    return tile_table(tiles, scale, above, beside, "Source A", breaks_above={1, *breaks}, breaks_beside={1})


def mixing_picture(painter: Painter, ws_a, ws_b, layers, caption: str, scale=None, progress: StartProgress = Progress):
    """`mixing_table` with the same layers copied in every row."""
    return mixing_table(painter, ws_a, [layers] * len(ws_a), ws_b, [Band(caption, 1, len(ws_a))], (), scale, progress)


def style_mixing_figure(painter: Painter, row_seeds, column_seeds, scale=None, progress: StartProgress = Progress):
    """Figure 3: rows where the coarse styles come from B, then rows with the middle ones, then with the fine ones."""
    groups = layer_groups(painter.resolutions)
    counts = share_rows(len(row_seeds), [_ROW_SHARES[group.name] for group in groups])
    layers_of_rows, beside, first = [], [], 1
    for group, count in zip(groups, counts):
        layers_of_rows += [group.layers] * count
        title = f"{group.name.capitalize()} from B" if count == 1 else f"{group.name.capitalize()} styles from B"
        beside.append(Band(f"{title}\n{group.span}", first, first + count - 1))
        first += count
    ws_a, ws_b = (painter.dlatents(painter.latents(seeds)) for seeds in (row_seeds, column_seeds))
    return mixing_table(painter, ws_a, layers_of_rows, ws_b, beside, [band.first for band in beside], scale, progress)


def share_rows(count: int, shares: Sequence[int]) -> list[int]:
    """Splits `count` rows about as `shares` (6 for 3, 2, 1 as they are), at least one each. UserError if too few."""
    if count < len(shares):
        raise UserError(f"style mixing needs at least {len(shares)} sources A (`seeds`), one a group; got {count}.")
    rows = [1] * len(shares)
    while sum(rows) < count:
        neediest = min(range(len(rows)), key=lambda index: rows[index] / shares[index])
        rows[neediest] += 1
    return rows
