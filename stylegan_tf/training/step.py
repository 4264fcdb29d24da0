"""One iteration of training: discriminator step, moving average, generator step (App. C), on all replicas.

docs/lab/training_iteration.md lists the order of all operations and draws.

All random inputs are drawn for the global batch, of which replica r of R takes images r, r + R, r + 2R, ...; the
pipeline orders the reals in the same way. So the groups of the minibatch standard deviation, and with them all
results, do not depend on the number of replicas.
"""

import functools
import math
from typing import NamedTuple, Optional, Union

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.option import OptionError
from stylegan_tf.data.pipeline import process_reals
from stylegan_tf.networks.keras_model import level_policies
from stylegan_tf.ops.forms import compiled_chains, with_current_modes
from stylegan_tf.training.adam import Adam
from stylegan_tf.training.gradients import Gradients, Images, Scalars, Sums
from stylegan_tf.training.microbatches import SplitGroups, accumulated
from stylegan_tf.training.random_inputs import (
    DISCRIMINATOR_PASS,
    GENERATOR_PASS,
    Draw,
    RandomInputs,
    SeededDraw,
    replica_shard,
)
from stylegan_tf.training.schedule import WHOLE, Microbatches, split_replica_batch
from stylegan_tf.training.state import TrainState


class StepInputs(NamedTuple):
    """What changes from iteration to iteration without a new trace: scalar tensors."""

    images_seen: tf.Tensor  # int64, before the iteration: random inputs and lazy R1 follow from it.
    alpha: tf.Tensor  # float32, weight of the current level.
    learning_rate: tf.Tensor  # float32.
    generator_learning_rate: Optional[tf.Tensor] = None  # float32; None: the same for both networks.


def build_iteration(
    config: TrainConfig,
    state: TrainState,
    strategy: tf.distribute.Strategy,
    resolution: int,
    batch_size: int,
    draw: Optional[Draw] = None,
):
    """A traced function that runs one iteration at one resolution.

    draw: where the random inputs come from, see `random_inputs.Draw`; None: from the run's seed.

    Returns `run(iterator, inputs) -> {name: float32 mean over the batch}` with d_loss, g_loss, real_score, fake_score,
    real_sign (mean sign of the real scores, see `AugmentationStrength`), real_variety and fake_variety (rms difference
    of two images of a replica, which has to compute more than one at once) and, with R1, r1 (squared gradient norm). A
    value is NaN if it is not finite, as in a skipped step, or if it was not computed in this iteration.
    Raises UserError if XLA is asked for and missing.
    """
    replica_batch = batch_size // strategy.num_replicas_in_sync
    group_size = state.discriminator.config.mbstd_group_size
    microbatches = split_replica_batch(resolution, config.schedule, replica_batch, group_size)
    if config.jit_compile:
        check_jit_compile(strategy)
    step = TrainingStep(config, state, resolution, batch_size, microbatches, draw)
    names = [name for name in METRICS if name != "r1" or config.losses.r1_gamma]

    @tf.autograph.experimental.do_not_convert  # Nothing needs conversion, and tracing takes half the time.
    def iteration(batch, inputs):
        metrics = step.train_discriminator(batch, inputs)
        with tf.control_dependencies([inputs.images_seen]):  # Nothing else in the update waits for the data.
            step.update_average(inputs.images_seen)
        metrics.update(step.train_generator(batch, inputs))
        return tf.stack([metrics[name] for name in names])  # One tensor: a single reduction across machines.

    @tf.function(autograph=False)
    def run(iterator, inputs):
        batch = next(iterator)
        # Every change to the state depends on `seen` or on gradients of the batch: if the data cannot be read, the
        # state stays as it was after the previous iteration.
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            seen = tf.identity(inputs.images_seen)
        with compiled_chains():
            per_replica = strategy.run(with_current_modes(iteration), args=(batch, inputs._replace(images_seen=seen)))
        metrics = strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
        finite = tf.where(tf.math.is_finite(metrics), metrics, math.nan)
        return dict(zip(names, tf.unstack(finite)))

    return run


METRICS = ("d_loss", "g_loss", "r1", "real_score", "fake_score", "real_sign", "real_variety", "fake_variety")


