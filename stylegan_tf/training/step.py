"""One iteration of training: discriminator step, moving average, generator step (App. C), on all replicas.

The networks see the whole global batch as one computation split over the replicas: all random inputs are drawn for
the global batch and replica r of R takes images r, r + R, r + 2R, ... The pipeline orders the reals in the same way.
So groups of the minibatch standard deviation, and with them all results, do not depend on the number of replicas.
"""

from typing import NamedTuple

import tensorflow as tf

from stylegan_tf import losses
from stylegan_tf.config import TrainConfig
from stylegan_tf.data.pipeline import process_reals
from stylegan_tf.networks.generator import mix_styles
from stylegan_tf.networks.variables import trainable_variables
from stylegan_tf.training.state import TrainState


class StepInputs(NamedTuple):
    """What changes from iteration to iteration without a new trace: scalar tensors."""

    images_seen: tf.Tensor  # int64, before the iteration: the source of all randomness.
    alpha: tf.Tensor  # float32, weight of the current level.
    learning_rate: tf.Tensor  # float32.


def build_iterations(config: TrainConfig, state: TrainState, strategy, resolution: int, batch_size: int):
    """A traced function that runs several iterations at one resolution.

    Returns `run(iterator, count, inputs) -> {name: float32 mean over the iterations}`; `inputs.images_seen` is that
    before the first one. The names: d_loss, g_loss, r1 (squared gradient norm), real_score, fake_score.
    """
    step = TrainingStep(config, state, resolution, batch_size)

    def iteration(batch, inputs):
        metrics = step.train_discriminator(batch, inputs)
        step.update_average()
        metrics.update(step.train_generator(batch, inputs))
        return metrics

    @tf.function
    def run(iterator, count, inputs):
        totals = {name: tf.constant(0.0) for name in METRICS}
        for index in tf.range(count):
            seen = inputs.images_seen + tf.cast(index, tf.int64) * batch_size
            current = inputs._replace(images_seen=seen)
            per_replica = strategy.run(iteration, args=(next(iterator), current))
            metrics = strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
            totals = {name: totals[name] + metrics[name] for name in METRICS}
        return {name: total / tf.cast(count, tf.float32) for name, total in totals.items()}

    return run


METRICS = ("d_loss", "g_loss", "r1", "real_score", "fake_score")


