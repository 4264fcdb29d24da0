"""One case, ready to be called: the discriminator's step, the generator's, whole iterations."""

import contextlib
import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

from stylegan_tf.benchmark.cases import Case
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import create_strategy, training_batches
from stylegan_tf.ops.compiled import compiled_chains
from stylegan_tf.ops.plain_form import in_same_blocks, plain_form
from stylegan_tf.training.reports.reporting import peak_memory
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, TrainingStep, build_iteration


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
