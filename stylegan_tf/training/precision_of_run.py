"""Which precision a run computes in, where --precision=auto leaves it open."""

import dataclasses
from typing import Optional

from stylegan_tf.config import PRECISIONS, TrainConfig
from stylegan_tf.distribution.fastest_precision import fastest_precision, slowness_on_cpu
from stylegan_tf.distribution.processes import Processes


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
