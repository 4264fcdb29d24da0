"""Metrics of networks and pictures: the values in one call, or recorded next to what was measured."""

import contextlib
import dataclasses
import glob
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional, Union

import tensorflow as tf

from stylegan_tf.config import INCEPTION, EvaluationOptions, PictureOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import DatasetInfo, find_dataset
from stylegan_tf.distribution.strategy import create_strategy
from stylegan_tf.files.storage import address_of, default_cache_folder
from stylegan_tf.files.working_copy import working_copy
from stylegan_tf.metrics.computation import (
    OnError,
    compute_metrics,
    full_protocol,
    load_metric_models,
    real_images_for,
    result_name,
)
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.kinds import parse_metrics
from stylegan_tf.metrics.kinds.metric import Metric
from stylegan_tf.metrics.measured_images import open_pictures
from stylegan_tf.metrics.real_images import RealImages
from stylegan_tf.metrics.results import MetricResult, ResultTable, append_result, find_result
from stylegan_tf.networks.network_file import DEMO_FILE, find_network, find_networks, load_networks

_PathLike = Union[str, os.PathLike[str]]


def evaluate(
    network: _PathLike,
    data_dir: Optional[_PathLike] = None,
    metrics: str = "fid50k",
    feature_extractor: str = INCEPTION,
    image_distance: Optional[str] = None,
    classifiers: Optional[str] = None,
    seed: int = 0,
    cache_dir: Optional[_PathLike] = None,
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
    options = EvaluationOptions(
        feature_extractor=feature_extractor,
        image_distance=image_distance,
        classifiers=classifiers,
        seed=seed,
        cache_dir=None if cache_dir is None else os.fspath(cache_dir),
    )
    context = network_context(_empty_context(wanted, options, progress), find_network(network), info)
    return {result.name: result.values for result in compute_metrics(wanted, context)}


def evaluate_and_record(
    networks: Sequence[str],
    pictures: Sequence[str],
    data_dir: Optional[str],
    metrics: Sequence[Metric],
    options: EvaluationOptions = EvaluationOptions(),
    out: Optional[str] = None,
    table: Optional[str] = None,
    note: Note = ignore,
    warn: Note = ignore,
    progress: StartProgress = Progress,
    reading: PictureOptions = PictureOptions(),
) -> None:
    """Measures several networks and sets of pictures, and appends the results to metric-NAME.jsonl.

    Args:
      networks: network files, run folders or patterns of their names; pictures: folders, archives or other sources.
      reading: white and black of the pictures.
      data_dir: the folder of TFRecords with the real images, for the metrics that need them.
      out: the folder for the results. None: that of each network; those of "demo" and of pictures are not recorded.
      table: a file for all results, .md or .csv, with a row for each network.
      note: takes a line for each result; warn: for each of several that is missing.
    Raises:
      UserError, after all else is measured, if a result is missing.
    """
    info = find_dataset(data_dir) if data_dir else None
    measured: list[tuple[str, Optional[pathlib.Path]]] = [*_named_networks(networks, options.all)]
    measured += [(name, None) for name in pictures]
    template = _empty_context(metrics, options, progress)
    several = len(measured) > 1 or len(metrics) > 1 or options.per_class
    rows, problems = ResultTable(), []

    for name, path in measured:

        def on_error(metric: Optional[Metric], error: Exception, name: str = name) -> None:  # The others continue.
            error = _expected(error)
            problems.append(str(error))
            if several:
                warn(f"{name}  {f'{metric.text} ' if metric else ''}skipped: {error}")

        try:
            if path is None:
                context = pictures_context(template, name, info, options, warn, reading)
            else:
                context = network_context(template, path, info, options)
        except UserError as error:
            on_error(None, error)
            continue
        each = [context]
        try:
            each += contexts_of_classes(context) if options.per_class else []
        except UserError as error:
            on_error(None, error)  # Without classes, the whole is measured.
        with _folder_for_results(out or _folder_of(path), warn) as folder:
            for one in each:
                found = measure_and_record(one, metrics, folder, on_error, options.force, note)
                rows.add(f"{name} {one.facts['class']}" if "class" in one.facts else name, found)
        for line in context.pictures.lines() if context.pictures else ():
            warn(f"{name}  {line}")
    if table is not None:
        rows.write(pathlib.Path(table))
    if problems:
        missing = "1 result is" if len(problems) == 1 else f"{len(problems)} results are"
        raise UserError(f"{missing} missing, see above." if several else problems[0])


def network_context(
    template: MetricContext,
    path: pathlib.Path,
    info: Optional[DatasetInfo],
    options: EvaluationOptions = EvaluationOptions(),
) -> MetricContext:
    """Context of a network file. template: a context without a network."""
    with template.strategy.scope():
        networks = load_networks(path)
    generator, metadata, mirror = networks.best_generator, networks.metadata, options.mirror_augment
    mirror = bool(metadata.get("mirror_augment", False) if mirror is None else mirror)
    reals = None if info is None else real_images_for(info, generator.config, mirror)
    box = _common_box(info, networks.content_box) if options.crop else None
    facts = {"network": path.name, "kimg": metadata.get("kimg"), "dataset": info.name if info else None}
    return dataclasses.replace(template, generator=generator, reals=reals, content_box=box, facts=facts)


def pictures_context(
    template: MetricContext,
    path: str,
    info: Optional[DatasetInfo],
    options: EvaluationOptions = EvaluationOptions(),
    note: Note = ignore,
    reading: PictureOptions = PictureOptions(),
) -> MetricContext:
    """Context of a folder of pictures, an archive, ...: see `open_pictures`."""
    box = info.relative_box if options.crop and info else None
    pictures, level = open_pictures(path, info, dataclasses.replace(reading, fit=options.fit), box, note)
    reals = None if info is None or level is None else RealImages(info, level, bool(options.mirror_augment))
    facts = {"pictures": path, "dataset": info.name if info else None}
    return dataclasses.replace(template, pictures=pictures, reals=reals, content_box=box, facts=facts)


def contexts_of_classes(context: MetricContext) -> list[MetricContext]:
    """The same network once for each class: images with its label against the real images that have it."""
    reals = context.reals
    if not context.label_size or reals is None:
        raise UserError("`per_class` needs a network with labels, and `data_dir` with the same.")
    found = []
    for column, name in enumerate(reals.info.label_names):
        of_class = dataclasses.replace(reals, label_column=column)
        found.append(dataclasses.replace(context, reals=of_class, facts={**context.facts, "class": name}))
    return found


def measure_and_record(
    context: MetricContext,
    metrics: Sequence[Metric],
    out: Optional[pathlib.Path],
    on_error: OnError,
    force: bool = False,
    note: Note = ignore,
) -> list[MetricResult]:
    """Notes a line per result, and appends it to metric-NAME.jsonl and to TensorBoard's events in `out`, if given.

    Existing results with the same protocol (network, data, seed, ...) are noted and not computed again.
    """
    name = " ".join(str(context.facts[key]) for key in ("network", "pictures", "class") if key in context.facts)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    found, missing = [], []
    for metric in metrics:
        result = None if force or out is None else _recorded_result(metric, context, out)
        if result is None:
            missing.append(metric)
            continue
        note(f"{name}  {result.line()}  (already there)")
        found.append(result)
    for result in compute_metrics(missing, context, on_error):
        if out is not None:
            append_result(out, result)
            _write_scalars(out, result, round((context.facts.get("kimg") or 0) * 1000))
        note(f"{name}  {result.line()}")
        found.append(result)
    return found


def _empty_context(metrics: Sequence[Metric], options: EvaluationOptions, progress: StartProgress) -> MetricContext:
    """A context with nothing to measure yet."""
    name = options.strategy
    if name == "auto":  # Without a look at TF_CONFIG: one process measures.
        name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"
    strategy = create_strategy(name)
    with strategy.scope():
        models = load_metric_models(metrics, options.feature_extractor, options.image_distance, options.classifiers)
    cache = pathlib.Path(options.cache_dir) if options.cache_dir else default_cache_folder()
    return MetricContext(
        None, strategy, options.seed, cache, **models, batch_size=options.batch_size, progress=progress
    )


def _named_networks(given: Sequence[str], all_of_run: bool) -> list[tuple[str, pathlib.Path]]:
    """(name, file) of every network to measure. UserError for one that does not exist."""
    named = []
    for entry in given:
        is_pattern = glob.has_magic(entry) and not pathlib.Path(entry).exists()
        found = sorted(glob.glob(entry)) if is_pattern else [entry]
        if not found:
            raise UserError(f"`network`: nothing is called {entry}: give network files or run folders.")
        for name in found:
            if all_of_run:
                named += [(name if path.name in name else f"{name}/{path.name}", path) for path in find_networks(name)]
            else:
                named.append((name, find_network(name)))
    return named


def _folder_of(path: Optional[pathlib.Path]) -> Optional[str]:
    return None if path in (None, DEMO_FILE) else address_of(path.parent)


@contextlib.contextmanager
def _folder_for_results(path: Optional[str], note: Note) -> Iterator[Optional[pathlib.Path]]:
    if path is None:
        yield None
    else:
        with working_copy(path, ["metric-*.jsonl"], note=note) as copy:
            yield copy.folder


def _expected(error: Exception) -> UserError:
    """The error, if it is the user's; out of memory becomes one. Others are raised."""
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return UserError("out of memory: lower `batch_size`.")
    if not isinstance(error, UserError):
        raise error
    return error


def _common_box(info: Optional[DatasetInfo], of_network: Optional[Sequence[float]]) -> Optional[Sequence[float]]:
    of_data = info.relative_box if info else None
    if info and of_network and of_data and max(abs(a - b) for a, b in zip(of_network, of_data)) > 1e-6:
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
