"""The training loop: knows time, checkpoints, reports; the step knows networks and replicas."""

import contextlib
import signal
import time
from typing import Optional, Union

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.dataset_summary import described_use
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.distribution.strategy import create_strategy
from stylegan_tf.errors import UserError
from stylegan_tf.files.file_errors import short
from stylegan_tf.training.reports.outputs import Outputs, PrepareMetrics, SilentOutputs, open_outputs
from stylegan_tf.training.reports.reporting import RunReport, WorkerReport, say_on_stdout
from stylegan_tf.training.reports.tick_metrics import TickMetrics
from stylegan_tf.training.run.checkpoints import Checkpoints, newest_record, restore_alike
from stylegan_tf.training.run.divergence import symptom_of_losses, symptom_of_steps, symptom_of_weights
from stylegan_tf.training.run.folder import locked_run_folder
from stylegan_tf.training.run.initial_networks import initialise
from stylegan_tf.training.run.level import Level, level_name
from stylegan_tf.training.run.record import RunRecord, changes, data_changes, run_facts
from stylegan_tf.training.run.setup import RunSetup, greeting, settle_precision
from stylegan_tf.training.run.state import TrainState
from stylegan_tf.training.run.stop_signal import Stopped, StopSignal
from stylegan_tf.training.schedule import Phase, check_batches, learning_rate_at, optimizer_reset_between, phase_at
from stylegan_tf.training.step import StepInputs


