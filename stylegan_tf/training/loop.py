"""The training loop: knows time, checkpoints, reports; the step knows networks and replicas."""

import contextlib
import math
import pathlib
import signal
import time
from typing import Callable, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo, data_errors_named, find_dataset
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.distribution.strategy import create_strategy, training_batches
from stylegan_tf.errors import UserError
from stylegan_tf.training.checkpoints import Checkpoints, restore_alike
from stylegan_tf.training.initial_networks import initialise
from stylegan_tf.training.outputs import Measure, Outputs
from stylegan_tf.training.reporting import RunReport, WorkerReport
from stylegan_tf.training.run_folder import locked_run_folder, write_errors_named
from stylegan_tf.training.schedule import Phase, check_batches, optimizer_reset_between, phase_at
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, build_iterations
from stylegan_tf.training.stop_signal import Stopped, StopSignal

_MOST_SKIPPED = 100  # Steps in a row. A rare one is an accident; so many are a network that no longer learns.


def train(
    config: TrainConfig,
    write_flags: Callable[[pathlib.Path], None],
    prepare_metrics: Optional[Callable[..., Measure]] = None,
) -> None:
    """Trains from the start, or from the newest checkpoint in `config.run_dir`, to `config.total_kimg`.

    Args:
      write_flags: writes the run's flags to the path that it is given.
      prepare_metrics: called once with the data, a strategy, the averaged generator and the images seen; what it
        returns is called every `config.metric_ticks`.
    Raises:
      UserError for data, checkpoints or flags that do not fit, and when the losses are no longer finite.
    """
    info = find_dataset(config.data_dir)
    # Mistakes are told before any wait.
    _, network = config.network_configs(info.resolution, info.num_channels, info.label_size)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with StopSignal() as stop:
        strategy = create_strategy(config.strategy, config.tpu)  # Before anything else runs in TensorFlow.
        check_batches(config.schedule, network.resolution, strategy.num_replicas_in_sync, network.mbstd_group_size)
        processes = Processes(strategy)
        chiefs = locked_run_folder(config.run_dir) if processes.is_chief else contextlib.nullcontext([])
        with processes.errors_named(), chiefs as notes:
            _train(config, info, strategy, processes, stop, notes, write_flags, prepare_metrics)


def _train(config: TrainConfig, info, strategy, processes, stop, notes, write_flags, prepare_metrics) -> None:
    began = time.monotonic()
    tf.keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        state = TrainState(config, *config.network_configs(info.resolution, info.num_channels, info.label_size))
    built = time.monotonic()
    run_dir = pathlib.Path(config.run_dir)
    checkpoints = Checkpoints(state, run_dir, config.keep_checkpoints, config.keep_checkpoint_every_kimg)
    resumed = restore_alike(checkpoints, state, processes)
    initial = initialise(state, config.init_from) if config.init_from and not resumed else []
    total_images = round(config.total_kimg * 1000)
    measure = None
    if processes.is_chief:
        if prepare_metrics:  # The chief measures alone, and the other processes wait: on its own devices then.
            own = strategy if processes.count == 1 else tf.distribute.get_strategy()
            measure = prepare_metrics(info, own, state.generator_ema, state.images_seen)
        with write_errors_named(run_dir / "flags.cfg"):
            write_flags(run_dir / "flags.cfg")
        report = RunReport(run_dir, total_images, state.images_seen)
    else:
        report = WorkerReport()
    with report:
        greeting = _greeting(config, info, state, strategy, processes, resumed)
        for line in [greeting, *notes, *checkpoints.warnings, *initial]:
            report.say(line)
        report.say(f"networks built in {built - began:.1f} s, weights set in {time.monotonic() - built:.1f} s")
        run = _Run(config, info, strategy, processes, state, checkpoints, report, stop, measure)
        run.start(resumed)
        stopped = processes.any(stop)
        while state.images_seen < total_images and not stopped:
            run.iterate()
            stopped = processes.any(stop)  # One of them was told to: all stop here, after the same iteration.
        run.finish(stopped)
        processes.wait_for_all()
    if stopped:
        raise SystemExit(128 + (stop.number or signal.SIGTERM))


