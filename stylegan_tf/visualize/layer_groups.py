"""The coarse, middle and fine layers of a network (Sec. 3.1, Fig. 3)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from stylegan_tf.errors import UserError


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
    share their fewer levels out: 4x4 and 8x8, 16x16, 32x32; at 16x16 one level each; at 8x8 no fine ones.
    """
    coarse, middle = {1: (1, 1), 2: (1, 2), 3: (1, 2), 4: (2, 3)}.get(len(resolutions), (2, 4))
    bounds = (0, coarse, middle, len(resolutions))
    groups = []
    for name, first, last in zip(("coarse", "middle", "fine"), bounds, bounds[1:]):
        members = tuple(resolutions[first:last])
        if members:
            groups.append(LayerGroup(name, range(2 * first, 2 * (first + len(members))), members))
    return groups


def parse_layers(text: str, resolutions: Sequence[int]) -> list[int]:
    """ "coarse", "middle,fine" or "0-3,6" -> sorted layer numbers. UserError for what the network does not have."""
    groups = {group.name: group.layers for group in layer_groups(resolutions)}
    count, layers = 2 * len(resolutions), set()
    for part in (part.strip() for part in text.split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if part in groups:
            layers.update(groups[part])
        elif part in ("middle", "fine"):
            size = f"{resolutions[-1]}x{resolutions[-1]}"
            raise UserError(f"there are no {part} layers in a network of {size}: it has too few levels.")
        elif match and int(match[1]) <= int(match[2] or match[1]) < count:
            layers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        else:
            raise UserError(
                f"styles are coarse, middle, fine, or layers from 0 to {count - 1} like 0-3,6; got {part!r}."
            )
    return sorted(layers)
