"""The training loop: knows time, checkpoints and reports; the step knows networks and replicas."""

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Iterable, Sequence
from typing import Callable, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.training import FLAG_FILE
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.distribution.strategy import create_strategy
from stylegan_tf.files.file_errors import short
from stylegan_tf.networks.network_file import file_name
from stylegan_tf.training.reports.actions import PrepareMetrics, TickAction, tick_actions
from stylegan_tf.training.reports.disk import translate_write_errors
from stylegan_tf.training.reports.log_backends import LogBackend, WandbLog
from stylegan_tf.training.reports.reporting import Health, RunReport, TickMetrics, open_report
from stylegan_tf.training.run.checkpoints import Checkpoints, newest_record, restore_on_all_workers
from stylegan_tf.training.run.initial_networks import initialise_on_all_workers
from stylegan_tf.training.run.record import (
    RunRecord,
    changes,
    data_changes,
    recorded_init_from,
    run_facts,
    write_flag_file,
)
from stylegan_tf.training.run.setup import Level, RunSetup, banner, level_name, locked_run_folder, resolve_precision
from stylegan_tf.training.run.stopping import (
    Stopped,
    StopSignal,
    Symptom,
    symptom_of_losses,
    symptom_of_steps,
    symptom_of_weights,
)
from stylegan_tf.training.schedule import Phase, check_batches, learning_rate_at, optimizer_reset_between, phase_at
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs


def train(
    config: TrainConfig,
    prepare_metrics: Optional[PrepareMetrics] = None,
    note: Note = ignore,
    progress: StartProgress = Progress,
    on_stop: Note = ignore,
    trackers: Sequence[LogBackend] = (),
    check: Callable[[], None] = lambda: None,
) -> None:
    """Trains from the start, or from the newest checkpoint in `config.run_dir`, to `config.total_kimg`.

    Args:
      prepare_metrics: called once with the data, a strategy, the averaged generator, the images seen and a progress
        that a stop signal interrupts; what it returns is called every `config.metric_ticks`.
      note: gets every line of the log; on_stop: a line at a stop signal, from the signal's handler.
      trackers: places that the chief reports to besides the files of the run folder.
      check: called at every tick; may raise UserError to end the run.
    Raises:
      UserError for data, checkpoints or options that do not fit, and if training diverges.
      SystemExit if a signal stopped the run.
    """
    if config.metrics and prepare_metrics is None:
        raise ValueError("config.metrics needs prepare_metrics, which stylegan_tf.train passes.")
    info = find_dataset(config.data_dir, config.cache_dir, config.cache_gib)
    _, network = config.network_configs(info.resolution, info.num_channels, info.label_size)  # Checks them early.
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with StopSignal(on_stop) as stop:
        # Before anything else runs in TensorFlow.
        strategy = create_strategy(config.strategy, config.tpu, run_facts(config, info), note)
        total, replicas = round(config.total_kimg * 1000), strategy.num_replicas_in_sync
        check_batches(config.schedule, network.resolution, total, replicas, network.mbstd_group_size)
        processes = Processes(strategy)
        locked = locked_run_folder(config.run_dir, note) if processes.is_chief else contextlib.nullcontext([])
        with processes.naming_lost_processes(), locked as lines:
            previous = newest_record(config.run_dir)
            precision = previous and previous.options.get("precision")
            config, about_precision = resolve_precision(config, precision, strategy, processes)
            record = RunRecord.of(config, info, strategy.num_replicas_in_sync)
            lines = [*lines, *about_precision, *(changes(previous, record, config.run_dir) if previous else [])]
            setup = RunSetup(config, info, strategy, processes, stop, record, previous, note, progress, trackers, check)
            stopped = _train(setup, lines, prepare_metrics)
    if stopped:
        raise SystemExit(128 + (stop.number or signal.SIGTERM))


def _train(setup: RunSetup, notes: list[str], prepare_metrics: Optional[PrepareMetrics]) -> bool:
    """Returns whether the run was stopped."""
    config, info, processes = setup.config, setup.info, setup.processes
    start = time.monotonic()
    tf.keras.utils.set_random_seed(config.seed)
    with setup.strategy.scope():
        state = TrainState(config, *config.network_configs(info.resolution, info.num_channels, info.label_size))
    built = time.monotonic()
    checkpoints = Checkpoints(
        state, config.run_dir, config.keep_checkpoints, config.keep_checkpoint_every_kimg, setup.record
    )
    resumed = restore_on_all_workers(checkpoints, state, processes)
    initial = [] if resumed else initialise_on_all_workers(config, state, processes)
    if resumed:
        started_from = recorded_init_from(f"{config.run_dir}/{FLAG_FILE}", config.init_from)
        if config.init_from and config.init_from != started_from:
            initial = ["`init_from` is not read: the run resumes from its checkpoint"]
        setup = dataclasses.replace(setup, config=dataclasses.replace(config, init_from=started_from))
    report, actions = _open_outputs(setup, state, checkpoints, prepare_metrics)
    with report:
        for line in [*banner(setup, state, resumed), *notes, *checkpoints.warnings, *initial]:
            report.log(line)
        report.log(f"networks built in {built - start:.1f} s, weights set in {time.monotonic() - built:.1f} s")
        loop = _Loop(setup, state, checkpoints, report, actions)
        if not resumed and not setup.stop:
            loop.call("reals", "fakes")
        elif setup.previous and data_changes(setup.previous, setup.record):
            loop.call("reals")
        if resumed and not setup.stop:
            loop.call_missed()
        return loop.run()


