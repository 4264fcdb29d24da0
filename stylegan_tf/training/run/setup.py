"""How a run starts: its folder, what it works with, the step of its level, and what it reports about itself."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

import tensorflow as tf

from stylegan_tf.config import PRECISIONS, TrainConfig
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.training import FLAG_FILE
from stylegan_tf.data.dataset_files import DatasetInfo, translate_data_errors
from stylegan_tf.data.inspection import describe_label_use
from stylegan_tf.distribution.fastest_precision import fastest_precision, slowness_on_cpu
from stylegan_tf.distribution.processes import Processes, cluster_from_environment
from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.files.locks import locked
from stylegan_tf.files.storage import Store
from stylegan_tf.files.working_copy import working_copy
from stylegan_tf.networks.network_file import BEST_NAME
from stylegan_tf.training.random_inputs import RandomInputs, SeededDraw
from stylegan_tf.training.reports.disk import disk_use, file_notes, translate_write_errors
from stylegan_tf.training.reports.log_backends import LogBackend
from stylegan_tf.training.run.checkpoints import check_new
from stylegan_tf.training.run.record import RunRecord
from stylegan_tf.training.run.stopping import StopSignal
from stylegan_tf.training.schedule import Phase, length_notes, losses_at
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, build_iteration

_ADVICE = "wait for it, stop it, or choose another `run_dir`"


def files_to_resume(config: TrainConfig) -> list[str]:
    """Patterns of the files of a run folder that a resumed run reads or adds to."""
    networks = BEST_NAME if config.keep_networks is None else "network-*.npz"
    return ["checkpoints/*", "*.jsonl", "log.txt", FLAG_FILE, "reals.png", "wandb_id", networks]


@contextlib.contextmanager
def local_run_folder(config: TrainConfig, note: Note = ignore, warn: Note = ignore):
    """(config with a local `run_dir`, a function to call at every tick). What the chief writes also reaches a bucket.

    note: takes a line about a folder in a bucket; warn: see `working_copy`.
    """
    cluster = cluster_from_environment()
    is_chief = cluster is None or cluster.index == 0
    with working_copy(config.run_dir, files_to_resume(config), is_chief, warn) as copy:
        if str(copy.folder) != config.run_dir:
            note(f"run folder {config.run_dir}, uploaded from {copy.folder}")
            if is_chief and not any(copy.folder.glob("checkpoints/*")):
                check_new(config.run_dir, Store(config.run_dir).names())  # Few network files are in the copy.
            config = dataclasses.replace(config, run_dir=str(copy.folder))
        yield config, copy.check


@contextlib.contextmanager
def locked_run_folder(run_dir: os.PathLike, note: Note = ignore) -> Iterator[list[str]]:
    """Creates the folder and keeps other processes out of it; yields lines for the user.

    Temporary files of a killed process are removed. Raises UserError if another process has the lock, if the folder is
    not writable, and for a new run in the folder of a dataset, which would no longer be one.
    """
    run_dir = pathlib.Path(run_dir)
    for folder in (run_dir, pathlib.Path(os.path.abspath(run_dir)).parent):
        if any(folder.glob("*.tfrecords")) and not (run_dir / "checkpoints").exists():
            raise UserError(f"`run_dir` {run_dir} is in the folder of a dataset: give a folder outside it.")
    with contextlib.ExitStack() as stack:
        with translate_write_errors(run_dir):
            make_folder(run_dir)
            lock = locked(run_dir / ".lock", f"the run folder {run_dir}", _ADVICE, note=note)
            notes = stack.enter_context(lock)
            for leftover in [*run_dir.glob(".*.tmp"), *run_dir.glob("checkpoints/.*.tmp")]:
                leftover.unlink(missing_ok=True)
        yield notes


@dataclasses.dataclass(frozen=True)
class RunSetup:
    """What a run is trained with."""

    config: TrainConfig
    info: DatasetInfo
    strategy: tf.distribute.Strategy
    processes: Processes
    stop: StopSignal
    record: RunRecord
    previous: Optional[RunRecord]  # From the newest checkpoint of the run that is resumed; None for a new one.
    note: Note = ignore
    progress: StartProgress = Progress
    trackers: Sequence[LogBackend] = ()
    check: Callable[[], None] = lambda: None  # Called at every tick; may raise UserError.
    finished: threading.Event = dataclasses.field(default_factory=threading.Event)  # Set to end the run as complete.


def resolve_precision(
    config: TrainConfig, previous: Optional[str], strategy, processes: Processes
) -> tuple[TrainConfig, list[str]]:
    """The config with a precision that layers can compute in, and lines for the log. Collective.

    auto: a resumed run keeps the one that it started with (`previous`), so that it repeats the same bits; a new one
    takes the fastest on the chief's devices. Any other is kept, with a warning if it is slow.
    """
    if config.precision != "auto":
        slow = slowness_on_cpu(config.precision, strategy) if config.precision == "bfloat16" else None
        return config, [f"warning: {slow}"] if slow else []
    # Only the chief looks and measures: processes that each chose for themselves could differ.
    if not processes.is_chief:
        chosen, why = "float32", "the chief's choice"
    elif previous in PRECISIONS:
        chosen, why = previous, "as the run started"
    else:
        chosen, why = fastest_precision(strategy)
    chosen = PRECISIONS[processes.of_chief(PRECISIONS.index(chosen))]
    return _with(config, chosen), [f"precision {chosen}: {why}"]


def _with(config: TrainConfig, precision: str) -> TrainConfig:
    if precision == "float32":  # It has no half precision levels.
        return dataclasses.replace(config, precision=precision, half_precision_levels=None)
    return dataclasses.replace(config, precision=precision)


class Level:
    """Created again when resolution or batch size change; `iterate` is one iteration of training."""

    def __init__(self, setup: RunSetup, state: TrainState, phase: Phase, inputs: StepInputs):
        """Traces the step, which changes nothing of the state. inputs: an example of the step's.

        Raises Stopped at a stop signal, if this is the only process: several must take the same path.
        """
        start = time.monotonic()
        strategy = setup.strategy
        config = dataclasses.replace(setup.config, losses=losses_at(phase.batch_factor, setup.config.losses))
        check = setup.stop.check if setup.processes.count == 1 else lambda: None
        self._info = setup.info
        self._size = (phase.resolution, phase.batch_size)
        seeded = SeededDraw(config, state.generator, *self._size)

        def draw(images_seen: tf.Tensor, stream: int) -> RandomInputs:
            check()  # It is called now and then while the step is traced.
            return seeded(images_seen, stream)

        self._iteration = build_iteration(config, state, strategy, *self._size, draw)
        self._batches = training_batches(
            strategy,
            setup.info,
            *self._size,
            seed=config.seed,
            shuffle_images=config.shuffle_images,
            mirror=config.mirror_augment,
            balance_classes=config.balance_classes,
            first_image=state.images_seen,
        )
        self._iteration.get_concrete_function(self._batches, inputs)
        check()
        self.prepared_in = time.monotonic() - start  # Seconds.

    def fits(self, phase: Phase) -> bool:
        return self._size == (phase.resolution, phase.batch_size)

    def iterate(self, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """Returns its metrics. UserError if the data cannot be read: the state is then as it was before."""
        with translate_data_errors(self._info, self._size[0]):
            return self._iteration(self._batches, inputs)


def level_name(phase: Phase) -> str:
    return f"{phase.resolution}x{phase.resolution}, batch {phase.batch_size}"


def banner(setup: RunSetup, state: TrainState, resumed: bool) -> Iterator[str]:
    config, info = setup.config, setup.info
    size = state.generator.config.resolution
    where = f"{'resuming' if resumed else 'starting'} at {state.images_seen / 1000:.1f} of {config.total_kimg:g} kimg"
    if resumed and state.images_seen >= round(config.total_kimg * 1000):
        where = f"complete at {state.images_seen / 1000:.1f} kimg (a higher `total_kimg` would continue it)"
    devices = setup.strategy.num_replicas_in_sync
    yield (
        f"{info.count} images of {info.name}, training up to {size}x{size} on {devices} "
        f"{'device' if devices == 1 else 'devices'}{setup.processes.described} in {config.precision}, {where}, "
        f"run folder {config.run_dir}"
    )
    yield describe_label_use(info, bool(state.generator.config.label_size))
    augmentation = {"none": "no augmentation", "ada": "adaptive augmentation (ada)"}.get(config.augment, config.augment)
    yield f"reals {'mirrored at random' if config.mirror_augment else 'not mirrored'}, {augmentation}"
    if info.resolution > size:
        yield f"the data have {info.resolution}x{info.resolution}: `resolution={info.resolution}` trains up to there"
    yield from length_notes(config, size)
    yield from file_notes(config, size)
    uses = disk_use(config, state.generator.config, state.discriminator.config)
    total = sum(uses.values())
    yield f"on the disk at the end: about {_gb(total)} ({', '.join(f'{name} {_gb(n)}' for name, n in uses.items())})"
    if setup.processes.is_chief and not resumed and total > shutil.disk_usage(config.run_dir).free:
        free = _gb(shutil.disk_usage(config.run_dir).free)
        yield f"warning: the disk has {free} free; `keep_networks`, `network_ticks` and `image_ticks` reduce that"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
