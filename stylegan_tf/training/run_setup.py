"""What a run works with, and its first line."""

import dataclasses
from typing import Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.training.run_record import RunRecord
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.stop_signal import StopSignal


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