class _Run:
    """The parts of one run and what happens to them at an iteration, at a change of level, at a tick."""

    def __init__(self, config, info, strategy, processes, state, checkpoints, report, stop, measure):
        self.config: TrainConfig = config
        self.info: DatasetInfo = info
        self.strategy = strategy
        self.processes: Processes = processes
        self.state: TrainState = state
        self.checkpoints: Checkpoints = checkpoints
        self.report: RunReport = report
        self.stop: StopSignal = stop
        self.resolution = state.generator.config.resolution
        self.outputs = Outputs(config, info, state, report, measure) if processes.is_chief else None
        self.level = None  # (resolution, batch size) that `iterations` and `batches` are for.
        self.prepared_in = None  # Seconds, until the first iteration of the level has told them.
        self.iterations = None
        self.batches = None
        self.pending: list[dict[str, tf.Tensor]] = []  # Metrics of the iterations since the last look at the schedule.
        self.tick_metrics: list[dict[str, float]] = []
        self.trained = False  # Whether this process has.

    def start(self, resumed: bool) -> None:
        if not resumed and self.processes.is_chief and not self.stop:
            began = time.monotonic()
            self.outputs.first_pictures(self._phase())
            self.report.say(f"first pictures written in {time.monotonic() - began:.1f} s")

    def iterate(self) -> None:
        """One iteration; then, where the schedule is looked at, a tick if it is time.

        The schedule holds for `iterations_per_update` iterations, also if the run was stopped among them.
        """
        phase = self._phase()
        if self.state.lod is not None and optimizer_reset_between(self.state.lod, phase.lod):
            self.state.reset_optimizers()
        self.state.lod = phase.lod
        inputs = StepInputs(
            images_seen=tf.constant(self.state.images_seen, tf.int64),
            alpha=tf.constant(phase.alpha, tf.float32),
            learning_rate=tf.constant(phase.learning_rate, tf.float32),
        )
        try:
            self._set_level(phase, inputs)
        except Stopped:
            return
        began = time.monotonic()
        self.pending.append(self._one_iteration(phase, inputs))
        if self.prepared_in is not None:  # The first call also optimises the graph and fills the shuffle buffer.
            first = time.monotonic() - began
            self.report.say(f"{_name(self.level)}: prepared in {self.prepared_in:.1f} s, first iteration {first:.1f} s")
            self.prepared_in = None
        self.trained = True
        self.state.images_seen += phase.batch_size
        self.report.update(self.state.images_seen)
        update_images = self.config.iterations_per_update * phase.batch_size
        if self.state.images_seen - self.state.schedule_images >= update_images:
            self._check_losses(self._collect_metrics())
            self.state.schedule_images = self.state.images_seen
            if self.state.images_seen - self.state.tick_images >= phase.tick_kimg * 1000:
                self._tick()

    def finish(self, stopped: bool) -> None:
        """Saves everything and says how the run ended. None of it moves a later tick."""
        self._collect_metrics()
        if self.trained:  # Else there is nothing new: the run was complete before.
            self._check_weights()
            self._compare_processes()
            if stopped:  # Who stops a run may not wait for long: what is needed to go on comes first.
                self._save_checkpoint()
            if self.tick_metrics:
                self._report_tick()
            if self.processes.is_chief:
                self.outputs.last(self._phase(), grid=not stopped)
            if not stopped:
                self._save_checkpoint()
                if self.processes.is_chief:
                    self.outputs.metrics(self._phase(), self.stop)
        if stopped:
            self.report.say(f"stopped at {self.state.images_seen / 1000:.1f} kimg; the same command goes on from here")
        else:
            seen, fingerprint = self.state.images_seen / 1000, self.state.fingerprint
            self.report.say(f"finished at {seen:.1f} kimg, see {self.config.run_dir}; weights {fingerprint:08x}")

    def _phase(self) -> Phase:
        replicas = self.strategy.num_replicas_in_sync
        return phase_at(self.state.schedule_images, self.config.schedule, self.resolution, replicas)

    def _set_level(self, phase: Phase, inputs: StepInputs) -> None:
        """Traces the step where resolution or batch size change. Raises Stopped if a stop signal breaks it off."""
        level = (phase.resolution, phase.batch_size)
        if level == self.level:
            return
        began = time.monotonic()
        self.report.say(f"{_name(level)}: preparing the step")
        self.level = None
        # Several processes have to take the same path: there, all of them trace to the end.
        with self.stop.at_once() if self.processes.count == 1 else contextlib.nullcontext():
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
            self.iterations.get_concrete_function(self.batches, tf.constant(1), inputs)
        self.level = level
        self.prepared_in = time.monotonic() - began

    def _one_iteration(self, phase: Phase, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """Metrics of one iteration. What was trained before is saved if the data cannot be read."""
        try:
            with data_errors_named(self.info, phase.resolution):
                return self.iterations(self.batches, tf.constant(1), inputs)
        except UserError as error:
            if self.trained and self.processes.is_chief:  # The data come first in an iteration: nothing is half done.
                self._collect_metrics()
                self._check_weights()
                self._save_checkpoint()
            raise UserError(f"{error} {self._last_checkpoint()}.") from error

    def _collect_metrics(self) -> list[dict[str, float]]:
        """Waits for the iterations since the last time; returns their metrics and adds them to the tick's."""
        collected = [{name: float(value) for name, value in metrics.items()} for metrics in self.pending]
        self.pending = []
        self.tick_metrics += collected
        return collected

    def _check_losses(self, iterations: list[dict[str, float]]) -> None:
        """One step with a loss that is not finite is skipped; if all are, nothing is learnt any more."""
        for name in iterations[0]:
            values = [metrics[name] for metrics in iterations]
            if name != "r1" and not any(map(math.isfinite, values)):  # R1 is in d_loss.
                raise self._diverged(f"{name} is not finite")
        for name, adam in self.state.optimizers.items():
            if adam.skipped_in_a_row >= _MOST_SKIPPED:
                raise self._diverged(f"the last {adam.skipped_in_a_row} gradients of the {name} are not finite")

    def _check_weights(self) -> None:
        """Nothing that holds NaN or infinity is written over what is good."""
        name = self.state.first_non_finite()
        if name is not None:
            raise self._diverged(f"{name} is not finite")

    def _compare_processes(self) -> None:
        """For all processes to call."""
        if self.processes.count > 1 and not self.processes.agree_on(self.state.fingerprint):
            self.report.say("warning: the processes no longer have the same weights; are their devices of one kind?")

    def _diverged(self, symptom: str) -> UserError:
        return UserError(
            f"training diverged after {self.state.images_seen / 1000:.1f} kimg: {symptom}. {self._last_checkpoint()}. "
            "A lower --learning_rate or a higher --r1_gamma helps."
        )

    def _last_checkpoint(self) -> str:
        last = self.checkpoints.latest
        if last is None:
            return "There is no checkpoint yet"
        return f"The last good checkpoint is {last}; the same command goes on from there"

    def _tick(self) -> None:
        """Reports; the chief writes what is due, and the others wait for it at the next step."""
        self._check_weights()
        self._compare_processes()
        self._report_tick()
        self.state.ticks += 1
        self.state.tick_images = self.state.images_seen
        if self.processes.is_chief:
            self.outputs.tick(self._phase())
        if self.state.ticks % self.config.checkpoint_ticks == 0:
            self._save_checkpoint()  # After all that it stands for is on disk.
        if self.processes.is_chief and self.state.ticks % self.config.metric_ticks == 0:
            self.outputs.metrics(self._phase(), self.stop)
        self.report.start_tick(self.state.images_seen)

    def _report_tick(self) -> None:
        names = self.tick_metrics[0]
        values = {name: [metrics[name] for metrics in self.tick_metrics] for name in names}
        # With --r1_interval not every iteration computes R1; it is NaN there.
        means = {name: float(np.nanmean(calls)) for name, calls in values.items() if not np.isnan(calls).all()}
        means.update(self.state.step_counts())
        self.report.tick(self.state.images_seen, self._phase(), means)
        self.tick_metrics = []

    def _save_checkpoint(self) -> None:
        if self.processes.is_chief:
            with write_errors_named(self.checkpoints.folder):
                self.checkpoints.save()


def _name(level: tuple[int, int]) -> str:
    resolution, batch_size = level
    return f"{resolution}x{resolution}, batch {batch_size}"


def _greeting(config, info, state, strategy, processes, resumed) -> str:
    size = state.generator.config.resolution
    where = f"{'resuming' if resumed else 'starting'} at {state.images_seen / 1000:.1f} of {config.total_kimg:g} kimg"
    devices = strategy.num_replicas_in_sync
    return (
        f"{info.count} images of {info.name}, training up to {size}x{size} on {devices} "
        f"{'device' if devices == 1 else 'devices'}{processes.described} in {config.precision}, {where}, "
        f"run folder {config.run_dir}"
    )