def train(config: TrainConfig, prepare_metrics: Optional[PrepareMetrics] = None) -> None:
    """Trains from the start, or from the newest checkpoint in `config.run_dir`, to `config.total_kimg`.

    Args:
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
        # Before anything else runs in TensorFlow.
        strategy = create_strategy(config.strategy, config.tpu, run_facts(config, info), say_on_stdout)
        check_batches(config.schedule, network.resolution, strategy.num_replicas_in_sync, network.mbstd_group_size)
        processes = Processes(strategy)
        locked = locked_run_folder(config.run_dir, say_on_stdout) if processes.is_chief else contextlib.nullcontext([])
        with processes.naming_lost_processes(), locked as notes:
            begun = newest_record(config.run_dir)
            config, lines = settle_precision(config, begun and begun.options.get("precision"), strategy, processes)
            record = RunRecord.of(config, info, strategy.num_replicas_in_sync)
            lines += changes(begun, record, config.run_dir) if begun else []
            setup = RunSetup(config, info, strategy, processes, stop, record, begun)
            stopped = _train(setup, [*notes, *lines], prepare_metrics)
    if stopped:
        raise SystemExit(128 + (stop.number or signal.SIGTERM))


def _train(setup: RunSetup, notes: list[str], prepare_metrics: Optional[PrepareMetrics]) -> bool:
    """-> whether the run was stopped."""
    config, info, processes = setup.config, setup.info, setup.processes
    began = time.monotonic()
    tf.keras.utils.set_random_seed(config.seed)
    with setup.strategy.scope():
        state = TrainState(config, *config.network_configs(info.resolution, info.num_channels, info.label_size))
    built = time.monotonic()
    kept = (config.keep_checkpoints, config.keep_checkpoint_every_kimg)
    checkpoints = Checkpoints(state, config.run_dir, *kept, setup.record)
    resumed = restore_alike(checkpoints, state, processes)
    initial = []
    if not resumed:
        if config.freeze_d and not config.init_from:
            raise UserError("freeze_d would freeze random weights: give --init_from, or leave it out.")
        if config.init_from:
            initial = initialise(state, config.init_from, config.schedule.start_resolution, config.freeze_d)
    report, outputs = open_outputs(setup, state, checkpoints, prepare_metrics)
    with report:
        labels = described_use(setup.info, bool(state.generator.config.label_size))
        for line in [greeting(setup, state, resumed), labels, *notes, *checkpoints.warnings, *initial]:
            report.say(line)
        report.say(f"networks built in {built - began:.1f} s, weights set in {time.monotonic() - built:.1f} s")
        loop = _Loop(setup, state, checkpoints, report, outputs)
        if not resumed:
            outputs.first_pictures(loop.phase(), setup.stop)
        elif setup.begun and data_changes(setup.begun, setup.record):
            outputs.reals()
        stopped = loop.run()
        processes.wait_for_all()
    return stopped


class _Loop:
    """What happens at an iteration, at a change of level, at a tick."""

    def __init__(
        self,
        setup: RunSetup,
        state: TrainState,
        checkpoints: Checkpoints,
        report: Union[RunReport, WorkerReport],
        outputs: Union[Outputs, SilentOutputs],
    ):
        self._config = setup.config
        self._setup = setup
        self._state = state
        self._checkpoints = checkpoints
        self._report = report
        self._outputs = outputs
        self._level: Optional[Level] = None
        self._metrics = TickMetrics()
        self._trained = False  # Whether this process has.

    def run(self) -> bool:
        """To the end, or until one of the processes gets a signal: then True. Saves everything."""
        processes, stop = self._setup.processes, self._setup.stop
        stopped = processes.any(stop)
        while self._state.images_seen < round(self._config.total_kimg * 1000) and not stopped:
            self._iterate()
            stopped = processes.any(stop)  # One of them was told to: all stop here, after the same iteration.
        self._finish(stopped)
        return stopped

    def phase(self) -> Phase:
        """That of the last look at the schedule."""
        replicas = self._setup.strategy.num_replicas_in_sync
        resolution = self._state.generator.config.resolution
        return phase_at(self._state.schedule_images, self._config.schedule, resolution, replicas)

    def _iterate(self) -> None:
        """One iteration; then, where the schedule is looked at, a tick if it is time.

        The schedule holds for `iterations_per_update` iterations, also if the run was stopped among them.
        """
        state, phase = self._state, self.phase()
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
            self._metrics.add(self._iteration_at(phase, inputs))
        except Stopped:
            return
        self._trained = True
        state.images_seen += phase.batch_size
        self._report.update(state.images_seen)
        if state.images_seen - state.schedule_images >= self._config.iterations_per_update * phase.batch_size:
            iterations = self._metrics.collect()
            self._end_if_diverged(symptom_of_losses(iterations) or symptom_of_steps(state))
            state.schedule_images = state.images_seen
            if state.images_seen - state.tick_images >= phase.tick_kimg * 1000:
                self._tick()

    def _iteration_at(self, phase: Phase, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """Metrics of one iteration. Raises Stopped if a signal breaks off the preparation of a new level."""
        if self._level is not None and self._level.fits(phase):
            return self._checked_iteration(inputs)
        self._report.say(f"{level_name(phase)}: preparing the step")
        self._level = None
        # Several processes have to take the same path: there, all of them trace to the end.
        setup = self._setup
        with setup.stop.at_once() if setup.processes.count == 1 else contextlib.nullcontext():
            self._level = Level(setup.config, setup.info, setup.strategy, self._state, phase, inputs)
        began = time.monotonic()
        metrics = self._checked_iteration(inputs)
        # The first call also optimises the graph and fills the shuffle buffer.
        prepared, first = self._level.prepared_in, time.monotonic() - began
        self._report.say(f"{level_name(phase)}: prepared in {prepared:.1f} s, first iteration {first:.1f} s")
        return metrics

    def _checked_iteration(self, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """What was trained before is saved if the data cannot be read."""
        try:
            return self._level.iterate(inputs)
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"out of memory at {level_name(self.phase())} ({short(error.message, 120)}): let a replica compute "
                f"fewer images at once with --max_replica_batch, or lower --batch_sizes. {self._last_checkpoint()}."
            ) from error
        except UserError as error:
            if self._trained:  # The data come first in an iteration: nothing is half done.
                self._end_if_diverged(symptom_of_weights(self._state))
                self._outputs.checkpoint()
            raise UserError(f"{error} {self._last_checkpoint()}.") from error

    def _tick(self) -> None:
        """Reports; the chief writes what is due, and the others wait for it at the next step."""
        state = self._state
        self._end_if_diverged(symptom_of_weights(state))
        self._compare_processes()
        self._report_tick()
        state.ticks += 1
        state.tick_images = state.images_seen
        self._outputs.tick(self.phase())
        if state.ticks % self._config.checkpoint_ticks == 0:
            self._outputs.checkpoint()  # After all that it stands for is on disk.
        if state.ticks % self._config.metric_ticks == 0:
            self._outputs.metrics(self.phase(), self._setup.stop)
        self._report.start_tick(state.images_seen)

    def _finish(self, stopped: bool) -> None:
        """Saves everything and says how the run ended. None of it moves a later tick."""
        if self._trained:  # Else there is nothing new: the run was complete before.
            self._end_if_diverged(symptom_of_weights(self._state))
            self._compare_processes()
            if stopped:  # Who stops a run may not wait for long: what is needed to go on comes first.
                self._outputs.checkpoint()
            if self._metrics:
                self._report_tick()
            self._outputs.last(self.phase(), grid=not stopped)
            if not stopped:
                self._outputs.checkpoint()
                self._outputs.metrics(self.phase(), self._setup.stop)
        seen = self._state.images_seen / 1000
        if stopped:
            self._report.say(f"stopped at {seen:.1f} kimg; the same command goes on from here")
        else:
            fingerprint = self._state.fingerprint
            self._report.say(f"finished at {seen:.1f} kimg, see {self._config.run_dir}; weights {fingerprint:08x}")

    def _report_tick(self) -> None:
        means = {**self._metrics.take_means(), **self._state.step_counts()}
        self._report.tick(self._state.images_seen, self.phase(), means)

    def _compare_processes(self) -> None:
        """For all processes to call."""
        processes = self._setup.processes
        if processes.count > 1 and not processes.agree_on(self._state.fingerprint):
            self._report.say("warning: the processes no longer have the same weights; are their devices of one kind?")

    def _end_if_diverged(self, symptom: Optional[str]) -> None:
        if symptom is not None:
            _, flag = learning_rate_at(self.phase().resolution, self._config.schedule)
            of_discriminator = symptom.startswith("d_loss") or "discriminator" in symptom
            if of_discriminator and self._config.schedule.discriminator_learning_rate is not None:
                flag = "discriminator_learning_rate"
            raise UserError(
                f"training diverged after {self._state.images_seen / 1000:.1f} kimg: {symptom}. "
                f"{self._last_checkpoint()}. A lower --{flag} or a higher --r1_gamma helps."
            )

    def _last_checkpoint(self) -> str:
        last = self._checkpoints.latest
        if last is None:
            return "There is no checkpoint yet"
        return f"The last good checkpoint is {last}; the same command goes on from there"
