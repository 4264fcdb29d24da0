"""Metrics during training, as plain callables: training does not depend on this package."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Callable

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.files.file_errors import short
from stylegan_tf.files.storage import default_cache_folder
from stylegan_tf.metrics.computation import compute_metrics, load_metric_models, real_images_for, result_name
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.kinds import parse_metrics
from stylegan_tf.metrics.kinds.metric import Metric
from stylegan_tf.metrics.results import append_result, drop_results_beyond, is_recorded
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth

_SEED = 0  # The default of `evaluate`, which then reuses what training has measured.


class TrainingMetrics:
    """`TrainingMetrics(config)(info, strategy, generator, images_seen)` -> the function that measures.

    It uses no random number generator of training: a run is the same with and without metrics.
    """

    def __init__(self, config: TrainConfig):
        """Raises UserError for unknown metrics and for those that need classifiers."""
        self._config = config
        self._metrics = parse_metrics(config.metrics)
        for metric in self._metrics:
            if "classifiers" in metric.needs:
                raise OptionError(f"metrics: {metric.text} needs classifiers: compute it with stylegan_tf.evaluate.")

    def __call__(
        self,
        info: DatasetInfo,
        strategy: tf.distribute.Strategy,
        generator: Generator,
        images_seen: int,
        progress: StartProgress = Progress,
    ) -> Callable:
        """Loads what the metrics need, so that errors are raised before training starts.

        Returns `measure(growth, images_seen)`, which yields (line, scalars by TensorBoard tag) for each result of
        `generator` and appends it to metric-NAME.jsonl in the run folder, unless it is there. A metric that fails then
        yields a line and does not end the run. Records beyond `images_seen`, where the run resumes, are dropped.
        """
        drop_results_beyond(self._config.run_dir, images_seen / 1000)
        with strategy.scope():
            models = load_metric_models(self._metrics, self._config.feature_extractor, self._config.image_distance)
        reals = real_images_for(info, generator.config, self._config.mirror_augment)
        context = MetricContext(
            generator, strategy, _SEED, default_cache_folder(), reals, **models,
            content_box=info.relative_box, progress=progress,
        )  # fmt: skip
        for metric in self._metrics:
            metric.check(context)

        def measure(growth: Growth, images_seen: int) -> Iterator[tuple[str, dict[str, float]]]:
            facts = {"network": None, "kimg": images_seen / 1000, "dataset": info.name}
            return self._lines(dataclasses.replace(context, training_growth=growth, facts=facts))

        return measure

    def _lines(self, context: MetricContext) -> Iterator[tuple[str, dict[str, float]]]:
        problems: list[str] = []  # E.g. too few layers for the latents yet; the cache is full; too little memory.

        def on_error(metric: Metric, error: Exception) -> None:
            problems.append(f"{metric.text} skipped: {_one_line(error)}")

        folder = pathlib.Path(self._config.run_dir)
        try:
            kimg = context.facts["kimg"]
            missing = [m for m in self._metrics if not is_recorded(folder, result_name(m, context), kimg)]
            for result in compute_metrics(missing, context, on_error):
                append_result(folder, result)
                yield result.line(), result.scalars()
        except Exception as error:
            problems.append(f"metrics skipped: {_one_line(error)}")
        for line in problems:
            yield line, {}


def _one_line(error: Exception) -> str:
    return short(error) if isinstance(error, UserError) else f"{type(error).__name__}: {short(error)}"
