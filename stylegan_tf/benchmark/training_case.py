"""Training, ready to be timed: one case of the benchmark, and the levels of a plan."""

import contextlib
import dataclasses
import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

from stylegan_tf.benchmark.cases import Case
from stylegan_tf.benchmark.planning import LevelPlan, Plan
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import create_strategy, training_batches
from stylegan_tf.ops.forms import compiled_chains, in_same_blocks, plain_form
from stylegan_tf.training.reports.reporting import peak_memory
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, TrainingStep, build_iteration

_ITERATIONS = 3


class TrainingCase:
    """Networks, optimisers and data of a case, and its parts as calls that wait for their result."""

    def __init__(self, case: Case):
        self.case = case
        strategy = _strategy(case.replicas)
        self.device = strategy.extended.worker_devices[0].rpartition("/device:")[2]
        config = _config(case)
        with strategy.scope():
            self.state = TrainState(config, config.generator, config.discriminator)
        self._iteration = build_iteration(config, self.state, strategy, case.resolution, case.batch_size)
        step = TrainingStep(config, self.state, case.resolution, case.batch_size)
        self._images_seen = 0
        self._batches = _batches(case, config, strategy)
        self._batch = next(self._batches)
        self._calls = {
            "discriminator": self._traced(strategy, step.train_discriminator),
            "generator": self._traced(strategy, step.train_generator),
            "iteration": lambda: self._iterate(case.iterations),
        }

    def first_iteration(self, started: float) -> dict[str, Any]:
        """Traces and runs one iteration. started: when the process started, by `time.perf_counter`."""
        built = time.perf_counter()
        with self._form():
            self._iterate(1)
        seconds = {"first_iteration": time.perf_counter() - built, "to_first_step": time.perf_counter() - started}
        return {**seconds, "peak_memory": _peak_bytes(), "device": self.device}

    def timed(self, part: str) -> dict[str, Any]:
        """One call of a part; the first one traces it."""
        cpu, start = time.process_time(), time.perf_counter()
        with self._form():
            self._calls[part]()
        seconds = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
        return {**seconds, "peak_memory": _peak_bytes()}

    def _form(self):
        """The context in which everything has to be traced."""
        return plain_form() if self.case.form == "plain" else contextlib.nullcontext()

    def _inputs(self) -> StepInputs:
        self._images_seen += self.case.batch_size
        return StepInputs(tf.constant(self._images_seen, tf.int64), tf.constant(1.0), tf.constant(0.001))

    def _traced(self, strategy, step):
        @tf.function
        def run(batch, inputs):
            with compiled_chains():
                per_replica = strategy.run(in_same_blocks(step), args=(batch, inputs))
            return {name: strategy.experimental_local_results(value)[0] for name, value in per_replica.items()}

        return lambda: [value.numpy() for value in run(self._batch, self._inputs()).values()]

    def _iterate(self, count: int):
        """Some iterations one after the other, as training runs them; waits for all of them at the end."""
        metrics = [self._iteration(self._batches, self._inputs()) for _ in range(count)]
        return [{name: value.numpy() for name, value in iteration.items()} for iteration in metrics]


def _config(case: Case) -> TrainConfig:
    widths = {"resolution": case.resolution, "fmap_base": case.fmap_base, "fmap_max": case.fmap_max}
    return TrainConfig(
        data_dir=case.data_dir or "random",
        run_dir="none",
        precision=case.precision,
        jit_compile=case.jit_compile,
        augment=case.augment,
        generator=GeneratorConfig(**widths),
        discriminator=DiscriminatorConfig(**widths),
    )


def _strategy(replicas: int) -> tf.distribute.Strategy:
    """One device with all cores, or mirrored replicas: on GPUs one each, on a CPU each with its share of the cores."""
    if replicas == 1:
        return create_strategy("one")
    if not tf.config.list_physical_devices("GPU"):
        share = max(1, len(os.sched_getaffinity(0)) // replicas)
        tf.config.threading.set_intra_op_parallelism_threads(share)
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{index}" for index in range(replicas)])


def _batches(case: Case, config: TrainConfig, strategy):
    if case.data_dir:
        return training_batches(strategy, find_dataset(case.data_dir), case.resolution, case.batch_size, seed=0)
    shape = [case.batch_size // case.replicas, case.resolution, case.resolution, config.generator.num_channels]
    images = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    batch = {"images": images, "labels": np.zeros([len(images), 0], np.float32)}
    dataset = tf.data.Dataset.from_tensors(batch).repeat().prefetch(2)
    return iter(strategy.distribute_datasets_from_function(lambda _: dataset))


def _peak_bytes() -> int:
    """Of the GPU if there is one, else of this process."""
    memory = peak_memory()
    return int(memory.get("gpu_memory_gib", memory["memory_gib"]) * 2**30)


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
