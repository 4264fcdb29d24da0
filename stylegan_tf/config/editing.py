"""Options for editing: finding the latent of a picture, directions in w, and blending networks."""

import dataclasses
import math
from typing import Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError, Options, option

DIRECTION_METHODS = ("pca", "sefa", "attributes")


@dataclasses.dataclass(frozen=True)
class ProjectionConfig(Options, group="Search"):
    """How `project` searches. Lengths are in standard deviations of w (or of z, when searching in z).

    >>> from stylegan_tf import ProjectionConfig
    >>> ProjectionConfig(space="w+", steps=200).starts
    4
    """

    space: Optional[str] = option(
        None,
        "Latent space to search: w (one vector for all layers), w+ (one for each layer, which comes closer to "
        "pictures that the network cannot generate) or z. Default: w, or z for a traditional generator "
        "(configurations A and B).",
        choices=("z", "w", "w+"),
    )
    steps: int = option(300, "Number of optimisation steps (Adam).", at_least=1)
    starts: int = option(
        4,
        "Number of starting latents, predicted from the picture or taken from the nearest of 1000 samples; the best "
        "one is refined.",
        at_least=1,
        at_most=1000,
    )
    learning_rate: float = option(0.1, "Peak learning rate, in standard deviations of w.", at_least=0)
    ramp_up: float = option(
        0.05, "Fraction of the steps over which the learning rate rises from 0.", at_least=0, at_most=1
    )
    ramp_down: float = option(
        0.25, "Fraction of the steps over which the learning rate falls to 0 at the end.", at_least=0, at_most=1
    )
    exploration: float = option(
        0.1, "Amount of noise added to w at the start, in standard deviations of w.", at_least=0
    )
    exploration_end: float = option(
        0.75, "Fraction of the steps after which no noise is added to w.", at_least=0, at_most=1
    )
    optimize_noise: bool = option(False, "Also optimise the noise maps, regularised so that they remain noise.")
    noise_weight: float = option(
        1e5, "Weight of the noise regularisation.", at_least=0, requires={"optimize_noise": (True,)}
    )
    distance_resolution: int = option(
        256, "Resolution to which larger images are reduced before they are compared.", at_least=1
    )
    seed: int = option(0, "Random seed of the search.", at_least=0)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step, 0 to steps - 1: linear warm-up, cosine decay."""
        t = (step + 1) / self.steps
        down = min(1.0, (1 - t) / self.ramp_down) if self.ramp_down else 1.0
        up = min(1.0, t / self.ramp_up) if self.ramp_up else 1.0
        return self.learning_rate * (0.5 - 0.5 * math.cos(math.pi * down)) * up

    def exploration_at(self, step: int) -> float:
        """Amount of noise on w at a step: it falls to 0 along a parabola."""
        t = step / self.steps
        return self.exploration * max(0.0, 1 - t / self.exploration_end) ** 2 if self.exploration_end else 0.0


@dataclasses.dataclass(frozen=True)
class DirectionOptions(Options, group="Directions"):
    """Which directions in w to find, and from which data."""

    method: str = option("pca", "Method, or several separated by commas: pca, sefa, attributes.")
    count: int = option(10, "Number of directions to find by pca and by sefa.", at_least=1)
    layers: Optional[str] = option(
        None, "Layers to which the directions are applied: coarse, middle, fine, or a range like 0-3. Default: all."
    )
    samples: int = option(20_000, "Number of images or latents to analyse.", at_least=2)
    classifiers: Optional[str] = option(None, "For attributes: a folder written by stylegan_tf.train_classifier.")
    labels: Optional[str] = option(
        None,
        "For attributes, in place of classifiers: a .csv file with the header `seed,glasses,hat`, then one row per "
        "image with its seed and 0, 1 or nothing for each attribute. With `image` in place of `seed`, the column "
        "holds an index into --dlatents.",
    )
    dlatents: Optional[str] = option(
        None, "The dlatents file to which --labels refers, such as one written by project."
    )
    seed: int = option(0, "Seed of the latents to analyse.", at_least=0, below=2**31)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.methods) - set(DIRECTION_METHODS))
        if unknown or not self.methods:
            raise OptionError(f"method takes {', '.join(DIRECTION_METHODS)}; got {(*unknown, self.method)[0]!r}.")
        if "attributes" in self.methods and bool(self.classifiers) == bool(self.labels):
            raise UserError("`method=attributes` needs either `classifiers=FOLDER` or `labels=FILE.csv`.")

    @property
    def methods(self) -> tuple[str, ...]:
        """Entries of `method`."""
        return tuple(entry.strip() for entry in self.method.split(",") if entry.strip())


@dataclasses.dataclass(frozen=True)
class BlendOptions(Options, group="Blending"):
    """How networks are blended: as a weighted average of any number, or by joining two of them at a resolution."""

    weights: Optional[str] = option(
        None, "Weights of the networks, separated by commas, like 0.7,0.3, which add up to 1. Default: equal."
    )
    swap: Optional[int] = option(
        None,
        "Instead of averaging, join two networks at this resolution: the mapping network and the layers below it "
        "come from the first network, the other layers from the second.",
        is_resolution=True,
    )
    blend_width: float = option(
        0.0, "Number of resolution levels over which --swap blends; 0: an abrupt change.", at_least=0
    )

    def shares(self, count: int, resolution: Optional[int]) -> list[float]:
        """Weights of `count` networks in the variables of a resolution; None: in those of the mapping network."""
        if self.blend_width and self.swap is None:
            raise UserError("`blend_width` is that of `swap`: give both.")
        if self.swap is None:
            return self._weights(count)
        if count != 2 or self.weights is not None:
            raise UserError("`swap` joins two networks, without `weights`.")
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