class TrainingStep:
    """The two steps in replica context, for one resolution and batch size."""

    def __init__(self, config: TrainConfig, state: TrainState, resolution: int, batch_size: int):
        self.config = config
        self.state = state
        self.resolution = resolution
        self.batch_size = batch_size
        # beta of the moving average: half of the weights' influence is gone after ema_kimg thousand images.
        self.ema_beta = 0.5 ** (batch_size / (config.ema_kimg * 1000)) if config.ema_kimg else 0.0

    def train_discriminator(self, batch, inputs: StepInputs) -> dict[str, tf.Tensor]:
        reals = process_reals(batch["images"], inputs.alpha)
        labels = self._labels(batch)
        fakes = self._generate(labels, inputs, stream=0)
        discriminator = self.state.discriminator
        trained = trainable_variables(discriminator)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(trained.values()))
            real_scores, real_norms = self._scores_and_norms(reals, labels, inputs, self.config.losses.r1_gamma)
            fake_scores, fake_norms = self._scores_and_norms(fakes, labels, inputs, self.config.losses.r2_gamma)
            loss = losses.discriminator_loss(self.config.losses, real_scores, fake_scores)
            loss += losses.zero_centered_penalty(real_norms, self.config.losses.r1_gamma)
            loss += losses.zero_centered_penalty(fake_norms, self.config.losses.r2_gamma)
            loss += self._interpolation_penalty(reals, fakes, labels, inputs)
            total = tf.reduce_sum(loss) / self.batch_size
        self._apply(self.state.discriminator_adam, tape.gradient(total, trained), inputs)
        return {
            "d_loss": total,
            "r1": tf.reduce_sum(real_norms) / self.batch_size,
            "real_score": tf.reduce_sum(real_scores) / self.batch_size,
            "fake_score": tf.reduce_sum(fake_scores) / self.batch_size,
        }

    def train_generator(self, batch, inputs: StepInputs) -> dict[str, tf.Tensor]:
        labels = self._labels(batch)
        trained = trainable_variables(self.state.generator)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(trained.values()))
            fakes = self._generate(labels, inputs, stream=1)
            scores = self.state.discriminator(fakes, labels=labels, alpha=inputs.alpha)
            total = tf.reduce_sum(losses.generator_loss(self.config.losses, scores)) / self.batch_size
        self._apply(self.state.generator_adam, tape.gradient(total, trained), inputs)
        return {"g_loss": total}

    def update_average(self) -> None:
        """generator_ema <- lerp(generator, generator_ema, beta); w_avg and the noise maps are copied."""
        tf.distribute.get_replica_context().merge_call(self._update_average)

    def _update_average(self, strategy):
        for name, average in self.state.ema_variables.items():
            variable = self.state.generator_variables[name]
            beta = self.ema_beta if variable.trainable else 0.0
            strategy.extended.update(average, _move_towards, args=(variable, beta), group=False)

    def _labels(self, batch):
        """Fakes get the labels of the reals beside them: drawn from the data set as well."""
        return batch["labels"] if self.state.generator.config.label_size else None

    def _scores_and_norms(self, images, labels, inputs, gamma):
        """Scores [N] and, where gamma is not 0, squared norms of their gradient with respect to the image [N].

        The norm is that for images upscaled to full resolution, as the paper's schedule has it: every one of the 4^lod
        copies of a pixel carries 1 / 4^lod of its gradient.
        """
        discriminator = self.state.discriminator
        if not gamma:
            scores = discriminator(images, labels=labels, alpha=inputs.alpha)
            return scores, tf.zeros_like(scores)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = discriminator(images, labels=labels, alpha=inputs.alpha)
            total = tf.reduce_sum(scores)
        norms = tf.reduce_sum(tf.square(tape.gradient(total, images)), axis=[1, 2, 3])
        return scores, norms * (self.resolution / discriminator.config.resolution) ** 2

    def _interpolation_penalty(self, reals, fakes, labels, inputs):
        """WGAN-GP's penalty at random points between reals and fakes; 0 where it is off."""
        if not self.config.losses.gp_lambda:
            return 0.0
        seed = tf.random.experimental.stateless_fold_in(self._seed(inputs, stream=0), 3)
        weight = self._share(tf.random.stateless_uniform([self.batch_size, 1, 1, 1], seed))
        between = reals + (fakes - reals) * weight
        _, norms = self._scores_and_norms(between, labels, inputs, gamma=1.0)
        return losses.wgan_gradient_penalty(norms, self.config.losses.gp_lambda, self.config.losses.gp_target)

    def _generate(self, labels, inputs: StepInputs, stream: int) -> tf.Tensor:
        """Fakes with random latents, style mixing and noise; moves w_avg (at every pass, App. B)."""
        generator = self.state.generator
        seed = self._seed(inputs, stream)
        seeds = tf.random.experimental.stateless_split(seed, 4)
        size = [self.batch_size, generator.config.latent_size]
        z = self._share(tf.random.stateless_normal(size, seeds[0]))
        w = generator.mapping_network(z, labels=labels)
        self._update_w_avg(w)
        ws = generator.broadcast(w, self.resolution)
        if self.config.style_mixing_prob and generator.config.use_styles:
            other = generator.mapping_network(self._share(tf.random.stateless_normal(size, seeds[1])), labels=labels)
            ws = mix_styles(ws, generator.broadcast(other, self.resolution), self._crossover(seeds[2]))
        noise = generator.synthesis.draw_noise(self.batch_size, self.resolution, seeds[3])
        noise = [self._share(sample) for sample in noise]
        return generator.synthesis(ws, resolution=self.resolution, alpha=inputs.alpha, noise=noise)

    def _crossover(self, seed) -> tf.Tensor:
        """First layer of the second latent: uniform in [1, L) with the mixing probability, else L (none)."""
        layers = self.state.generator.synthesis.num_layers_at(self.resolution)
        seeds = tf.random.experimental.stateless_split(seed, 2)
        crossover = tf.random.stateless_uniform([], seeds[0], 1, layers, tf.int32)
        mixes = tf.random.stateless_uniform([], seeds[1]) < self.config.style_mixing_prob
        return tf.where(mixes, crossover, layers)

    def _update_w_avg(self, w):
        """w_avg <- lerp(mean of w over the global batch, w_avg, w_avg_beta)."""
        context = tf.distribute.get_replica_context()
        total = tf.reduce_sum(tf.stop_gradient(w), axis=0)
        mean = context.all_reduce(tf.distribute.ReduceOp.SUM, total / self.batch_size)
        context.merge_call(self._assign_w_avg, args=(mean,))

    def _assign_w_avg(self, strategy, mean):
        w_avg = self.state.generator_variables["truncation/w_avg"]
        strategy.extended.update(w_avg, _move_towards, args=(mean, self.config.w_avg_beta), group=False)

    def _apply(self, adam, gradients, inputs):
        gradients = {name: gradient for name, gradient in gradients.items() if gradient is not None}
        context = tf.distribute.get_replica_context()
        names = list(gradients)
        summed = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients[name] for name in names])
        adam.apply(dict(zip(names, summed)), inputs.learning_rate)

    def _seed(self, inputs: StepInputs, stream: int) -> tf.Tensor:
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), inputs.images_seen])
        return tf.random.experimental.stateless_fold_in(seed, stream)

    def _share(self, x: tf.Tensor) -> tf.Tensor:
        """This replica's part of a tensor of the global batch."""
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return x
        return x[context.replica_id_in_sync_group :: context.num_replicas_in_sync]


def _move_towards(average, value, beta):
    """average <- lerp(value, average, beta)."""
    value = tf.convert_to_tensor(value)
    average.assign(value + beta * (average - value) if beta else value)
