"""What a run leaves in its folder for people, beside logs and checkpoints: pictures, network files, metrics."""

import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Callable, Optional, Union

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import file_name, find_networks, save_networks
from stylegan_tf.training.reports.grids import SampleGrid, save_reals
from stylegan_tf.training.reports.reporting import RunReport, WorkerReport
from stylegan_tf.training.run.checkpoints import Checkpoints
from stylegan_tf.training.run.folder import write_errors_named
from stylegan_tf.training.run.record import FILE_NAME, write_flag_file
from stylegan_tf.training.run.setup import RunSetup
from stylegan_tf.training.run.state import TrainState
from stylegan_tf.training.run.stop_signal import Stopped, StopSignal
from stylegan_tf.training.schedule import Phase

# (growth, images seen) -> (line to print, scalars by name) of each metric of the averaged generator.
Measure = Callable[[Growth, int], Iterable[tuple[str, Mapping[str, float]]]]


# (data, strategy, averaged generator, images seen) -> how it is measured; loads what the metrics need.
PrepareMetrics = Callable[[DatasetInfo, tf.distribute.Strategy, Generator, int], Measure]


class Outputs:
    """Writes grids, network files and checkpoints when it is told to, and has metrics computed.

    Raises UserError, naming the file, where writing fails.
    """

    def __init__(
        self,
        config: TrainConfig,
        info: DatasetInfo,
        state: TrainState,
        checkpoints: Checkpoints,
        report: RunReport,
        measure: Optional[Measure] = None,
    ):
        self._config, self._info, self._state, self._report = config, info, state, report
        self._checkpoints = checkpoints
        self._measure = measure
        self._measured = None  # Images seen by the network that was measured last.
        self._run_dir = pathlib.Path(config.run_dir)
        self._grid = SampleGrid(config, info, state)

    def first_pictures(self, phase: Phase, stop: StopSignal) -> None:
        """The reals, and what the untrained generator makes; not if the run is to stop already."""
        if stop:
            return
        began = time.monotonic()
        self.reals()
        self._save_grid(phase)
        self._report.say(f"first pictures written in {time.monotonic() - began:.1f} s")

    def reals(self) -> None:
        path = self._run_dir / "reals.png"
        with write_errors_named(path):
            save_reals(self._config, self._info, self._state.generator.config.resolution, path)

    def tick(self, phase: Phase) -> None:
        """What is due at this tick; `state.ticks` counts it."""
        if self._state.ticks % self._config.image_ticks == 0:
            self._save_grid(phase)
        if self._state.ticks % self._config.network_ticks == 0:
            self._save_networks(phase)

    def checkpoint(self) -> None:
        self._report.sync()
        with write_errors_named(self._checkpoints.folder):
            self._checkpoints.save()

    def last(self, phase: Phase, grid: bool) -> None:
        """The networks as they are at the end of the run, and a grid unless there is no time for it."""
        self._save_networks(phase)
        if grid:
            self._save_grid(phase)

    def metrics(self, phase: Phase, stop: StopSignal) -> None:
        """Reports what `measure` finds. A stop signal breaks it off: training does not depend on it."""
        images_seen = self._state.images_seen
        if self._measure is None or self._measured == images_seen:
            return
        self._measured = images_seen
        try:
            with stop.at_once():
                for line, scalars in self._measure(phase.growth, images_seen):
                    self._report.say(line)
                    self._report.scalars(scalars, images_seen)
        except Stopped:
            pass

    def _save_grid(self, phase: Phase) -> None:
        path = self._run_dir / f"fakes{round(self._state.images_seen / 1000):06d}.png"
        with write_errors_named(path):
            self._report.images("fakes", self._grid.save(path, phase)[None], self._state.images_seen)

    def _save_networks(self, phase: Phase) -> None:
        path = self._run_dir / file_name(self._state.images_seen / 1000)
        metadata = {
            "kimg": self._state.images_seen / 1000,
            "dataset": self._info.name,
            "mirror_augment": self._config.mirror_augment,
            **phase.growth.to_metadata(),
        }
        if self._state.generator.config.label_size:
            metadata["label_names"] = list(self._info.label_names)  # For `generate --class NAME`.
        if self._info.relative_box is not None:  # Letterboxed pictures: `generate` cuts the bars off.
            metadata["content_box"] = self._info.relative_box
        if self._info.aspect_ratio is not None:  # Stretched ones: `generate` gives them their shape back.
            metadata["aspect_ratio"] = self._info.aspect_ratio
        with write_errors_named(path):
            save_networks(path, self._state.networks(metadata))
            self._remove_old_networks(path)

    def _remove_old_networks(self, newest: pathlib.Path) -> None:
        """Leaves `keep_networks` network files up to the newest one."""
        if self._config.keep_networks is not None:
            paths = find_networks(self._run_dir)
            written = paths[: paths.index(newest) + 1]
            for path in written[: -self._config.keep_networks]:
                path.unlink()


class SilentOutputs:
    """Those of a process that is not the chief: nothing."""

    def first_pictures(self, phase: Phase, stop: StopSignal) -> None:
        pass

    def reals(self) -> None:
        pass

    def tick(self, phase: Phase) -> None:
        pass

    def checkpoint(self) -> None:
        pass

    def last(self, phase: Phase, grid: bool) -> None:
        pass

    def metrics(self, phase: Phase, stop: StopSignal) -> None:
        pass


def open_outputs(
    setup: RunSetup,
    state: TrainState,
    checkpoints: Checkpoints,
    prepare_metrics: Optional[PrepareMetrics],
) -> tuple[Union[RunReport, WorkerReport], Union[Outputs, SilentOutputs]]:
    """The chief's, or silent ones. UserError for metrics that cannot be had."""
    if not setup.processes.is_chief:
        return WorkerReport(), SilentOutputs()
    config, run_dir = setup.config, pathlib.Path(setup.config.run_dir)
    measure = None
    if prepare_metrics:  # The chief measures alone, and the other processes wait: on its own devices then.
        own = setup.strategy if setup.processes.count == 1 else tf.distribute.get_strategy()
        measure = prepare_metrics(setup.info, own, state.generator_ema, state.images_seen)
    path = run_dir / FILE_NAME
    with write_errors_named(path):
        write_flag_file(path, config)
    report = RunReport(run_dir, round(config.total_kimg * 1000), state.images_seen)
    return report, Outputs(config, setup.info, state, checkpoints, report, measure)
