"""What the page shows: all that a picture depends on, and the command that makes the same picture."""

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Optional

import numpy as np

PLANE_SIZE = 9  # Positions on the plane are 0 to this, across and down.
_SEEDS_A_ROW = 100  # From a row of the plane to the one below.


@dataclasses.dataclass(frozen=True)
class View:
    """One picture. `groups` are those of `layer_groups`, in their order."""

    seed: int = 0
    position: tuple[float, float] = (0.0, 0.0)  # On the plane of seeds: whole positions are seeds, see `corners`.
    psi: float = 0.7
    cutoff: int = 8
    label: Optional[int] = None  # Position of the class in the label; None: the network has none.
    found: Optional[np.ndarray] = None  # w of every layer [L, W] in place of the seed's, used as it is.
    mixed_groups: tuple[str, ...] = ()  # Whose styles come from the other seed.
    mixed_seed: int = 1
    noise_mode: str = "const"
    noise_seed: int = 0  # Of "random".
    noise_strengths: tuple[float, ...] = (1.0, 1.0, 1.0)  # By group.
    moves: tuple[tuple[str, float], ...] = ()

    def corners(self) -> tuple[list[int], np.ndarray]:
        """The seeds around the position, and the share of w that each has: float32 [4]."""
        (column, x), (row, y) = (_whole_and_part(number) for number in self.position)
        seeds = [self.seed_at(column + right, row + below) for below in (0, 1) for right in (0, 1)]
        return seeds, np.float32([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y])

    def seed_at(self, column: int, row: int) -> int:
        return (self.seed + column + _SEEDS_A_ROW * row) % 2**32

    @property
    def is_of_a_seed(self) -> bool:
        """Whether the picture is that of one seed, truncated and moved."""
        whole = all(number == int(number) for number in self.position)
        return whole and self.found is None and not self.mixed_groups

    @property
    def has_own_noise(self) -> bool:
        """Whether the noise is other than the network's fixed maps or none."""
        is_changed = any(strength != 1 for strength in self.noise_strengths)
        return self.noise_mode == "random" or (self.noise_mode == "const" and is_changed)

    def command(
        self, network: str, directions: Optional[str], label_names: Sequence[str] = (), crop: bool = True
    ) -> str:
        """What makes the same picture without the page; with dlatents.npz beside it where a seed does not say all."""
        words = ["python", "-m", "stylegan_tf.generate", "--network", network]
        if self.is_of_a_seed and not self.has_own_noise:
            words += ["--seeds", str(self.seed_at(*map(int, self.position)))]
            words += ["--truncation_psi", f"{self.psi:.10g}", "--truncation_cutoff", str(self.cutoff)]
            if self.label is not None:
                words += ["--class", label_names[self.label] if label_names else str(self.label)]
            moves = [f"{name}={amount:.10g}" for name, amount in self.moves if amount]
            words += ["--directions", directions, "--move", ",".join(moves)] if moves else []
        else:
            words += ["--dlatents", "dlatents.npz"]
        words += ["--noise_mode", "none"] if self.noise_mode == "none" else []
        words += [] if crop else ["--nocrop"]
        return shlex.join([*words, "--outdir", "out"])


def _whole_and_part(number):
    whole = int(np.floor(number))
    return whole, number - whole
