"""Computes metrics in a context. What each kind of metric computes is in `kinds`."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.metrics.attribute_classifiers import load_classifiers
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.features.image_distance import load_distance
from stylegan_tf.metrics.features.statistics import PROTOCOL_VERSION, measured_statistics, real_statistics
from stylegan_tf.metrics.kinds.metric import Facts, FeatureMetric, Metric, Values
from stylegan_tf.metrics.real_images import RealImages
from stylegan_tf.metrics.results import MetricResult

OnError = Callable[[Metric, Exception], None]  # Called for a metric that cannot be computed.


def load_metric_models(
    metrics: Sequence[Metric],
    feature_extractor: str,
    image_distance: Optional[str] = None,
    classifiers: Optional[str] = None,
) -> dict[str, Any]:
    """The models that these metrics need, as arguments of a context. Call it in the strategy's scope."""
    needs = {part for metric in metrics for part in metric.needs}
    models = dict.fromkeys(("extractor", "distance", "classifiers"))
    wants_distance = "distance" in needs and image_distance
    if "extractor" in needs or (wants_distance and image_distance == "features"):
        models["extractor"] = load_extractor(feature_extractor)
    if wants_distance:
        models["distance"] = load_distance(image_distance, models["extractor"])
    if "classifiers" in needs and classifiers:
        models["classifiers"] = load_classifiers(classifiers)
    return models


def real_images_for(info: DatasetInfo, config: GeneratorConfig, mirror: bool) -> RealImages:
    """Real images of the network's resolution, channels and labels. UserError if the dataset has no such images."""
    if info.num_channels != config.num_channels:
        raise UserError(f"{info.folder} has {info.num_channels} channel(s), the network makes {config.num_channels}.")
    if config.label_size and info.label_size != config.label_size:
        raise UserError(f"{info.folder} has {info.label_size} labels, the network takes {config.label_size}.")
    info.shards(config.resolution)  # UserError if the dataset lacks that resolution.
    return RealImages(info, config.resolution, mirror)


def compute_metrics(
    metrics: Sequence[Metric], context: MetricContext, on_error: Optional[OnError] = None
) -> Iterator[MetricResult]:
    """Yields results as they are computed; record each before you ask for the next, which may drop what it came from.

    Metrics on the features of the same images share the pass over them: their results come together. With `on_error`
    a failing metric does not stop the others; those that need what the context lacks are reported before anything is
    computed. Without it the first error is raised.
    """
    on_error = on_error or _raise
    todo = []
    for metric in metrics:
        try:
            metric.check(context)
            todo.append(metric)
        except Exception as error:
            on_error(metric, error)
    while todo:
        together = [other for other in todo if _images(other) == _images(todo[0])]
        todo = [metric for metric in todo if metric not in together]
        start = time.monotonic()
        for metric, values, facts in _computed(together, context, on_error):
            facts = {**context.facts, "seconds": round(time.monotonic() - start, 1), **facts}
            yield MetricResult(result_name(metric, context), values, full_protocol(metric, context), facts)


def result_name(metric: Metric, context: MetricContext) -> str:
    """See `MetricResult.name`."""
    name = metric.text + metric.suffix(context)
    if context.reals is not None and context.reals.label_column is not None:
        name += f"-class{context.reals.label_column}"
    if "reals" in metric.needs and context.reals.count(metric.count) < metric.count:
        name += f"-{context.reals.count(metric.count)}reals"
    if context.count(metric.count) < metric.count:
        name += f"-{context.count(metric.count)}images"
    return name


def full_protocol(metric: Metric, context: MetricContext) -> dict:
    """Everything that the result depends on: equal protocols mean the same measurement."""
    found = {"version": PROTOCOL_VERSION, **context.protocol(), "count": metric.count, **metric.protocol(context)}
    if context.reals is not None and ("reals" in metric.needs or context.label_size):
        found["dataset_digest"] = context.reals.digest
    if "reals" in metric.needs:
        found.update(reals=context.reals.count(metric.count), mirrored_copies=context.reals.mirror)
    return found


def _images(metric: Metric) -> tuple:
    """The key by which metrics share a pass over images; other metrics are alone."""
    return (metric.count, metric.mixed_latents) if isinstance(metric, FeatureMetric) else (metric,)


def _computed(
    together: Sequence[Metric], context: MetricContext, on_error: OnError
) -> Iterator[tuple[Metric, Values, Facts]]:
    first = together[0]
    try:
        if isinstance(first, FeatureMetric):
            reals, fakes, partial = _statistics(together, context)
        else:
            partial = CachedArrays(context.cache_folder, first.cached_rows, full_protocol(first, context))
            values, facts = first.compute(context, partial)
    except Exception as error:
        for metric in together:
            on_error(metric, error)
        return
    is_complete = True
    for metric in together:
        if isinstance(metric, FeatureMetric):
            try:
                both = reals.get(metric.statistics), fakes[metric.statistics]
                values = metric.values(*both, context.seed)
                facts = metric.errors(*both, values)
            except Exception as error:
                on_error(metric, error)
                is_complete = False
                continue
        yield metric, values, facts
    if is_complete:  # All results are recorded now; an interrupted call resumes from it.
        partial.remove()


def _statistics(metrics: Sequence[FeatureMetric], context: MetricContext) -> tuple[dict, dict, CachedArrays]:
    """Statistics of real and of measured images, by kind, and the file of the latter."""
    count, mixed_latents = _images(metrics[0])
    of_reals = {metric.statistics for metric in metrics if "reals" in metric.needs}
    reals = real_statistics(context, count, of_reals).parts if of_reals else {}
    kinds = {metric.statistics for metric in metrics}
    measured, partial = measured_statistics(context, count, mixed_latents, kinds)
    return reals, measured.parts, partial


def _raise(_metric: Metric, error: Exception) -> None:
    raise error
