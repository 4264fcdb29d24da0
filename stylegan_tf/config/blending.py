"""Options of `blend`: how networks become one."""

import dataclasses
import math
from typing import Optional

from stylegan_tf.config.option import Options, option
from stylegan_tf.errors import UserError

BLENDING = "Blending"


@dataclasses.dataclass(frozen=True)
class BlendOptions(Options):
    """A weighted average of any number of networks, or two networks joined at a resolution."""

    weights: Optional[str] = option(
        BLENDING, None, "Of the networks in an average, like 0.7,0.3; they add up to 1. Left out: all alike."
    )
    swap: Optional[int] = option(
        BLENDING,
        None,
        "In place of an average: mapping and layers below this resolution from the first network, the others from the "
        "second.",
        at_least=4,
    )
    blend_width: float = option(BLENDING, 0.0, "Levels of resolution over which swap fades; 0: at once.", at_least=0)

    def shares(self, count: int, resolution: Optional[int]) -> list[float]:
        """Of each of `count` networks in the variables of a resolution; None: in those of the mapping network."""
        if self.swap is None:
            return self._weights(count)
        if count != 2 or self.weights is not None:
            raise UserError("`swap` joins two networks, without `weights`.")
        if self.swap & (self.swap - 1):
            raise UserError(f"`swap` is a resolution like 16, got {self.swap}.")
        if resolution is None:
            return [1.0, 0.0]
        levels = math.log2(resolution / self.swap) + 0.5  # From the boundary between two levels.
        second = min(1.0, max(0.0, levels / self.blend_width + 0.5)) if self.blend_width else float(levels > 0)
        return [1.0 - second, second]

    def _weights(self, count: int) -> list[float]:
        if self.weights is None:
            return [1.0 / count] * count
        try:
            weights = [float(weight) for weight in self.weights.split(",")]
        except ValueError:
            weights = []
        if len(weights) != count or not abs(sum(weights) - 1) < 1e-6:
            raise UserError(f"`weights` are {count} numbers that add up to 1, got {self.weights}.")
        return weights
