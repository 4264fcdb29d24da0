"""How far networks have grown (progressive growing, ProGAN Sec. 2). No TensorFlow here."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config.errors import UserError


@dataclasses.dataclass(frozen=True)
class Growth:
    """The level that networks compute, and how much of it is faded in."""

    resolution: int  # In pixels.
    alpha: float = 1.0  # Weight of this level in the cross-fade with the one below; 1: it is all there.

    @classmethod
    def at_lod(cls, lod: float, full_resolution: int) -> "Growth":
        """At a level of detail: 0 is the full resolution, 1 half of it, ...; a fraction is a fade."""
        whole = math.floor(lod)
        return cls(full_resolution >> whole, 1.0 - (lod - whole))

    def lod(self, full_resolution: int) -> float:
        """The inverse of `at_lod`."""
        return math.log2(full_resolution // self.resolution) + 1.0 - self.alpha

    @property
    def level_to_train(self) -> int:
        """Where training resumes: this level, or the one below it where this one was fading in."""
        return self.resolution if self.alpha == 1 else max(self.resolution // 2, 4)

    def resolve(self, resolution: Optional[int] = None, alpha: Optional[float] = None) -> "Growth":
        """The growth of a call that may omit either: this one; at another level, all of that level."""
        if alpha is None:
            alpha = self.alpha if resolution in (None, self.resolution) else 1.0
        elif isinstance(alpha, numbers.Real) and not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be from 0 to 1, got {alpha}.")
        return Growth(resolution or self.resolution, alpha)

    def to_metadata(self) -> dict[str, Any]:
        """As network files have it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], full_resolution: int) -> "Growth":
        """What a network file says; full where it says nothing. UserError for what no network can be."""
        return cls(metadata.get("resolution", full_resolution), metadata.get("alpha", 1.0)).validated(full_resolution)

    def validated(self, full_resolution: int) -> "Growth":
        """The same in Python's numbers. UserError for what no network of this resolution can be."""
        levels = [2**k for k in range(2, full_resolution.bit_length())]
        if self.resolution not in levels or isinstance(self.resolution, (bool, float)):
            raise UserError(f"its resolution is {self.resolution!r}, expected one of {', '.join(map(str, levels))}.")
        is_number = isinstance(self.alpha, numbers.Real) and not isinstance(self.alpha, bool)
        if not is_number or not 0 <= self.alpha <= 1:
            raise UserError(f"its alpha is {self.alpha!r}, expected a number from 0 to 1.")
        return Growth(int(self.resolution), float(self.alpha))
