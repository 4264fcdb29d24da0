"""One case, ready to be called: the two steps, whole iterations, generation, the input pipeline."""

import contextlib
import os

import numpy as np
import tensorflow as tf

from stylegan_tf.benchmark.cases import Case
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import create_strategy, training_batches
from stylegan_tf.ops.compiled import compiled_chains
from stylegan_tf.ops.plain_form import plain_form
from stylegan_tf.training.run.state import TrainState
from stylegan_tf.training.step import StepInputs, TrainingStep, build_iteration


class TrainingCase:
    """`calls[part]()` runs a part once and waits for its result; the first call of a part traces it.

    Calls belong into `with case.form():`.
    """

    def __init__(self, case: Case):
        self.case = case
        strategy = _strategy(case.replicas)
        self.device = strategy.extended.worker_devices[0].rpartition("/device:")[2]
        config = _config(case)
        with strategy.scope():
            self.state = TrainState(config, config.generator, config.discriminator)
        self._iteration = build_iteration(config, self.state, strategy, case.resolution, case.batch_size)
        self._step = TrainingStep(config, self.state, case.resolution, case.batch_size)
        self._images_seen = 0
        self._batches = _batches(case, config, strategy)
        self._batch = next(self._batches)
        self.calls = {
            "discriminator": self._called(strategy, self._step.train_discriminator),
            "generator": self._called(strategy, self._step.train_generator),
            "iteration": lambda: self.iterate(case.iterations),
            "generation": self._generation(),
            "input": self._read,
        }

    def form(self):
        """The context in which everything has to be traced."""
        return plain_form() if self.case.form == "plain" else contextlib.nullcontext()

    def _inputs(self) -> StepInputs:
        self._images_seen += self.case.batch_size
        return StepInputs(tf.constant(self._images_seen, tf.int64), tf.constant(1.0), tf.constant(0.001))

    def _called(self, strategy, step):
        @tf.function
        def run(batch, inputs):
            with compiled_chains():
                per_replica = strategy.run(step, args=(batch, inputs))
            return {name: strategy.experimental_local_results(value)[0] for name, value in per_replica.items()}

        return lambda: [value.numpy() for value in run(self._batch, self._inputs()).values()]

    def iterate(self, count: int):
        """Some iterations one after the other, as training runs them; waits for all of them at the end."""
        metrics = [self._iteration(self._batches, self._inputs()) for _ in range(count)]
        return [{name: value.numpy() for name, value in iteration.items()} for iteration in metrics]

    def _generation(self):
        generator, size = self.state.generator_ema, self.case.batch_size
        z = tf.constant(np.random.RandomState(0).randn(size, generator.config.latent_size).astype(np.float32))
        # An open batch size, as in exported models.
        generate = tf.function(
            lambda z: generator(z, truncation_psi=0.7, noise_mode="const"),
            input_signature=[tf.TensorSpec([None, z.shape[1]])],
        )
        return lambda: generate(z).numpy()

    def _read(self):
        batch = next(self._batches)
        return [value.numpy() for value in tf.nest.flatten(batch) if isinstance(value, tf.Tensor)]


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