def _open_outputs(
    setup: RunSetup, state: TrainState, checkpoints: Checkpoints, prepare_metrics: Optional[PrepareMetrics]
) -> tuple[RunReport, list[TickAction]]:
    """The chief's; the other processes' report shows lines only, and they have no actions."""
    config, total_images, seen = setup.config, round(setup.config.total_kimg * 1000), state.images_seen
    if not setup.processes.is_chief:
        return RunReport(total_images, seen, note=setup.note), []
    measure = None
    if prepare_metrics:  # The chief measures alone, on its own devices, and the other processes wait.
        own = setup.strategy if setup.processes.count == 1 else tf.distribute.get_strategy()
        measure = prepare_metrics(setup.info, own, state.generator_ema, seen, setup.stop.interrupting(setup.progress))
    path = f"{config.run_dir}/{FLAG_FILE}"
    if seen < total_images or not os.path.exists(path):
        with translate_write_errors(path):
            write_flag_file(path, config)
    total_images = max(total_images, seen)  # Of a run that was complete before.
    wandb = [WandbLog(config.run_dir, setup.record.options)] if config.track == "wandb" else []
    report = open_report(config.run_dir, total_images, seen, setup.note, setup.progress, [*setup.trackers, *wandb])

    def checkpoint() -> None:
        report.sync()
        with translate_write_errors(checkpoints.folder):
            checkpoints.save()

    return report, tick_actions(config, setup.info, state, report, checkpoint, measure, setup.finished.set)


