"""Metrics at an interval of training, as plain callables: training knows nothing of this package."""

import pathlib
from collections.abc import Iterator
from typing import Callable, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.errors import UserError
from stylegan_tf.metrics.context import MetricContext, default_cache_folder
from stylegan_tf.metrics.evaluation import check, evaluate
from stylegan_tf.metrics.features import load_extractor
from stylegan_tf.metrics.lpips import load_distance
from stylegan_tf.metrics.measuring import real_images_for
from stylegan_tf.metrics.names import parse_metrics
from stylegan_tf.metrics.results import append_result, drop_results_beyond
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth

_SEED = 0  # The default of `evaluate`: what training has measured is there already for it.


class TrainingMetrics:
    """`TrainingMetrics(config)(info, strategy, generator, images_seen)` -> the function to call when it is time.

    Nothing here draws from a generator of random numbers that training draws from: a run is the same with metrics
    and without.
    """

    def __init__(self, config: TrainConfig):
        """Raises UserError for names of metrics that do not exist or need what training has not."""
        self._config = config
        self._metrics = parse_metrics(config.metrics)
        for metric in self._metrics:
            if metric.kind == "ls":
                raise UserError(f"metrics: {metric.text} is for stylegan_tf.evaluate, which takes --classifiers.")

    def __call__(
        self, info: DatasetInfo, strategy: tf.distribute.Strategy, generator: Generator, images_seen: int
    ) -> Callable:
        """Loads what the metrics need, so that mistakes are told before training begins.

        Returns `measure(growth, images_seen)`, which yields (line, scalars by name in TensorBoard) for each
        result of `generator` and adds it to metric-NAME.jsonl in the run folder. What goes wrong with a metric then is
        a line, too, and no reason for a run to end. Records beyond `images_seen`, where the run goes on, are dropped.
        """
        drop_results_beyond(self._config.run_dir, images_seen / 1000)
        extractor = distance = None
        with strategy.scope():
            if any(metric.needs_features for metric in self._metrics) or self._config.image_distance == "features":
                extractor = load_extractor(self._config.feature_extractor)
            if self._config.image_distance:
                distance = load_distance(self._config.image_distance, extractor)
        reals = real_images_for(info, generator.config, self._config.mirror_augment)

        def context(growth: Optional[Growth] = None) -> MetricContext:
            return MetricContext(
                generator, strategy, _SEED, default_cache_folder(), reals, extractor, distance,
                training_growth=growth,
            )  # fmt: skip

        for metric in self._metrics:
            check(metric, context())

        def measure(growth: Growth, images_seen: int) -> Iterator[tuple[str, dict[str, float]]]:
            facts = {"network": None, "kimg": images_seen / 1000, "dataset": info.name}
            try:
                for result in evaluate(self._metrics, context(growth)):
                    result = result.with_facts(facts)
                    append_result(pathlib.Path(self._config.run_dir), result)
                    yield result.line(), result.scalars()
            except (UserError, OSError) as error:  # E.g. no layers for so many latents yet; or the cache is full.
                yield f"metrics left out: {error}", {}

        return measure
