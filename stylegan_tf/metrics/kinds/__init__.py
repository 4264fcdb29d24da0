"""All kinds of metrics, and the parser of the option `metrics`. Needs no TensorFlow."""

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.training import metric_names
from stylegan_tf.metrics.kinds.feature_distances import FrechetMetric, KernelMetric
from stylegan_tf.metrics.kinds.metric import Metric
from stylegan_tf.metrics.kinds.path_length import PathLengthMetric
from stylegan_tf.metrics.kinds.sample_quality import InceptionScoreMetric, PrecisionRecallMetric
from stylegan_tf.metrics.kinds.separability import SeparabilityMetric

METRICS = (
    FrechetMetric,
    KernelMetric,
    PrecisionRecallMetric,
    InceptionScoreMetric,
    PathLengthMetric,
    SeparabilityMetric,
)
KNOWN = f"{', '.join(kind.syntax for kind in METRICS)} (N: how many, like 50k or 500)"


def parse_metrics(text: str) -> tuple[Metric, ...]:
    """ "fid50k,ppl_wend" -> one Metric each, without duplicates. UserError for an unknown name."""
    names = metric_names(text)
    if not names:
        raise UserError(f"no metric is named; there are: {KNOWN}.")
    return tuple(_parse(name) for name in dict.fromkeys(names))


def _parse(name: str) -> Metric:
    for kind in METRICS:
        match = kind.pattern.fullmatch(name)
        if match is not None:
            metric = kind.from_match(match)
            if metric.count < kind.min_images:
                raise UserError(f"metric {name!r} needs at least {kind.min_images} images, got {metric.count}.")
            return metric
    raise UserError(f"unknown metric {name!r}; there are: {KNOWN}.")
