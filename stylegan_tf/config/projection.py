"""Options of projection: how the latent of a picture is searched for."""

import dataclasses
import math
from typing import Optional

from stylegan_tf.config.option import Options, option

SEARCH = "Search"


@dataclasses.dataclass(frozen=True)
class ProjectionConfig(Options):
    """Lengths are in standard deviations of w (of z, in z); parts are those of the steps."""

    space: Optional[str] = option(
        SEARCH,
        None,
        "w: one for all layers; w+: one for each layer, which comes nearer to pictures that the network cannot make; "
        "z. Left out: w, and z for a traditional generator (configurations A and B).",
        choices=("z", "w", "w+"),
    )
    steps: int = option(SEARCH, 500, "Steps of Adam.", at_least=1)
    starts: int = option(
        SEARCH,
        8,
        "Of 1000 samples the nearest ones that the search tries; the best is refined.",
        at_least=1,
        at_most=1000,
    )
    learning_rate: float = option(SEARCH, 0.1, "At its height, in standard deviations of w.", at_least=0)
    ramp_up: float = option(SEARCH, 0.05, "Part of the steps in which it rises from 0.", at_least=0, at_most=1)
    ramp_down: float = option(SEARCH, 0.25, "Part in which it falls to 0.", at_least=0, at_most=1)
    exploration: float = option(SEARCH, 0.1, "Noise on w at the start, in standard deviations of w.", at_least=0)
    exploration_end: float = option(SEARCH, 0.75, "Part of the steps after which there is none.", at_least=0, at_most=1)
    optimize_noise: bool = option(SEARCH, False, "Fit the noise maps, too, and keep them noise.")
    noise_weight: float = option(SEARCH, 1e5, "How strongly they are kept noise.", at_least=0)
    distance_resolution: int = option(
        SEARCH, 256, "Larger images are shrunk to it before they are compared.", at_least=1
    )
    seed: int = option(SEARCH, 0, "Of all that is random.", at_least=0)

    def learning_rate_at(self, step: int) -> float:
        """Linear up, cosine down; step 0 to steps - 1."""
        t = (step + 1) / self.steps
        down = min(1.0, (1 - t) / self.ramp_down) if self.ramp_down else 1.0
        up = min(1.0, t / self.ramp_up) if self.ramp_up else 1.0
        return self.learning_rate * (0.5 - 0.5 * math.cos(math.pi * down)) * up

    def exploration_at(self, step: int) -> float:
        """A parabola down to 0."""
        t = step / self.steps
        return self.exploration * max(0.0, 1 - t / self.exploration_end) ** 2 if self.exploration_end else 0.0