def check_jit_compile(strategy: tf.distribute.Strategy) -> None:
    """Compiles a small function with XLA on every device; UserError if that fails there."""

    @tf.function(jit_compile=True)
    def compiled(x):
        return tf.reduce_sum(x * x)

    try:
        strategy.run(compiled, args=(tf.ones([2]),))
    except (tf.errors.OpError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        devices = ", ".join(strategy.extended.worker_devices)
        raise OptionError(f"jit_compile: XLA does not work on {devices} ({reason}). Leave it out.") from None


class TrainingStep:
    """The two steps in replica context, for one resolution and batch size."""

    def __init__(
        self,
        config: TrainConfig,
        state: TrainState,
        resolution: int,
        batch_size: int,
        microbatches: Microbatches = WHOLE,
        draw: Optional[Draw] = None,
    ):
        self.config = config
        self.state = state
        self.batch_size = batch_size
        policies = level_policies(config.precision, state.generator.config.resolutions, config.half_precision_levels)
        self.scales_loss = policies[resolution] == "mixed_float16"  # Else no layer that runs computes in float16.
        self.draw = draw or SeededDraw(config, state.generator, resolution, batch_size)
        if microbatches.split_groups:
            gradients = SplitGroups(config, state, resolution, batch_size, microbatches.count)
            accumulate = _unchanged
        else:
            gradients = Gradients(config, state, resolution, batch_size)
            accumulate = functools.partial(accumulated, count=microbatches.count, jit_compile=config.jit_compile)
        self._discriminator_sums = accumulate(gradients.discriminator)
        self._unregularized_sums = accumulate(functools.partial(gradients.discriminator, regularized=False))
        self._generator_sums = accumulate(gradients.generator)

    def train_discriminator(self, batch, inputs: StepInputs) -> dict[str, tf.Tensor]:
        random = self.draw(inputs.images_seen, DISCRIMINATOR_PASS)
        reals = process_reals(batch["images"], inputs.alpha)
        fakes, between, *augment = _shard((random.fakes, random.between, random.augment_fakes, random.augment_reals))
        images = Images(fakes, self._labels(batch), reals, between, *augment)
        adam = self.state.discriminator_adam
        sums = self._lazily_regularized(images, self._scalars(inputs, random, adam), inputs.images_seen)
        return self._apply(adam, sums, inputs, inputs.learning_rate)

    def _lazily_regularized(self, images: Images, scalars: Scalars, images_seen: tf.Tensor) -> Sums:
        """R1 and R2 in every r1_interval-th iteration only, counted by images, so that a resumed run stays in phase."""
        interval = self.config.losses.r1_interval
        if interval == 1:
            return self._discriminator_sums(images, scalars)
        return tf.cond(
            tf.equal(images_seen // self.batch_size % interval, 0),
            lambda: self._discriminator_sums(images, scalars),
            lambda: self._unregularized_sums(images, scalars),
        )

    def train_generator(self, batch, inputs: StepInputs) -> dict[str, tf.Tensor]:
        random = self.draw(inputs.images_seen, GENERATOR_PASS)
        fakes, augment = _shard((random.fakes, random.augment_fakes))
        images = Images(fakes, self._labels(batch), augment_fakes=augment)
        adam = self.state.generator_adam
        sums = self._generator_sums(images, self._scalars(inputs, random, adam))
        rate = inputs.generator_learning_rate
        return self._apply(adam, sums, inputs, inputs.learning_rate if rate is None else rate)

    def update_average(self, images_seen: tf.Tensor) -> None:
        """generator_ema <- lerp(generator, generator_ema, beta); w_avg and the noise maps are copied."""
        tf.distribute.get_replica_context().merge_call(self._update_average, args=(self._ema_beta(images_seen),))

    def _ema_beta(self, images_seen: tf.Tensor) -> Union[float, tf.Tensor]:
        """Half of the weights' influence is gone after the half-life: ema_kimg, or less while it ramps up."""
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup is None or not half_life:
            return 0.5 ** (self.batch_size / half_life) if half_life else 0.0
        half_life = tf.minimum(self.config.ema_rampup * tf.cast(images_seen, tf.float32), half_life)
        return 0.5 ** (self.batch_size / half_life)  # 0.5 ** inf = 0 before the first image.

    def _update_average(self, strategy, ema_beta):
        for name, average in self.state.ema_variables.items():
            variable = self.state.generator_variables[name]
            beta = ema_beta if variable.trainable else 0.0
            strategy.extended.update(average, _move_towards, args=(variable, beta), group=False)

    def _labels(self, batch):
        """Fakes get the labels of the corresponding reals: drawn from the dataset as well."""
        return batch["labels"] if self.state.generator.config.label_size else None

    def _scalars(self, inputs: StepInputs, random: RandomInputs, adam: Adam) -> Scalars:
        loss_scale = adam.loss_scale.value if self.scales_loss else None
        augment_p = self.state.augmentation.p if self.config.augment == "ada" else None
        return Scalars(inputs.alpha, random.crossover, loss_scale, augment_p)

    def _apply(self, adam: Adam, sums: Sums, inputs: StepInputs, learning_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        """The replicas' sums together: one step of the optimiser, one of w_avg. Returns this replica's metrics."""
        context = tf.distribute.get_replica_context()
        names = list(sums.gradients)
        adapts = self.config.augment != "none" and "real_sign" in sums.metrics
        signs = [sums.metrics["real_sign"]] if adapts else []
        tensors = [*(sums.gradients[name] for name in names), sums.w, *signs]
        reduced = context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
        gradients, w, signs = reduced[: len(names)], reduced[len(names)], reduced[len(names) + 1 :]
        for sign in signs:
            context.merge_call(self._adapt_augmentation, args=(sign,))
        with tf.control_dependencies([inputs.images_seen]):  # A caller's own latents do not depend on the data.
            context.merge_call(self._move_w_avg, args=(w / self.batch_size,))
        adam.apply(dict(zip(names, gradients)), learning_rate, scaled=self.scales_loss)
        return dict(sums.metrics)

    def _adapt_augmentation(self, strategy, sign):
        kimg = self.config.augment_kimg if self.config.augment == "ada" else 0.0
        self.state.augmentation.update(strategy, sign, self.batch_size, kimg)

    def _move_w_avg(self, strategy, mean):
        """w_avg <- lerp(mean of w over the global batch, w_avg, w_avg_beta), at every generator pass (App. B)."""
        w_avg = self.state.generator_variables["truncation/w_avg"]
        strategy.extended.update(w_avg, _move_towards, args=(mean, self.config.w_avg_beta), group=False)


def _unchanged(compute):
    return compute  # `SplitGroups` has the loop in itself.


def _shard(structure):
    """This replica's shard of every tensor of a structure; None stays None."""
    return tf.nest.map_structure(lambda x: None if x is None else replica_shard(x), structure)


def _move_towards(average, value, beta):
    """average <- lerp(value, average, beta)."""
    value = tf.convert_to_tensor(value)
    is_copy = isinstance(beta, float) and beta == 0
    average.assign(value if is_copy else value + beta * (average - value))
