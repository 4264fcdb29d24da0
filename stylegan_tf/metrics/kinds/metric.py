"""Base classes of metrics; each kind has its own file in this folder. Needs no TensorFlow."""

import abc
import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from stylegan_tf.config.errors import UserError

if TYPE_CHECKING:  # It imports TensorFlow, which parsing of names does without.
    from stylegan_tf.metrics.cache import CachedArrays
    from stylegan_tf.metrics.context import MetricContext

MAX_MIXED_LATENTS = 4  # Table 2.

Values = dict[str, float]  # Results of a metric, e.g. {"precision": 0.7, "recall": 0.4}.
Facts = dict[str, Any]  # Further information for readers.

_REQUIREMENTS = {  # An extractor is always there.
    "reals": "compares with real images: give their folder of TFRecords as `data_dir`",
    "distance": "needs a distance of images: give one as `image_distance`",
    "classifiers": "needs classifiers of attributes: give their folder as `classifiers`",
}


@dataclasses.dataclass(frozen=True)
class Metric(abc.ABC):
    """What one name of the option `metrics` stands for."""

    text: str  # The name as written.
    count: int  # Generated images, pairs of latents, or samples.

    syntax: ClassVar[str]  # Syntax of names of this kind, for messages.
    pattern: ClassVar[re.Pattern]  # Pattern of these names, for `from_match`.
    needs: ClassVar[tuple[str, ...]]  # Parts of a context: "reals", "extractor", "distance", "classifiers".
    min_images: ClassVar[int] = 2  # Fewer are meaningless.

    @classmethod
    @abc.abstractmethod
    def from_match(cls, match: re.Match) -> "Metric":
        """The metric of a name that fits `pattern`."""

    def suffix(self, context: "MetricContext") -> str:
        """What the names of results end in, so that numbers that cannot be compared do not look alike."""
        return ""

    def protocol(self, context: "MetricContext") -> Mapping[str, Any]:
        """What results of this kind depend on, besides `MetricContext.protocol`."""
        return {}

    def check(self, context: "MetricContext") -> None:
        """Raises UserError if the context lacks what the metric needs, or has too little of it."""
        for part, text in _REQUIREMENTS.items():
            if part in self.needs and getattr(context, part) is None:
                raise UserError(f"{self.text} {text}.")
        if context.label_size and context.reals is None:
            raise UserError(f"{self.text}: the network has labels, which are drawn from those of `data_dir`.")
        reals = context.reals
        if reals is not None and reals.label_column is not None and not reals.count(1):
            name = reals.info.label_names[reals.label_column]
            raise UserError(f"{self.text}: no image of {reals.info.folder} has the label {name}.")
        numbers = {"pictures": context.count(self.count)}
        if "reals" in self.needs:
            numbers["real images"] = reals.count(self.count)
        for what, number in numbers.items():
            if number < self.min_images:
                raise UserError(f"{self.text} needs at least {self.min_images} {what}, there are {number}.")


@dataclasses.dataclass(frozen=True)
class FeatureMetric(Metric):
    """On the features of many images. Metrics on the same images share the pass over them."""

    mixed_latents: int = 1  # Latents that style every image, at random crossovers (Table 2).

    statistics: ClassVar[str]  # Kind of feature statistics: "moments", "rows" or "scores" (`features/statistics.py`).

    @classmethod
    def from_match(cls, match: re.Match) -> "FeatureMetric":
        mixed = int(match["mixed"] or 1)
        if not 1 <= mixed <= MAX_MIXED_LATENTS:
            raise UserError(f"metric {match[0]!r} mixes {mixed} latents, expected 1 to {MAX_MIXED_LATENTS}.")
        return cls(match[0], number(match["count"]), mixed)

    @abc.abstractmethod
    def values(self, reals: Optional[Any], fakes: Any, seed: int) -> Values:
        """From the statistics of real images (if the metric needs them) and of the measured images."""

    def errors(self, reals: Optional[Any], fakes: Any, values: Values) -> Facts:
        """NAME_error: standard errors of values, which are not values themselves."""
        return {}

    def suffix(self, context: "MetricContext") -> str:
        return context.extractor.suffix + context.box_suffix

    def protocol(self, context: "MetricContext") -> Mapping[str, Any]:
        return {**context.extractor.protocol(), "mixed_latents": self.mixed_latents, **context.box_protocol()}

    def check(self, context: "MetricContext") -> None:
        super().check(context)
        if self.mixed_latents > 1:
            if context.generator is None:
                raise UserError(f"{self.text} mixes the latents of a network: give `network`, not pictures.")
            from stylegan_tf.metrics.measured_images import check_mixing

            check_mixing(context.generator, self.mixed_latents, context.growth.resolution)


@dataclasses.dataclass(frozen=True)
class NetworkMetric(Metric):
    """On the latent space of a network; computed alone."""

    cached_rows: ClassVar[str]  # What unfinished computations keep, in names of cache files.

    @abc.abstractmethod
    def compute(self, context: "MetricContext", partial: "CachedArrays") -> tuple[Values, Facts]:
        """partial: the cache file of unfinished rows, see `resumable_rows`."""

    def check(self, context: "MetricContext") -> None:
        if context.generator is None:
            raise UserError(f"{self.text} needs a network: give `network`, not pictures.")
        super().check(context)


def feature_pattern(kind: str) -> re.Pattern:
    """fid50k, fid50k_mix3 for "fid"."""
    return re.compile(rf"{kind}(?P<count>\d+k?)(?:_mix(?P<mixed>\d+))?")


def number(text: Optional[str], default: int = 0) -> int:
    """ "50k" -> 50000."""
    if text is None:
        return default
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)
