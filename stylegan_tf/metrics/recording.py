"""Measures network files or pictures and records the results."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Optional

import tensorflow as tf

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.metrics.attribute_classifiers import load_classifiers
from stylegan_tf.metrics.computation import OnError, compute_metrics, full_protocol, result_name
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.features.image_distance import load_distance
from stylegan_tf.metrics.images.folder import open_pictures
from stylegan_tf.metrics.images.real import RealImages
from stylegan_tf.metrics.kinds.metric import Metric
from stylegan_tf.metrics.results import MetricResult, append_result, find_result
from stylegan_tf.networks.network_file import load_networks


@dataclasses.dataclass(frozen=True)
class Subject:
    """A measured network or set of pictures, and the facts about it that go into its records."""

    name: str
    context: MetricContext
    facts: dict[str, Any]


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


def network_subject(
    template: MetricContext,
    path: pathlib.Path,
    info: Optional[DatasetInfo],
    mirror: Optional[bool] = None,
    crop: bool = True,
) -> Subject:
    """A network file. template: a context without a network; mirror: None: as the network was trained."""
    with template.strategy.scope():
        networks = load_networks(path)
    generator, metadata = networks.best_generator, networks.metadata
    mirror = bool(metadata.get("mirror_augment", False) if mirror is None else mirror)
    reals = None if info is None else real_images_for(info, generator.config, mirror)
    box = _common_box(info, networks.content_box) if crop else None
    context = dataclasses.replace(template, generator=generator, reals=reals, content_box=box)
    facts = {"network": path.name, "kimg": metadata.get("kimg"), "dataset": info.name if info else None}
    return Subject(path.name, context, facts)


def pictures_subject(
    template: MetricContext,
    path: str,
    info: Optional[DatasetInfo],
    mirror: Optional[bool] = None,
    crop: bool = True,
    fit: Optional[str] = None,
    note: Note = ignore,
) -> Subject:
    """A folder of pictures, an archive, ...: see `open_pictures`."""
    box = info.relative_box if crop and info else None
    pictures, level = open_pictures(path, info, fit, box, note)
    reals = None if info is None else RealImages(info, level, bool(mirror))
    context = dataclasses.replace(template, pictures=pictures, reals=reals, content_box=box)
    return Subject(path, context, {"pictures": path, "dataset": info.name if info else None})


def subjects_of_classes(subject: Subject) -> list[Subject]:
    """The same network once for each class: images with its label against the real images that have it."""
    context = subject.context
    reals = context.reals
    if not context.label_size or reals is None:
        raise UserError("`per_class` needs a network with labels, and `data_dir` with the same.")
    found = []
    for column, name in enumerate(reals.info.label_names):
        of_class = dataclasses.replace(context, reals=dataclasses.replace(reals, label_column=column))
        found.append(Subject(f"{subject.name} {name}", of_class, {**subject.facts, "class": name}))
    return found


def measure_and_record(
    subject: Subject,
    metrics: Sequence[Metric],
    out: Optional[pathlib.Path],
    on_error: OnError,
    force: bool = False,
    note: Note = ignore,
) -> list[MetricResult]:
    """Notes a line per result, and appends it to metric-NAME.jsonl and to TensorBoard's events in `out`, if given.

    Existing results with the same protocol (network, data, seed, ...) are noted and not computed again.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    found, missing = [], []
    for metric in metrics:
        result = None if force or out is None else _recorded_result(metric, subject.context, out)
        if result is None:
            missing.append(metric)
            continue
        note(f"{subject.name}  {result.line()}  (already there)")
        found.append(result)
    for result in compute_metrics(missing, subject.context, on_error):
        result = result.with_facts(subject.facts)
        if out is not None:
            append_result(out, result)
            _write_scalars(out, result, round((subject.facts.get("kimg") or 0) * 1000))
        note(f"{subject.name}  {result.line()}")
        found.append(result)
    return found


def real_images_for(info: DatasetInfo, config: GeneratorConfig, mirror: bool) -> RealImages:
    """Real images of the network's resolution, channels and labels. UserError if the dataset has no such images."""
    if info.num_channels != config.num_channels:
        raise UserError(f"{info.folder} has {info.num_channels} channel(s), the network makes {config.num_channels}.")
    if config.label_size and info.label_size != config.label_size:
        raise UserError(f"{info.folder} has {info.label_size} labels, the network takes {config.label_size}.")
    info.shards(config.resolution)  # UserError if the dataset lacks that resolution.
    return RealImages(info, config.resolution, mirror)


def _common_box(info: Optional[DatasetInfo], of_network: Optional[Sequence[float]]) -> Optional[Sequence[float]]:
    of_data = None if info is None else info.relative_box
    if of_network and of_data and max(abs(a - b) for a, b in zip(of_network, of_data)) > 1e-6:
        raise UserError(
            f"the network was trained on pictures with other bars than those of {info.folder}: `crop=false` compares "
            "whole images."
        )
    return of_network or of_data


def _recorded_result(metric: Metric, context: MetricContext, out: pathlib.Path) -> Optional[MetricResult]:
    """None if there is none, also because the metric cannot be computed: the attempt will say why."""
    with contextlib.suppress(UserError):
        metric.check(context)
        return find_result(out, result_name(metric, context), full_protocol(metric, context))
    return None


def _write_scalars(folder: pathlib.Path, result: MetricResult, images_seen: int) -> None:
    """For TensorBoard, at the same step as the run's own scalars."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=".metrics")
    with writer.as_default():
        for name, value in result.scalars().items():
            tf.summary.scalar(name, value, step=images_seen)
    writer.close()