@dataclasses.dataclass
class _Loop:
    """What happens at an iteration, at a change of level, at a tick."""

    setup: RunSetup
    state: TrainState
    checkpoints: Checkpoints
    report: RunReport
    actions: Sequence[TickAction]

    def __post_init__(self) -> None:
        self.config = self.setup.config
        self.health = Health(self.config.losses.discriminator_loss == "logistic")
        self.from_actions: dict[str, float] = {}  # Numbers for the next report.
        self.level: Optional[Level] = None
        self.metrics = TickMetrics()
        self.trained: Optional[Phase] = None  # That of the last iteration of this process.
        self.abandoned = False  # Whether a stop signal has ended an action early.
        self.total = round(self.config.total_kimg * 1000)

    def call(self, *names: str) -> None:
        """Calls actions by name."""
        self._call([action for action in self.actions if action.name in names])

    def _call(self, actions: Iterable[TickAction]) -> None:
        for action in actions:
            if action.name in ("network", "metrics") and self.checkpoints.latest is None:
                self.call("checkpoint")  # A folder with results but without a checkpoint could not resume.
            try:
                self.from_actions.update(action.call(self._phase()) or {})
            except Stopped:  # Training does not depend on it.
                self.abandoned, seen = True, self.state.images_seen / 1000
                self.report.log(f"{action.name} abandoned at {seen:.1f} kimg; the same command computes them")

    def _is_due(self, action: TickAction) -> bool:
        return bool(action.ticks) and self.state.ticks % action.ticks == 0

    def call_missed(self) -> None:
        """Calls what is due where the run resumes, and what a stop or a kill there has left undone."""
        state, names = self.state, {"metrics"}
        if not os.path.exists(f"{self.config.run_dir}/{file_name(state.images_seen / 1000)}"):
            names.add("network")
        is_end, is_tick = state.images_seen >= self.total, state.images_seen == state.tick_images
        missed = [action for action in self.actions if action.name in names]
        self._call(action for action in missed if is_end or (is_tick and self._is_due(action)))

    def run(self) -> bool:
        """To the end, or until one of the processes gets a signal: then True. Saves everything."""
        processes, stop = self.setup.processes, self.setup.stop
        # A signal to one process stops all of them after the same iteration.
        while not processes.any(stop or self.setup.finished.is_set()) and self.state.images_seen < self.total:
            self._iterate()
        return self._finish(processes.any(stop))

    def _phase(self) -> Phase:
        """Phase at the last schedule update."""
        replicas = self.setup.strategy.num_replicas_in_sync
        resolution = self.state.generator.config.resolution
        return phase_at(self.state.schedule_images, self.config.schedule, resolution, replicas)

    def _iterate(self) -> None:
        """One iteration; if a schedule update is due, also that, and then a tick if one is.

        The schedule is constant for `iterations_per_update` iterations, also if the run was stopped among them.
        """
        state, phase = self.state, self._phase()
        if state.lod is not None and optimizer_reset_between(state.lod, phase.lod):
            state.reset_optimizers()
        state.lod = phase.lod
        inputs = StepInputs(
            images_seen=tf.constant(state.images_seen, tf.int64),
            alpha=tf.constant(phase.alpha, tf.float32),
            learning_rate=tf.constant(phase.discriminator_learning_rate, tf.float32),
            generator_learning_rate=tf.constant(phase.learning_rate, tf.float32),
        )
        try:
            self.metrics.add(self._iteration_at(phase, inputs))
        except Stopped:
            return
        self.trained = phase
        state.images_seen += phase.batch_size
        self.report.update(state.images_seen)
        if state.images_seen - state.schedule_images >= self.config.iterations_per_update * phase.batch_size:
            iterations = self.metrics.collect()
            self._end_if_diverged(symptom_of_losses(iterations) or symptom_of_steps(state))
            state.schedule_images = state.images_seen
            if state.images_seen - state.tick_images >= phase.tick_kimg * 1000:
                self._tick()

    def _iteration_at(self, phase: Phase, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """Metrics of one iteration. Raises Stopped if a signal arrives while a new level is prepared."""
        if self.level is not None and self.level.fits(phase):
            return self._checked_iteration(inputs)
        self.report.log(f"{level_name(phase)}: preparing the step")
        self.level = None  # Before the next one takes memory.
        self.level = Level(self.setup, self.state, phase, inputs)
        start = time.monotonic()
        metrics = self._checked_iteration(inputs)
        # The first call also optimises the graph and fills the shuffle buffer.
        prepared, first = self.level.prepared_in, time.monotonic() - start
        self.report.log(f"{level_name(phase)}: prepared in {prepared:.1f} s, first iteration {first:.1f} s")
        return metrics

    def _checked_iteration(self, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """If the data cannot be read, what was trained before is saved."""
        try:
            return self.level.iterate(inputs)
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"out of memory at {level_name(self._phase())} ({short(error.message, 120)}): limit the images that a "
                f"replica computes at once with `max_replica_batch`, or lower `batch_sizes`. {self._last_checkpoint()}."
            ) from error
        except UserError as error:
            if self.trained:  # The state is that of the last complete iteration.
                self._end_if_diverged(symptom_of_weights(self.state))
                self.call("checkpoint")
            raise UserError(f"{error} {self._last_checkpoint()}.") from error

    def _tick(self) -> None:
        """Reports; the chief calls the actions that are due, and the others wait for it at the next step."""
        state = self.state
        self.setup.check()
        self._report_tick()
        state.ticks += 1
        state.tick_images = state.images_seen
        self._call(action for action in self.actions if self._is_due(action))
        self.report.start_tick(state.images_seen)

    def _finish(self, stopped: bool) -> bool:
        """Saves everything and says how the run ended; returns whether something is left to do, as it was stopped.

        A later run has the same ticks as without the end.
        """
        if self.trained:  # Else there is nothing new: the run was complete before.
            self._report_tick()
            due = [action for action in self.actions if action.ticks and (action.when_stopped or not stopped)]
            self._call(reversed(due) if stopped else due)
        stopped = self.setup.processes.any(stopped or self.abandoned)  # The others wait for the chief here.
        seen = self.state.images_seen / 1000
        if stopped:
            self.report.log(f"stopped at {seen:.1f} kimg; the same command resumes from here")
        else:
            fingerprint = self.state.fingerprint
            self.report.log(f"finished at {seen:.1f} kimg, see {self.config.run_dir}; weights {fingerprint:08x}")
        return stopped

    def _report_tick(self) -> None:
        """Checks the weights and reports the metrics since the last tick, if there are any."""
        self._end_if_diverged(symptom_of_weights(self.state))
        processes = self.setup.processes
        if processes.count > 1 and not processes.agree_on(self.state.fingerprint):
            self.report.log("warning: the processes no longer have the same weights; are their devices of one kind?")
        if self.metrics:
            values = {**self.metrics.take_means(), **self.state.step_counts(), **self.from_actions}
            self.from_actions = {}
            if processes.is_chief:
                record = self.report.tick(self.state.images_seen, self.trained, values)
                for line in self.health.warnings(record):
                    self.report.log(line)

    def _end_if_diverged(self, symptom: Optional[Symptom]) -> None:
        if symptom is None:
            return
        _, rate = learning_rate_at(self._phase().resolution, self.config.schedule)
        if symptom.of_discriminator and self.config.schedule.discriminator_learning_rate is not None:
            rate = "discriminator_learning_rate"
        raise UserError(
            f"training diverged after {self.state.images_seen / 1000:.1f} kimg: {symptom.text}. "
            f"{self._last_checkpoint()}. A lower `{rate}` or a higher `r1_gamma` helps."
        )

    def _last_checkpoint(self) -> str:
        last = self.checkpoints.latest
        if last is None:
            return "There is no checkpoint yet"
        return f"The last good checkpoint is {last}; the same command resumes from there"
