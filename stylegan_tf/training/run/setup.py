"""What a run works with, decided before anything is built."""

import dataclasses
from collections.abc import Sequence
from typing import Callable, Optional

import tensorflow as tf

from stylegan_tf.config import PRECISIONS, TrainConfig
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.distribution.fastest_precision import fastest_precision, slowness_on_cpu
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.training.reports.log_backends import LogBackend
from stylegan_tf.training.run.record import RunRecord
from stylegan_tf.training.run.stop_signal import StopSignal


@dataclasses.dataclass(frozen=True)
class RunSetup:
    """What a run is trained with."""

    config: TrainConfig
    info: DatasetInfo
    strategy: tf.distribute.Strategy
    processes: Processes
    stop: StopSignal
    record: RunRecord
    previous: Optional[RunRecord]  # Of the newest checkpoint of the run that is resumed; None for a new one.
    note: Note = ignore
    progress: StartProgress = Progress
    trackers: Sequence[LogBackend] = ()
    check: Callable[[], None] = lambda: None  # Called at every tick; may raise UserError.


def resolve_precision(
    config: TrainConfig, previous: Optional[str], strategy, processes: Processes
) -> tuple[TrainConfig, list[str]]:
    """The config with a precision that layers can compute in, and lines for the log. For all processes to call.

    auto: a resumed run keeps the one that it started with (`previous`), so that it repeats the same bits; a new one
    takes the fastest on the chief's devices. Any other is kept, with a warning if it is slow.
    """
    if config.precision != "auto":
        slow = slowness_on_cpu(config.precision, strategy) if config.precision == "bfloat16" else None
        return config, [f"warning: {slow}"] if slow else []
    if previous in PRECISIONS:
        return _with(config, previous), [f"precision {previous}, as the run started"]
    # Only the chief measures: processes that each chose for themselves could differ.
    chosen, why = fastest_precision(strategy) if processes.is_chief else ("float32", "the chief's choice")
    chosen = PRECISIONS[processes.of_chief(PRECISIONS.index(chosen))]
    return _with(config, chosen), [f"precision {chosen}: {why}"]


def _with(config: TrainConfig, precision: str) -> TrainConfig:
    if precision == "float32":  # It has no half precision levels.
        return dataclasses.replace(config, precision=precision, half_precision_levels=None)
    return dataclasses.replace(config, precision=precision)
