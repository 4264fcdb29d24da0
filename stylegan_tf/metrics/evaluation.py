"""From names of metrics to results: the one place that knows all of them."""

import dataclasses
import time
from collections.abc import Iterator, Sequence

from stylegan_tf.errors import UserError
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.feature_statistics import PROTOCOL_VERSION, generated_statistics, real_statistics
from stylegan_tf.metrics.frechet import frechet_distance
from stylegan_tf.metrics.kernel_distance import kernel_distance, subset_size
from stylegan_tf.metrics.mixed_latents import check_mixing
from stylegan_tf.metrics.names import MetricName
from stylegan_tf.metrics.path_length import PAIRS_PER_NOISE, PathLengthProtocol, perceptual_path_length
from stylegan_tf.metrics.precision_recall import NEIGHBOURS, precision_and_recall
from stylegan_tf.metrics.results import MetricResult
from stylegan_tf.metrics.separability import check_samples, linear_separability


def evaluate(metrics: Sequence[MetricName], context: MetricContext) -> Iterator[MetricResult]:
    """Results one after the other, as they are there.

    Metrics on the features of the same generated images share the pass over them: their results come together.
    Raises UserError for a metric that needs what the context lacks, before anything is computed.
    """
    for metric in metrics:
        check(metric, context)
    done = set()
    for metric in metrics:
        if metric in done:
            continue
        together = [metric]
        if metric.needs_features:
            together = [other for other in metrics if other.needs_features and _images(other) == _images(metric)]
        done.update(together)
        start = time.monotonic()
        found = _on_features(together, context) if metric.needs_features else _other(metric, context)
        for other, (values, facts) in zip(together, found):
            facts = {"seconds": round(time.monotonic() - start, 1), **facts}
            yield MetricResult(result_name(other, context), values, protocol(other, context), facts)


def result_name(metric: MetricName, context: MetricContext) -> str:
    """See `MetricResult.name`."""
    name = metric.text
    if metric.needs_features:
        name += context.extractor.suffix
    if metric.kind == "ppl":
        name += context.distance.suffix
    if metric.kind == "ls":
        name += context.classifiers.suffix
    if metric.needs_reals and context.reals.count(metric.count) < metric.count:
        name += f"-{context.reals.count(metric.count)}reals"
    return name


def protocol(metric: MetricName, context: MetricContext) -> dict:
    """Everything that the result depends on: two results with the same one are the same measurement."""
    found = {"version": PROTOCOL_VERSION, **context.protocol(), "count": metric.count}
    if metric.needs_features:
        found.update(context.extractor.protocol(), mixed_latents=metric.mixed_latents)
    if context.reals is not None and (metric.needs_reals or context.generator.config.label_size):
        found["dataset_digest"] = context.reals.digest
    if metric.needs_reals:
        found.update(reals=context.reals.count(metric.count), mirrored_copies=context.reals.mirror)
    if metric.kind == "kid":
        found["subset_size"] = subset_size(min(metric.count, found["reals"]))
    if metric.kind == "pr":
        found["neighbours"] = NEIGHBOURS
    if metric.kind == "ppl":
        found.update(context.distance.protocol(), pairs_per_noise=PAIRS_PER_NOISE)
        found.update(dataclasses.asdict(_path_length_protocol(metric, context)))
    if metric.kind == "ls":
        found.update(attributes=list(context.classifiers.names), classifiers_digest=context.classifiers.identity)
    return found


def check(metric: MetricName, context: MetricContext) -> None:
    """Raises UserError if the context lacks what the metric needs."""
    if metric.needs_reals and context.reals is None:
        raise UserError(f"{metric.text} compares with real images: give their folder of TFRecords as --data_dir.")
    if context.generator.config.label_size and context.reals is None:
        raise UserError(f"{metric.text}: the network has labels, which are drawn from those of --data_dir.")
    if metric.mixed_latents > 1:
        check_mixing(context.generator, metric.mixed_latents, context.growth.resolution)
    if metric.kind == "ppl" and context.distance is None:
        raise UserError(f"{metric.text} needs a distance of images: give one as --image_distance.")
    if metric.kind == "ls":
        if context.classifiers is None:
            raise UserError(f"{metric.text} needs classifiers of attributes: give their folder as --classifiers.")
        check_samples(context.generator, metric.count)
        context.classifiers.check(context.generator.config.resolution, context.generator.config.num_channels)
    if metric.kind == "is" and context.extractor.num_classes is None:
        raise UserError(f"{metric.text} needs class scores, but {context.extractor.name} has no output 'logits'.")


def _path_length_protocol(metric: MetricName, context: MetricContext) -> PathLengthProtocol:
    options = {"num_pairs": metric.count, "face_crop": metric.face_crop, "seed": context.seed}
    return PathLengthProtocol(metric.space, metric.sampling, **options)


def _images(metric: MetricName) -> tuple:
    return metric.count, metric.mixed_latents


def _on_features(metrics: Sequence[MetricName], context: MetricContext) -> Iterator[tuple[dict, dict]]:
    """Values, and facts about them, of metrics on the same generated images."""
    count, mixed_latents = _images(metrics[0])
    kinds = {"fid": "moments", "kid": "rows", "pr": "rows", "is": "scores"}
    real_kinds = {kinds[metric.kind] for metric in metrics if metric.needs_reals}
    reals = real_statistics(context, count, real_kinds).parts if real_kinds else {}
    fakes = generated_statistics(context, count, mixed_latents, {kinds[metric.kind] for metric in metrics}).parts
    for metric in metrics:
        if metric.kind == "fid":
            moments = [parts["moments"].mean_and_covariance() for parts in (reals, fakes)]
            yield {"fid": frechet_distance(*moments[0], *moments[1])}, {}
        elif metric.kind == "kid":
            mean, error = kernel_distance(reals["rows"].rows(), fakes["rows"].rows(), context.seed)
            yield {"kid": mean, "kid_error": error}, {}
        elif metric.kind == "pr":
            precision, recall = precision_and_recall(reals["rows"].rows(), fakes["rows"].rows())
            yield {"precision": precision, "recall": recall}, {}
        else:
            mean, deviation = fakes["scores"].score()
            yield {"score": mean, "score_deviation": deviation}, {}


def _path_length(metric: MetricName, context: MetricContext) -> tuple[dict, dict]:
    unfinished = CachedArrays(context.cache_folder, "path-lengths", protocol(metric, context))
    found = perceptual_path_length(
        context.generator, context.distance, _path_length_protocol(metric, context), context.strategy, context.rows,
        context.labels, context.growth, unfinished,
    )  # fmt: skip
    return {"ppl": found.mean}, {"pairs_kept": found.kept}


def _separability(metric: MetricName, context: MetricContext) -> tuple[dict, dict]:
    unfinished = CachedArrays(context.cache_folder, "classified", protocol(metric, context))
    found = linear_separability(
        context.generator, context.classifiers, metric.count, context.seed, context.strategy, context.rows,
        context.labels, context.growth, unfinished,
    )  # fmt: skip
    attributes = {name: dataclasses.asdict(each) for name, each in found.attributes.items()}
    return {"z": found.z, "w": found.w}, {"attributes": attributes}


def _other(metric: MetricName, context: MetricContext) -> Iterator[tuple[dict, dict]]:
    """The same of a metric that is not on features."""
    yield _path_length(metric, context) if metric.kind == "ppl" else _separability(metric, context)
