"""Metrics at an interval of training, as plain callables: training knows nothing of this package."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Callable

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.errors import UserError
from stylegan_tf.metrics.computation import compute_metrics
from stylegan_tf.metrics.context import MetricContext, default_cache_folder
from stylegan_tf.metrics.kinds.metric import Metric
from stylegan_tf.metrics.kinds.parsing import parse_metrics
from stylegan_tf.metrics.recording import load_judges, real_images_for
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
            if "classifiers" in metric.needs:
                raise UserError(f"metrics: {metric.text} is for stylegan_tf.evaluate, which takes --classifiers.")

    def __call__(
        self, info: DatasetInfo, strategy: tf.distribute.Strategy, generator: Generator, images_seen: int
    ) -> Callable:
        """Loads what the metrics need, so that mistakes are told before training begins.

        Returns `measure(growth, images_seen)`, which yields (line, scalars by name in TensorBoard) for each result of
        `generator` and adds it to metric-NAME.jsonl in the run folder. What goes wrong with a metric then is a line,
        too, and no reason for a run to end. Records beyond `images_seen`, where the run goes on, are dropped.
        """
        drop_results_beyond(self._config.run_dir, images_seen / 1000)
        with strategy.scope():
            judges = load_judges(self._metrics, self._config.feature_extractor, self._config.image_distance)
        reals = real_images_for(info, generator.config, self._config.mirror_augment)
        context = MetricContext(
            generator, strategy, _SEED, default_cache_folder(), reals, **judges, content_box=info.relative_box
        )
        for metric in self._metrics:
            metric.check(context)

        def measure(growth: Growth, images_seen: int) -> Iterator[tuple[str, dict[str, float]]]:
            return self._lines(dataclasses.replace(context, training_growth=growth), images_seen, info.name)

        return measure

    def _lines(self, context: MetricContext, images_seen: int, dataset: str) -> Iterator[tuple[str, dict[str, float]]]:
        facts = {"network": None, "kimg": images_seen / 1000, "dataset": dataset}
        problems: list[str] = []  # E.g. no layers for so many latents yet; the cache is full; too little memory.

        def left_out(metric: Metric, error: Exception) -> None:
            problems.append(f"{metric.text} left out: {_in_one_line(error)}")

        try:
            for result in compute_metrics(self._metrics, context, left_out):
                result = result.with_facts(facts)
                append_result(pathlib.Path(self._config.run_dir), result)
                yield result.line(), result.scalars()
        except Exception as error:
            problems.append(f"metrics left out: {_in_one_line(error)}")
        for line in problems:
            yield line, {}


def _in_one_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    about = text[0][:300] if text else ""
    return about if isinstance(error, UserError) else f"{type(error).__name__}: {about}"
