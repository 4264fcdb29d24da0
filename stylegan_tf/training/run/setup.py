"""Whether XLA can compile for the devices of a run (--jit_compile)."""

import dataclasses
from typing import Optional

import tensorflow as tf

from stylegan_tf.config import PRECISIONS, TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.distribution.fastest_precision import fastest_precision, slowness_on_cpu
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.errors import UserError
from stylegan_tf.training.run.record import RunRecord
from stylegan_tf.training.run.state import TrainState
from stylegan_tf.training.run.stop_signal import StopSignal


@dataclasses.dataclass(frozen=True)
class RunSetup:
    """What a run works with from its first iteration to its last."""

    config: TrainConfig
    info: DatasetInfo
    strategy: tf.distribute.Strategy
    processes: Processes
    stop: StopSignal
    record: RunRecord  # What the run is.
    begun: Optional[RunRecord]  # What it was when it was left; None for a new one.


def greeting(setup: RunSetup, state: TrainState, resumed: bool) -> str:
    config, info = setup.config, setup.info
    size = state.generator.config.resolution
    where = f"{'resuming' if resumed else 'starting'} at {state.images_seen / 1000:.1f} of {config.total_kimg:g} kimg"
    devices = setup.strategy.num_replicas_in_sync
    return (
        f"{info.count} images of {info.name}, training up to {size}x{size} on {devices} "
        f"{'device' if devices == 1 else 'devices'}{setup.processes.described} in {config.precision}, {where}, "
        f"run folder {config.run_dir}"
    )


def settle_precision(
    config: TrainConfig, begun_with: Optional[str], strategy, processes: Processes
) -> tuple[TrainConfig, list[str]]:
    """The config with a precision that layers can compute in, and lines for the log. For all processes to call.

    auto: a resumed run keeps what it began with (`begun_with`), so that it goes on with the same bits; a new one takes
    the fastest one of the chief's devices. A precision that is asked for by name holds, with a warning if it is slow.
    """
    if config.precision != "auto":
        slow = slowness_on_cpu(config.precision, strategy) if config.precision == "bfloat16" else None
        return config, [f"warning: {slow}"] if slow else []
    if begun_with in PRECISIONS:
        return _with(config, begun_with), [f"precision {begun_with}, as the run began"]
    # Only the chief measures: processes that choose for themselves could come to differ.
    chosen, why = fastest_precision(strategy) if processes.is_chief else ("float32", "the chief's choice")
    chosen = PRECISIONS[processes.of_chief(PRECISIONS.index(chosen))]
    return _with(config, chosen), [f"precision {chosen}: {why}"]


def _with(config: TrainConfig, precision: str) -> TrainConfig:
    if precision == "float32":  # What --half_precision_levels speaks of is not there.
        return dataclasses.replace(config, precision=precision, half_precision_levels=None)
    return dataclasses.replace(config, precision=precision)


def check_jit_compile(strategy: tf.distribute.Strategy) -> None:
    """Compiles a small function on every device; UserError if that fails there."""

    @tf.function(jit_compile=True)
    def compiled(x):
        return tf.reduce_sum(x * x)

    try:
        strategy.run(compiled, args=(tf.ones([2]),))
    except (tf.errors.OpError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        devices = ", ".join(strategy.extended.worker_devices)
        raise UserError(f"jit_compile: XLA does not work on {devices} ({reason}). Leave --jit_compile out.") from None
