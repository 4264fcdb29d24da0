"""Training, ready to be timed: one case of the benchmark, the machine's ceiling, and the levels of a plan."""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from stylegan_tf.benchmark.cases import OPERATIONS, Case
from stylegan_tf.benchmark.planning import LevelPlan, Plan
from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.record_workers import available_cores
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.distribution.strategy import create_strategy, training_batches
from stylegan_tf.ops.forms import compiled_chains, plain_form, with_current_modes
from stylegan_tf.training.reports.reporting import peak_memory
from stylegan_tf.training.run.setup import resolve_precision
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, TrainingStep, build_iteration

_ITERATIONS = 3
_MATRICES = (512, 1024, 2048)
_IMAGES = ((16, 32, 128), (16, 16, 256), (8, 64, 64), (32, 8, 512))  # Batch, size, channels.


class TrainingCase:
    """Networks, optimisers and data of a case, and its parts as calls that wait for their result."""

    def __init__(self, case: Case):
        strategy = _strategy(case.replicas)
        generator, discriminator = case.networks
        options = {"precision": case.precision, "jit_compile": case.jit_compile, "augment": case.augment}
        config = TrainConfig(case.data_dir, "none", generator=generator, discriminator=discriminator, **options)
        with strategy.scope():
            state = TrainState(config, generator, discriminator)
        self.device = strategy.extended.worker_devices[0].rpartition("/device:")[2]
        self._form = plain_form if case.form == "plain" else contextlib.nullcontext  # Everything is traced in it.
        self._precision, self._batch_size, self._images_seen = case.precision, case.batch_size, 0
        self._batches = training_batches(
            strategy, find_dataset(case.data_dir), case.resolution, case.batch_size, seed=0
        )
        self._batch = next(self._batches)
        self._iteration = build_iteration(config, state, strategy, case.resolution, case.batch_size)
        step = TrainingStep(config, state, case.resolution, case.batch_size)
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
        """One call of a part, or each shape of an operation once; the first call traces it."""
        if part in OPERATIONS:
            self._calls.setdefault(part, _products(part, self._precision))
            return {"gflops": max(map(_gflops, self._calls[part]))}
        cpu, start = time.process_time(), time.perf_counter()
        with self._form():
            self._calls[part]()
        seconds = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
        return {**seconds, "peak_memory": _peak_bytes()}

    def _inputs(self) -> StepInputs:
        self._images_seen += self._batch_size
        return StepInputs(tf.constant(self._images_seen, tf.int64), tf.constant(1.0), tf.constant(0.001))

    def _traced(self, strategy, step):
        @tf.function
        def run(batch, inputs):
            with compiled_chains():
                per_replica = strategy.run(with_current_modes(step), args=(batch, inputs))
            return {name: strategy.experimental_local_results(value)[0] for name, value in per_replica.items()}

        return lambda: [value.numpy() for value in run(self._batch, self._inputs()).values()]

    def _iterate(self, count: int):
        """Some iterations one after the other, as training runs them; waits for all of them at the end."""
        metrics = [self._iteration(self._batches, self._inputs()) for _ in range(count)]
        return [{name: value.numpy() for name, value in iteration.items()} for iteration in metrics]


def _products(operation: str, dtype: str) -> list[tuple[Callable[[], tf.Tensor], int]]:
    """Matrix products or 3x3 convolutions in a few shapes: (call, its floating-point operations)."""
    if operation == "matmul":
        return [_product(tf.matmul, [size, size], [size, size], max(1, 2048 // size), dtype) for size in _MATRICES]
    shapes = [([batch, size, size, channels], [3, 3, channels, channels]) for batch, size, channels in _IMAGES]
    return [_product(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), *shape, 2, dtype) for shape in shapes]


def _product(operation, shape: Sequence[int], weight_shape: Sequence[int], count: int, dtype: str):
    """`count` operands times one weight."""
    *operands, weight = (
        tf.cast(tf.random.stateless_normal(size, [0, seed]), dtype)
        for seed, size in enumerate([shape] * count + [weight_shape])
    )

    def call():
        # One number comes back, so that copying a result is not measured.
        return tf.add_n([tf.reshape(operation(operand, weight), [-1])[0] for operand in operands])

    flops = 2 * count * np.prod(shape) * np.prod(weight_shape) // weight_shape[-2]
    return tf.function(call, autograph=False), flops


def _gflops(product) -> float:
    call, flops = product
    start = time.perf_counter()
    call().numpy()
    return float(flops / (time.perf_counter() - start) / 1e9)


def _strategy(replicas: int) -> tf.distribute.Strategy:
    """One device with all cores, or mirrored replicas: on GPUs one each, on a CPU each with its share of the cores."""
    if replicas == 1:
        return create_strategy("one")
    if not tf.config.list_physical_devices("GPU"):
        share = max(1, available_cores() // replicas)
        tf.config.threading.set_intra_op_parallelism_threads(share)
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{index}" for index in range(replicas)])


def _peak_bytes() -> int:
    """Peak memory of the GPU if there is one, else of this process."""
    memory = peak_memory()
    return int(memory.get("gpu_memory_gib", memory["memory_gib"]) * 2**30)


def with_precision_here(config: TrainConfig) -> TrainConfig:
    """`auto` becomes what training takes on this machine."""
    if config.precision != "auto":
        return config
    strategy = create_strategy("one")
    return resolve_precision(config, None, strategy, Processes(strategy))[0]


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
