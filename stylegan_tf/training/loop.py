"""The training loop: knows time, checkpoints, reports; the step knows networks and replicas."""

import contextlib
import math
import pathlib
import signal
import sys
from collections.abc import Iterator
from typing import Callable

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo, data_errors_named, find_dataset
from stylegan_tf.errors import UserError
from stylegan_tf.networks.network_file import file_name, save_networks
from stylegan_tf.schedule import Phase, optimizer_reset_between, phase_at
from stylegan_tf.training.distribution import create_strategy, training_batches
from stylegan_tf.training.grids import SampleGrid, save_reals
from stylegan_tf.training.initial_networks import initialise
from stylegan_tf.training.processes import Processes, restore_alike
from stylegan_tf.training.reporting import RunReport, WorkerReport
from stylegan_tf.training.state import Checkpoints, TrainState
from stylegan_tf.training.step import StepInputs, build_iterations


def train(config: TrainConfig, write_flags: Callable[[pathlib.Path], None]) -> None:
    """Trains from the start, or from the newest checkpoint in `config.run_dir`, to `config.total_kimg`.

    Args:
      write_flags: writes the run's flags to the path that it is given.
    Raises:
      UserError for data, checkpoints or flags that do not fit, and when the losses are no longer finite.
    """
    info = find_dataset(config.data_dir)
    config.network_configs(info.resolution, info.num_channels, info.label_size)  # Mistakes are told before any wait.
    strategy = create_strategy(config.strategy, config.tpu)  # Before anything else runs in TensorFlow.
    processes = Processes(strategy)
    with processes.errors_named():
        _train(config, info, strategy, processes, write_flags)


def _train(config: TrainConfig, info: DatasetInfo, strategy, processes: Processes, write_flags) -> None:
    tf.keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        state = TrainState(config, *config.network_configs(info.resolution, info.num_channels, info.label_size))
    run_dir = pathlib.Path(config.run_dir)
    checkpoints = Checkpoints(state, run_dir, config.keep_checkpoints)
    resumed = restore_alike(checkpoints, state, processes)
    notes = [] if resumed or not config.init_from else initialise(state, config.init_from)
    total_images = round(config.total_kimg * 1000)
    if processes.is_chief:
        run_dir.mkdir(parents=True, exist_ok=True)
        write_flags(run_dir / "flags.cfg")
        report = RunReport(run_dir, total_images, state.images_seen)
    else:
        report = WorkerReport()
    with report, _stop_signal() as stop:
        for line in [_greeting(config, info, state, strategy, processes, resumed), *notes]:
            report.say(line)
        run = _Run(config, info, strategy, processes, state, checkpoints, report)
        run.start(resumed)
        stopped = processes.any(stop)
        while state.images_seen < total_images and not stopped:
            run.iterate()
            stopped = processes.any(stop)  # One of them was told to: all stop here, after the same iteration.
        run.finish(stopped)
        processes.wait_for_all()
    if stopped:
        raise SystemExit(128 + (stop[0] if stop else signal.SIGTERM))


