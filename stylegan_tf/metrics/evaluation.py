"""Metrics of a network, in one call."""

import os
import pathlib
from collections.abc import Mapping
from typing import Optional, Union

from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.config.training import INCEPTION
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import create_strategy
from stylegan_tf.files.storage import default_cache_folder
from stylegan_tf.metrics.computation import compute_metrics
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.kinds.parsing import parse_metrics
from stylegan_tf.metrics.recording import load_metric_models, network_subject
from stylegan_tf.networks.network_file import find_network


def evaluate(
    network: Union[str, os.PathLike[str]],
    data_dir: Union[str, os.PathLike[str], None] = None,
    metrics: str = "fid50k",
    feature_extractor: str = INCEPTION,
    image_distance: Optional[str] = None,
    classifiers: Optional[str] = None,
    seed: int = 0,
    cache_dir: Union[str, os.PathLike[str], None] = None,
    progress: StartProgress = Progress,
) -> dict[str, Mapping[str, float]]:
    """The values of metrics by the name of their results; nothing is recorded (the command `evaluate` does that).

    Args:
      network: a network file, a run folder (its newest network) or "demo".
      data_dir: a folder of TFRecords with the real images; ppl and is do without.
      metrics: names, separated by commas, like "fid50k,pr50k".
      feature_extractor, image_distance, classifiers: what the metrics need, as the command's flags take it.
      cache_dir: for statistics of real images; None: ~/.cache/stylegan_tf.

    >>> from stylegan_tf import evaluate
    >>> found = evaluate("demo", "datasets/demo", "fid64", feature_extractor="efficientnet_lite0")
    >>> [(name, list(values)) for name, values in found.items()]
    [('fid64-efficientnet_lite0', ['fid'])]
    """
    wanted = parse_metrics(metrics)
    info = find_dataset(data_dir) if data_dir else None
    strategy = create_strategy("auto")
    with strategy.scope():
        models = load_metric_models(wanted, feature_extractor, image_distance, classifiers)
    cache = pathlib.Path(cache_dir) if cache_dir else default_cache_folder()
    template = MetricContext(None, strategy, seed, cache, **models, progress=progress)
    subject = network_subject(template, find_network(network), info)
    return {result.name: result.values for result in compute_metrics(wanted, subject.context)}
