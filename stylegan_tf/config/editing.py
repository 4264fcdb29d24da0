"""Options of editing: the search for the latent of a picture, directions, and networks made of others."""

import dataclasses
import math
from typing import Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError, Options, option

SEARCH = "Search"
BLENDING = "Blending"
DIRECTIONS = "Directions"
DIRECTION_METHODS = ("pca", "sefa", "attributes")


@dataclasses.dataclass(frozen=True)
class ProjectionConfig(Options):
    """How `project` searches. Lengths are in standard deviations of w (of z, in z); parts are those of the steps.

    >>> from stylegan_tf import ProjectionConfig
    >>> ProjectionConfig(space="w+", steps=200).starts
    4
    """

    space: Optional[str] = option(
        SEARCH,
        None,
        "w: one for all layers; w+: one for each layer, which comes nearer to pictures that the network cannot make; "
        "z. Left out: w, and z for a traditional generator (configurations A and B).",
        choices=("z", "w", "w+"),
    )
    steps: int = option(SEARCH, 300, "Steps of Adam.", at_least=1)
    starts: int = option(
        SEARCH,
        4,
        "Latents that are tried, predicted from the picture or the nearest of 1000 samples; the best is refined.",
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


@dataclasses.dataclass(frozen=True)
class DirectionOptions(Options):
    """Which directions in w are searched for, and in what."""

    method: str = option(DIRECTIONS, "pca", "One or several of pca, sefa, attributes, separated by commas.")
    count: int = option(DIRECTIONS, 10, "Directions of pca, and of sefa.", at_least=1)
    layers: Optional[str] = option(
        DIRECTIONS, None, "Layers to apply the directions to: coarse, middle, fine or like 0-3; left out: all."
    )
    samples: int = option(DIRECTIONS, 20_000, "Images or latents to analyse.", at_least=2)
    classifiers: Optional[str] = option(DIRECTIONS, None, "attributes: a folder of stylegan_tf.train_classifier.")
    labels: Optional[str] = option(
        DIRECTIONS,
        None,
        "attributes: in place of classifiers a .csv with the first line `seed,glasses,hat`, then for each image its "
        "seed and 0 or 1 for each attribute, or nothing. With `image` in place of `seed`: a number in --dlatents.",
    )
    dlatents: Optional[str] = option(
        DIRECTIONS, None, "The file of dlatents that --labels is about, such as project's."
    )
    seed: int = option(DIRECTIONS, 0, "Of the latents to analyse.", at_least=0, below=2**31)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.methods) - set(DIRECTION_METHODS))
        if unknown:
            raise OptionError(f"method takes {', '.join(DIRECTION_METHODS)}; got {unknown[0]!r}.")
        if "attributes" in self.methods and bool(self.classifiers) == bool(self.labels):
            raise UserError("`method=attributes` needs either `classifiers=FOLDER` or `labels=FILE.csv`.")

    @property
    def methods(self) -> tuple[str, ...]:
        """Entries of `method`."""
        return tuple(entry.strip() for entry in self.method.split(",") if entry.strip())


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
