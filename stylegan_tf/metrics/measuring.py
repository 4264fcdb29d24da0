"""Measures a network file and writes down what comes out."""

import pathlib
from collections.abc import Sequence
from typing import Optional

import tensorflow as tf

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.errors import UserError
from stylegan_tf.metrics.attribute_classifiers import AttributeClassifiers
from stylegan_tf.metrics.context import MetricContext, default_cache_folder
from stylegan_tf.metrics.evaluation import check, evaluate, protocol, result_name
from stylegan_tf.metrics.features import FeatureExtractor
from stylegan_tf.metrics.image_distance import ImageDistance
from stylegan_tf.metrics.names import MetricName
from stylegan_tf.metrics.real_images import RealImages
from stylegan_tf.metrics.results import MetricResult, append_result, find_result
from stylegan_tf.networks.network_file import load_networks


def measure_file(
    path: pathlib.Path,
    metrics: Sequence[MetricName],
    strategy: tf.distribute.Strategy,
    info: Optional[DatasetInfo],
    extractor: Optional[FeatureExtractor],
    out: pathlib.Path,
    distance: Optional[ImageDistance] = None,
    classifiers: Optional[AttributeClassifiers] = None,
    seed: int = 0,
    batch_size: Optional[int] = None,
    force: bool = False,
    mirror_augment: Optional[bool] = None,
    cache_dir: Optional[str] = None,
) -> None:
    """Prints a line per result, and adds it to metric-NAME.jsonl and to TensorBoard's events in `out`.

    Results that are there already, for the same network, data, seed and so on, are printed and not computed again.
    """
    with strategy.scope():
        networks = load_networks(path)
    generator, metadata = networks.best_generator, networks.metadata
    mirror = metadata.get("mirror_augment", False) if mirror_augment is None else mirror_augment
    context = MetricContext(
        generator, strategy, seed, pathlib.Path(cache_dir) if cache_dir else default_cache_folder(),
        reals=None if info is None else real_images_for(info, generator.config, bool(mirror)),
        extractor=extractor, distance=distance, classifiers=classifiers, batch_size=batch_size,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    facts = {"network": path.name, "kimg": metadata.get("kimg"), "dataset": info.name if info else None}
    for result in evaluate(metrics if force else _missing(metrics, context, out, path.name), context):
        result = result.with_facts(facts)
        append_result(out, result)
        _write_scalars(out, result, round((metadata.get("kimg") or 0) * 1000))
        print(f"{path.name}  {result.line()}", flush=True)


def _missing(metrics: Sequence[MetricName], context: MetricContext, out: pathlib.Path, network: str) -> list:
    """Those metrics that have no result in `out`; prints the lines of the others. Errors: as `evaluation.check`."""
    missing = []
    for metric in metrics:
        check(metric, context)
        found = find_result(out, result_name(metric, context), protocol(metric, context))
        if found is None:
            missing.append(metric)
        else:
            print(f"{network}  {found.line()}  (already there)", flush=True)
    return missing


def real_images_for(info: DatasetInfo, config: GeneratorConfig, mirror: bool) -> RealImages:
    """Real images of the network's size and colours, with its labels. UserError if the dataset has no such images."""
    if info.num_channels != config.num_channels:
        raise UserError(f"{info.folder} has {info.num_channels} channel(s), the network makes {config.num_channels}.")
    if config.label_size and info.label_size != config.label_size:
        raise UserError(f"{info.folder} has {info.label_size} labels, the network takes {config.label_size}.")
    info.shards(config.resolution)  # UserError if the dataset lacks that level.
    return RealImages(info, config.resolution, mirror)


def _write_scalars(folder: pathlib.Path, result: MetricResult, images_seen: int) -> None:
    """For TensorBoard, at the same step as the run's own scalars."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=".metrics")
    with writer.as_default():
        for name, value in result.scalars().items():
            tf.summary.scalar(name, value, step=images_seen)
    writer.close()
