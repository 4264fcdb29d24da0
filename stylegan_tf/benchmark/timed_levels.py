"""The seconds of a plan measured on this machine, with random images."""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from stylegan_tf.benchmark.planning import LevelPlan, Plan
from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.distribution.strategy import create_strategy
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, build_iteration

_ITERATIONS = 3


def timed_plan(config: TrainConfig, plan: Plan, progress: StartProgress = Progress) -> Plan:
    """The plan with the median of a few iterations of each level; the batch is that of one of the plan's replicas."""
    networks = config.network_configs(config.resolution, 3, 0)
    strategy = create_strategy("one")
    with strategy.scope():
        state = TrainState(config, *networks)
    levels = []
    with progress(len(plan.levels), "Timing", "levels") as bar:
        for level in plan.levels:
            seconds = _seconds(config, state, strategy, level, level.batch_size // plan.replicas)
            seconds_per_kimg = 1000 * seconds / level.batch_size
            levels.append(dataclasses.replace(level, seconds_per_kimg=seconds_per_kimg, measured=True))
            bar.update(len(levels))
    return dataclasses.replace(plan, levels=levels)


def _seconds(config: TrainConfig, state: TrainState, strategy, level: LevelPlan, batch_size: int) -> float:
    shape = [batch_size, level.resolution, level.resolution, 3]
    images = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    batch = {"images": images, "labels": np.zeros([batch_size, 0], np.float32)}
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    iteration = build_iteration(config, state, strategy, level.resolution, batch_size)
    times = []
    for number in range(1 + _ITERATIONS):  # The first one traces.
        start = time.perf_counter()
        images_seen = tf.constant(batch_size * (number + 1), tf.int64)
        metrics = iteration(batches, StepInputs(images_seen, tf.constant(1.0), tf.constant(0.001)))
        [value.numpy() for value in metrics.values()]
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
