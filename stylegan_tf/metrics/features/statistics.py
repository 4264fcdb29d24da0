"""Statistics of the features of many images, and the passes over real and generated images that collect them."""

from collections.abc import Iterable

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.distribution.strategy import ReplicatedFunction
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.kinds.feature_distances import FeatureMoments, QuarteredMoments
from stylegan_tf.metrics.kinds.sample_quality import SplitScores

# Incremented when the same network and data give other numbers than before.
PROTOCOL_VERSION = 1
_REAL_BATCH = 32  # Real images per replica and call.


class FeatureRows:
    """All rows, float32 [total, width], for metrics on pairs of them."""

    def __init__(self, total: int, width: int):
        self._rows = np.zeros([total, width], np.float32)
        self._count = 0

    def update(self, rows: np.ndarray) -> None:
        self._rows[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def rows(self) -> np.ndarray:
        return self._rows[: self._count]

    def state(self) -> dict[str, np.ndarray]:
        return {"rows": self.rows()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._count = 0
        self.update(state["rows"])


class Statistics:
    """The requested `kinds`: "moments" (FeatureMoments), "rows" (FeatureRows), "scores" (SplitScores)."""

    def __init__(self, kinds: Iterable[str], total: int, extractor, moments=FeatureMoments):
        makers = {
            "moments": lambda: moments(extractor.width),
            "rows": lambda: FeatureRows(total, extractor.width),
            "scores": lambda: SplitScores(total, extractor.num_classes),
        }
        self.parts = {kind: makers[kind]() for kind in kinds}

    def update(self, outputs: dict[str, np.ndarray]) -> None:
        """outputs: of the extractor, for one batch."""
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise UserError("the feature extractor gave values that are not finite: has the network diverged?")
        for kind, part in self.parts.items():
            part.update(outputs["logits" if kind == "scores" else "features"])

    def arrays(self, done: int) -> dict[str, np.ndarray]:
        named = {f"{kind}/{name}": value for kind, part in self.parts.items() for name, value in part.state().items()}
        return {"done": np.int64(done), **named}

    def restore(self, arrays: dict[str, np.ndarray]) -> int:
        """-> the number of images that the arrays summarise: 0 if they lack one of the kinds."""
        states: dict[str, dict[str, np.ndarray]] = {}
        for name, value in arrays.items():
            kind, _, entry = name.partition("/")
            states.setdefault(kind, {})[entry] = value
        if not states.keys() >= self.parts.keys():
            return 0
        for kind, part in self.parts.items():
            part.restore(states[kind])
        return int(arrays["done"])


def measured_statistics(
    context: MetricContext, wanted: int, mixed_latents: int, kinds: Iterable[str]
) -> tuple[Statistics, CachedArrays]:
    """Feature statistics of `wanted` measured images; also resumes an interrupted call from the file."""
    count = context.count(wanted)
    source = context.source(mixed_latents)
    box = None if source.is_cropped else context.content_box

    def features(*inputs):
        return context.extractor(crop_to_box(source.images(*inputs), box))

    compute = ReplicatedFunction(context.strategy, features, context.replica_batch)
    key = {**context.protocol(), **context.extractor.protocol(), "count": count, "mixed_latents": mixed_latents}
    labels_of = context.reals.digest if context.labels is not None else None
    key.update({"labels": labels_of, "version": PROTOCOL_VERSION, "moments": "quarters"})
    key.update(context.box_protocol())

    def outputs_from(done):
        for first in range(done, count, compute.total_rows):
            yield [compute(*source.inputs(first, min(compute.total_rows, count - first)))]

    partial = CachedArrays(context.cache_folder, "generated", key)
    label = "Pictures" if context.generator is None else "Generated"
    statistics = Statistics(sorted(kinds), count, context.extractor, QuarteredMoments)
    return _collected(statistics, outputs_from, count, label, partial, context.progress), partial


def real_statistics(context: MetricContext, wanted: int, kinds: Iterable[str]) -> Statistics:
    """Feature statistics of the first `wanted` real images and, if `reals.mirror`, their mirrored copies; cached."""
    reals, extractor = context.reals, context.extractor
    count = reals.count(wanted)
    total = count * (2 if reals.mirror else 1)
    key = {**extractor.protocol(), "reals": reals.digest, "count": count, "mirror": reals.mirror}
    key.update({"version": PROTOCOL_VERSION, **context.box_protocol()})
    statistics = Statistics(sorted(kinds), total, extractor)
    missing = []
    for kind, part in statistics.parts.items():
        cached = CachedArrays(context.cache_folder, f"reals-{kind}", {**key, "kind": kind}).load()
        if cached is None:
            missing.append(kind)
        else:
            part.restore(cached)
    if missing:
        partial = CachedArrays(context.cache_folder, "reals-unfinished", {**key, "kinds": missing})
        computed = _real_pass(context, count, total, missing, partial)
        for kind, part in computed.parts.items():
            CachedArrays(context.cache_folder, f"reals-{kind}", {**key, "kind": kind}).save(part.state())
            statistics.parts[kind] = part
        partial.remove()
    return statistics


def _real_pass(context, count, total, kinds, partial) -> Statistics:
    compute = ReplicatedFunction(context.strategy, context.extractor, _REAL_BATCH)

    def outputs_from(done):
        for images in context.reals.batches(done, count, compute.total_rows):
            images = crop_to_box(images, context.content_box)
            views = [images, np.ascontiguousarray(images[:, :, ::-1])] if context.reals.mirror else [images]
            yield [compute(view) for view in views]

    statistics = Statistics(kinds, total, context.extractor)
    return _collected(statistics, outputs_from, count, "Real", partial, context.progress)


def _collected(statistics: Statistics, outputs_from, count, label, partial: CachedArrays, progress) -> Statistics:
    """`statistics` of `count` images; resumes from `partial`.

    outputs_from: images done -> the batches that follow: the extractor's outputs for one or two views of each.
    """
    earlier = partial.load()
    done = statistics.restore(earlier) if earlier else 0
    with progress(count, label, "images") as bar:
        bar.skip(done)
        for views in outputs_from(done):
            for outputs in views:
                statistics.update(outputs)
            done += len(views[0]["features"])
            bar.update(done)
            if partial.is_due():
                partial.save(statistics.arrays(done))
    return statistics