class _Run:
    """The parts of one run and what happens to them at an iteration, at a change of level, at a tick."""

    def __init__(self, config, info, strategy, processes, state, checkpoints, report):
        self.config: TrainConfig = config
        self.info: DatasetInfo = info
        self.strategy = strategy
        self.processes: Processes = processes
        self.state: TrainState = state
        self.checkpoints: Checkpoints = checkpoints
        self.report: RunReport = report
        self.run_dir = pathlib.Path(config.run_dir)
        self.resolution = state.generator.config.resolution
        self.grid = SampleGrid(config, info, state) if processes.is_chief else None
        self.level = None  # (resolution, batch size) that `iterations` and `batches` are for.
        self.iterations = None
        self.batches = None
        self.ticks = 0
        self.tick_start = state.images_seen
        self.tick_metrics: list[dict[str, float]] = []

    def start(self, resumed: bool) -> None:
        if not resumed and self.processes.is_chief:
            save_reals(self.config, self.info, self.resolution, self.run_dir / "reals.png")
            self._save_grid()

    def iterate(self) -> None:
        """A few iterations between two looks at the schedule; then a tick, if it is time."""
        phase = self._phase()
        if self.state.lod is not None and optimizer_reset_between(self.state.lod, phase.lod):
            self.state.reset_optimizers()
        self.state.lod = phase.lod
        self._set_level(phase)
        inputs = StepInputs(
            images_seen=tf.constant(self.state.images_seen, tf.int64),
            alpha=tf.constant(phase.alpha, tf.float32),
            learning_rate=tf.constant(phase.learning_rate, tf.float32),
        )
        count = self.config.iterations_per_update
        with data_errors_named(self.info, phase.resolution):
            metrics = self.iterations(self.batches, tf.constant(count), inputs)
        self.tick_metrics.append({name: float(value) for name, value in metrics.items()})
        self._check_finite()
        self.state.images_seen += count * phase.batch_size
        self.report.update(self.state.images_seen)
        if self.state.images_seen - self.tick_start >= phase.tick_kimg * 1000:
            self._tick()
            self._save()

    def finish(self, stopped: bool) -> None:
        """Saves everything and says how the run ended."""
        if self.tick_metrics:
            self._tick()
        if self.ticks:  # Else there is nothing new: the run was complete before.
            self._save(everything=True)
        if stopped:
            self.report.say(f"stopped at {self.state.images_seen / 1000:.1f} kimg; the same command goes on from here")
        else:
            self.report.say(f"finished: {self._network_path()}")

    def _phase(self) -> Phase:
        replicas = self.strategy.num_replicas_in_sync
        return phase_at(self.state.images_seen, self.config.schedule, self.resolution, replicas)

    def _set_level(self, phase: Phase) -> None:
        level = (phase.resolution, phase.batch_size)
        if level == self.level:
            return
        self._check_groups(phase)
        self.report.say(f"{phase.resolution}x{phase.resolution}, batch {phase.batch_size}: preparing the step")
        self.level = level
        self.iterations = build_iterations(self.config, self.state, self.strategy, *level)
        self.batches = training_batches(
            self.strategy,
            self.info,
            *level,
            seed=self.config.seed,
            shuffle_images=self.config.shuffle_images,
            mirror=self.config.mirror_augment,
            first_image=self.state.images_seen,
        )

    def _check_groups(self, phase: Phase) -> None:
        """The minibatch standard deviation needs whole groups in every replica's share of the batch."""
        share = phase.batch_size // self.strategy.num_replicas_in_sync
        group = min(self.config.discriminator.mbstd_group_size, share)
        if group and share % group:
            raise UserError(
                f"batch_sizes: {share} images a replica at {phase.resolution}x{phase.resolution} make no groups of "
                f"{group} for the minibatch standard deviation: use a multiple of it, or change --mbstd_group_size."
            )

    def _tick(self) -> None:
        names = self.tick_metrics[0]
        values = {name: [metrics[name] for metrics in self.tick_metrics] for name in names}
        # With --r1_interval not every call computes R1; it is NaN there.
        means = {name: float(np.nanmean(calls)) for name, calls in values.items() if not np.isnan(calls).all()}
        skipped = self.state.generator_adam.skipped + self.state.discriminator_adam.skipped
        if skipped:
            means["skipped_steps"] = skipped
        self.report.tick(self.state.images_seen, self._phase(), means)
        self.ticks += 1
        self.tick_metrics = []

    def _save(self, everything: bool = False) -> None:
        """The chief writes what is due at this tick; the others wait for it at the next step."""
        if self.processes.is_chief:
            self._write(everything)
        self.tick_start = self.state.images_seen
        self.report.start_tick(self.state.images_seen)

    def _write(self, everything: bool) -> None:
        """The checkpoint comes last: what it stands for is then on disk."""
        config = self.config
        if everything or self.ticks % config.image_ticks == 0:
            self._save_grid()
        if everything or self.ticks % config.network_ticks == 0:
            metadata = {"kimg": self.state.images_seen / 1000, "dataset": self.info.name}
            if self.info.relative_box is not None:  # Letterboxed pictures: `generate` cuts the bars off.
                metadata["content_box"] = self.info.relative_box
            save_networks(self._network_path(), self.state.networks(metadata))
        if everything or self.ticks % config.checkpoint_ticks == 0:
            self.checkpoints.save()

    def _save_grid(self) -> None:
        path = self.run_dir / f"fakes{round(self.state.images_seen / 1000):06d}.png"
        self.report.images("fakes", self.grid.save(path, self._phase())[None], self.state.images_seen)

    def _network_path(self) -> pathlib.Path:
        return self.run_dir / file_name(self.state.images_seen / 1000)

    def _check_finite(self) -> None:
        metrics = {name: value for name, value in self.tick_metrics[-1].items() if name != "r1"}  # It is in d_loss.
        if all(math.isfinite(value) for value in metrics.values()):
            return
        last = self.checkpoints.latest
        raise UserError(
            f"training diverged after {self.state.images_seen / 1000:.1f} kimg: "
            + ", ".join(f"{name} {value:g}" for name, value in metrics.items())
            + f". The last good checkpoint is {last or 'none yet'}; the same command goes on from there. "
            "A lower --learning_rate or a higher --r1_gamma helps."
        )


def _greeting(config, info, state, strategy, processes, resumed) -> str:
    size = state.generator.config.resolution
    where = f"{'resuming' if resumed else 'starting'} at {state.images_seen / 1000:.1f} of {config.total_kimg:g} kimg"
    devices = strategy.num_replicas_in_sync
    return (
        f"{info.count} images of {info.name}, training up to {size}x{size} on {devices} "
        f"{'device' if devices == 1 else 'devices'}{processes.described} in {config.precision}, {where}, "
        f"run folder {config.run_dir}"
    )


@contextlib.contextmanager
def _stop_signal() -> Iterator[list[int]]:
    """A list that SIGINT (Ctrl-C) or SIGTERM fills: the loop then ends after its current call.

    A second Ctrl-C is not caught.
    """
    received: list[int] = []

    def stop(number, _frame):
        print("\nstopping: the iterations under way are finished and saved first", file=sys.stderr, flush=True)
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
