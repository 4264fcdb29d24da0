"""What a run does at a tick: grids of images, network files, checkpoints, metrics; each is a `TickAction`."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import StartProgress
from stylegan_tf.config.training import parse_planes
from stylegan_tf.data.dataset_files import DatasetInfo, load_labels, translate_data_errors
from stylegan_tf.data.inspection import dataset_facts
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import BEST_NAME, file_name, find_networks, read_architecture, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.training.reports.disk import translate_write_errors
from stylegan_tf.training.reports.reporting import RunReport
from stylegan_tf.training.schedule import Phase
from stylegan_tf.training.state import TrainState
from stylegan_tf.visualize import image_grid, save_image
from stylegan_tf.visualize.painter import Sampler
from stylegan_tf.visualize.picture_files import as_shown

_MAX_CLASSES = 32  # Classes that get rows of their own.


class Grids:
    """Grids of real and of generated images, the latter always of the same latents.

    Their labels are those of the first reals; where these are a few classes, each class has a row.
    """

    def __init__(self, config: TrainConfig, info: DatasetInfo, state: TrainState, report: RunReport):
        self._config, self._info, self._state, self._report = config, info, state, report
        self._run_dir = pathlib.Path(config.run_dir)
        self._architecture = state.generator_ema.config
        self._sampler = Sampler(state.generator_ema, Truncation(config.truncation_psi, config.truncation_cutoff))
        count = config.grid_columns * config.grid_rows
        self._z = np.random.RandomState(config.seed).randn(count, self._architecture.latent_size).astype(np.float32)
        self._labels = None
        if self._architecture.label_size:
            self._labels = self._first_batch(min(info.levels))["labels"]
            classes = self._labels.shape[1]
            if 1 < classes <= _MAX_CLASSES and np.isin(load_labels(info).sum(axis=1), 1).all():
                self._labels = np.eye(classes, dtype=np.float32).repeat(config.grid_columns, axis=0)
                self._z = np.tile(self._z[: config.grid_columns], [classes, 1])
        self._previous: Optional[np.ndarray] = None  # The last grid's images.

    def write_reals(self, _phase: Phase) -> None:
        """At full resolution, whatever the level."""
        self._write("reals.png", self._first_batch(self._architecture.resolution)["images"])

    def write_fakes(self, phase: Phase) -> Mapping[str, float]:
        """Grid of the averaged generator, enlarged to full resolution while the networks grow; also reported.

        Returns `grid_change`: how much it differs from the last one at this resolution, rms of 255 levels.
        """
        images = np.concatenate(list(self._sampler.images(self._z, self._labels, phase.growth)))
        factor = self._architecture.resolution // phase.resolution
        images_seen = self._state.images_seen
        grid = self._write(f"fakes{(images_seen + 500) // 1000:06d}.png", images.repeat(factor, 1).repeat(factor, 2))
        self._report.image("fakes", grid, images_seen)
        previous, self._previous = self._previous, images
        if previous is None or previous.shape != images.shape:
            return {}
        return {"grid_change": float(np.sqrt(np.mean((images - previous.astype(np.float32)) ** 2)))}

    def _write(self, name: str, images: np.ndarray) -> np.ndarray:
        grid = image_grid(as_shown(images, parse_planes(self._config.grid_planes)), self._config.grid_columns)
        with translate_write_errors(self._run_dir / name):
            save_image(grid, self._run_dir / name)
        return grid

    def _first_batch(self, resolution: int):
        count = self._config.grid_columns * self._config.grid_rows
        # A small buffer: at full resolution that of training would take gigabytes and as many seconds to fill.
        dataset = training_dataset(self._info, resolution, count, self._config.seed, shuffle_images=2 * count)
        with translate_data_errors(self._info, resolution):
            return tf.nest.map_structure(lambda x: x.numpy(), next(iter(dataset)))


class NetworkFiles:
    """`network-NNNNNN.npz` in the run folder, of which `keep_networks` are kept."""

    def __init__(self, config: TrainConfig, info: DatasetInfo, state: TrainState):
        self._config, self._info, self._state = config, info, state
        self.run_dir = pathlib.Path(config.run_dir)

    def write(self, phase: Phase) -> None:
        path = self.run_dir / file_name(self._state.images_seen / 1000)
        self.save(path, phase)
        if self._config.keep_networks is not None:
            paths = find_networks(self.run_dir)
            with translate_write_errors(self.run_dir):
                for old in paths[: paths.index(path) + 1][: -self._config.keep_networks]:
                    old.unlink()

    def save(self, path: pathlib.Path, phase: Phase, **metadata: Any) -> None:
        metadata.update(
            kimg=self._state.images_seen / 1000,
            dataset=self._info.name,
            mirror_augment=self._config.mirror_augment,
        )
        if self._state.generator.config.label_size:
            metadata["label_names"] = list(self._info.label_names)
        if self._info.relative_box is not None:  # Letterboxed pictures: `generate` crops the bars.
            metadata["content_box"] = self._info.relative_box
        if self._info.aspect_ratio is not None:  # Stretched ones: `generate` restores their shape.
            metadata["aspect_ratio"] = self._info.aspect_ratio
        with translate_write_errors(path):
            save_networks(path, self._state.networks(metadata), growth=phase.growth)


# (growth, images seen) -> (line to print, scalars by name) of each metric of the averaged generator that the run
# folder does not have at so many images.
Measure = Callable[[Growth, int], Iterable[tuple[str, Mapping[str, float]]]]
# (data, strategy, averaged generator, images seen, progress) -> how it is measured; loads what the metrics need.
PrepareMetrics = Callable[[DatasetInfo, tf.distribute.Strategy, Generator, int, StartProgress], Measure]


class Metrics:
    """Reports the results of `measure`, at most once for the same weights, and keeps `network-best.npz`: the network
    with the lowest value of the metric `keep_best`, which its metadata has.
    """

    def __init__(
        self,
        config: TrainConfig,
        info: DatasetInfo,
        files: NetworkFiles,
        state: TrainState,
        report: RunReport,
        measure: Optional[Measure],
        finish: Callable[[], None],
    ):
        """finish: called when `patience` measurements have brought nothing better."""
        self._config, self._files, self._state, self._report = config, files, state, report
        self._measure, self._finish = measure, finish
        self._measured_at: Optional[int] = None  # Images seen.
        self._path = files.run_dir / BEST_NAME
        self._best: dict[str, Any] = {}
        self._data: dict[str, Any] = {}
        if config.keep_best:
            self._data = {"mirror_augment": config.mirror_augment, **dataset_facts(info)}
            if self._path.exists():
                best = read_architecture(self._path)[1].get("best", {})
                self._best = best if best.get("metric") == config.keep_best else {}
                self._drop_best_unless(data=self._data)

    def measure(self, phase: Phase) -> None:
        images_seen = self._state.images_seen
        if self._measure is None or self._measured_at == images_seen:
            return
        is_known, self._measured_at = self._measured_at is None, images_seen
        for line, scalars in self._measure(phase.growth, images_seen):
            self._report.log(line)
            self._report.scalars(scalars, images_seen)
            for tag, value in list(scalars.items())[:1]:  # The metric's own value comes first: "metrics/fid5k-...".
                name = tag.split("/")[1]
                if name.split("-")[0] == self._config.keep_best and math.isfinite(value):
                    self._consider(name, float(value), phase)
                    is_known = False
        if is_known:  # From before the run was resumed, perhaps after its end.
            self._end_if_nothing_better()

    def _drop_best_unless(self, **measured: Any) -> None:
        """Only values that were measured alike are compared; older files do not say how theirs was."""
        if any(self._best.get(name, value) != value for name, value in measured.items()):
            self._report.log(f"the best {self._config.keep_best} so far was measured differently: it is not compared")
            self._best = {}

    def _consider(self, name: str, value: float, phase: Phase) -> None:
        """Keeps the network if it is better. name: that of the result, which tells e.g. feature extractors apart."""
        metric = self._config.keep_best
        self._drop_best_unless(name=name)
        if self._best and value >= self._best["value"]:
            self._end_if_nothing_better()
            return
        ticks = self._state.ticks
        self._best = {"metric": metric, "value": value, "ticks": ticks, "name": name, "data": self._data}
        self._files.save(self._path, phase, best=self._best)
        self._report.log(f"best {metric} so far: {value:.5g}, kept as {self._path.name}")

    def _end_if_nothing_better(self) -> None:
        measurements = (self._state.ticks - self._best.get("ticks", 0)) // self._config.metric_ticks
        if self._config.patience is not None and self._best and measurements >= self._config.patience:
            self._report.log(
                f"no better {self._config.keep_best} in {measurements} measurements: the run ends (`patience`)"
            )
            self._finish()


@dataclasses.dataclass(frozen=True)
class TickAction:
    """Called by the chief at every `ticks`-th tick, and when a run is complete."""

    name: str
    ticks: Optional[int]  # None: only where the loop asks for it by name.
    call: Callable[[Phase], Optional[Mapping[str, float]]]  # What it returns is part of the next tick's report.
    when_stopped: bool = False  # Also when a run is stopped, in reverse order: people do not wait long then.


def tick_actions(
    config: TrainConfig,
    info: DatasetInfo,
    state: TrainState,
    report: RunReport,
    checkpoint: Callable[[], Any],
    measure: Optional[Measure],
    finish: Callable[[], None],
) -> list[TickAction]:
    """In the order in which they are called at a tick. Each raises UserError, naming the file, if a write fails.

    finish: makes the run end as complete.
    """
    grids = Grids(config, info, state, report)
    networks = NetworkFiles(config, info, state)
    metrics = Metrics(config, info, networks, state, report, measure, finish)
    return [
        TickAction("reals", None, grids.write_reals),
        TickAction("fakes", config.image_ticks, grids.write_fakes),
        TickAction("network", config.network_ticks, networks.write, when_stopped=True),
        # After everything that it stands for is on disk.
        TickAction("checkpoint", config.checkpoint_ticks, lambda _phase: checkpoint(), when_stopped=True),
        TickAction("metrics", config.metric_ticks, metrics.measure),
    ]
