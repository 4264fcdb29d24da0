"""Gradients of both losses as pure functions of the weights and the given images.

They assign nothing and communicate with no other replica, so that a step can compile them, accumulate them over parts
of a replica's share, or leave the penalties out of an iteration.
"""

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.networks.generator import mix_styles
from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.training import losses
from stylegan_tf.training.augmentation import AugmentDraws, ada, diffaugment
from stylegan_tf.training.augmentation_strength import signs_of
from stylegan_tf.training.random_inputs import FakeInputs
from stylegan_tf.training.state import TrainState


class Images(NamedTuple):
    """Tensors with one entry per image, in the same order."""

    fakes: FakeInputs
    labels: Optional[tf.Tensor] = None  # [n, label_size], for the reals and for the fakes beside them.
    reals: Optional[tf.Tensor] = None  # [n, r, r, C] in [-1, 1].
    between: Optional[tf.Tensor] = None  # [n, 1, 1, 1]: see `RandomInputs`.
    augment_fakes: Optional[AugmentDraws] = None  # None: the discriminator sees them unchanged.
    augment_reals: Optional[AugmentDraws] = None  # Also for the interpolations between reals and fakes.


class Scalars(NamedTuple):
    """The inputs that all images of a step share."""

    alpha: tf.Tensor  # Weight of the current level.
    crossover: tf.Tensor  # Of style mixing.
    loss_scale: Optional[tf.Tensor] = None  # float32, for float16; None: unscaled.
    augment_p: Optional[tf.Tensor] = None  # ADA's probability.


class Sums(NamedTuple):
    """Sums over the images; gradients and metrics are already divided by the global batch.

    Gradients are those of the loss times the loss scale. A metric that was not computed is NaN.
    """

    gradients: Mapping[str, tf.Tensor]  # By variable, without those that the loss does not depend on.
    w: tf.Tensor  # [W]
    metrics: Mapping[str, tf.Tensor]


class Gradients:
    """The gradients of one resolution and global batch size."""

    def __init__(self, config: TrainConfig, state: TrainState, resolution: int, batch_size: int):
        self._losses = config.losses
        frozen = state.discriminator.config.resolutions[-config.freeze_d :] if config.freeze_d else ()
        self._frozen = tuple(f"{level}x{level}/" for level in frozen)  # Prefixes of variables.
        self._augment = config.augment
        self._ada = {"filtering": config.augment_filter, "noise": config.augment_noise, "cutout": config.augment_cutout}
        self._ada["for_xla"] = config.jit_compile or config.strategy == "tpu"
        self._generator = state.generator
        self._discriminator = state.discriminator
        self._resolution = resolution
        self._batch_size = batch_size

    def discriminator(self, images: Images, scalars: Scalars, regularized: bool = True) -> Sums:
        """Gradients of the discriminator's loss. Metrics: d_loss, real_score, fake_score, real_sign (mean sign of the
        real scores), real_variety, fake_variety (mean difference of two images) and, with R1, r1.

        regularized: with R1 and R2, each times `r1_interval` (see `LossConfig`); False leaves both out.
        """
        fakes, w = self._generate(images, scalars)
        variables = trainable_variables(self._discriminator)
        trained = {name: variable for name, variable in variables.items() if not name.startswith(self._frozen)}
        options = self._losses
        r1_gamma, r2_gamma = (
            gamma * regularized * options.r1_interval for gamma in (options.r1_gamma, options.r2_gamma)
        )
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(trained.values()))
            real_scores, real_norms = self.scores_and_norms(
                images.reals, images.labels, scalars, r1_gamma, images.augment_reals
            )
            fake_scores, fake_norms = self.scores_and_norms(
                fakes, images.labels, scalars, r2_gamma, images.augment_fakes
            )
            loss = adversarial = losses.discriminator_loss(options, real_scores, fake_scores)
            loss += losses.zero_centered_penalty(real_norms, r1_gamma)
            loss += losses.zero_centered_penalty(fake_norms, r2_gamma)
            loss += self._interpolation_penalty(images, fakes, scalars)
            total = _scaled(self._per_image(loss), scalars)
        metrics = {
            "d_loss": self._reported_loss(loss, adversarial, scalars),
            "real_score": self._per_image(real_scores),
            "real_sign": self._per_image(signs_of(real_scores)),
            "fake_score": self._per_image(fake_scores),
            "real_variety": self._per_image(_variety(images.reals)),
            "fake_variety": self._per_image(_variety(fakes)),
        }
        if options.r1_gamma:
            metrics["r1"] = self._per_image(real_norms) if regularized else tf.constant(float("nan"))
        return Sums(_present(tape.gradient(total, trained)), w, metrics)

    def _reported_loss(self, loss, adversarial, scalars):
        """If the loss scale is too high for the penalties, the loss without them, which is finite."""
        if scalars.loss_scale is None:
            return self._per_image(loss)
        return self._per_image(tf.where(tf.math.is_finite(loss), loss, adversarial))

    def generator(self, images: Images, scalars: Scalars) -> Sums:
        """Gradients of the generator's loss. Metrics: g_loss."""
        trained = trainable_variables(self._generator)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(trained.values()))
            fakes, w = self._generate(images, scalars)
            scores = self._scores(fakes, images.labels, scalars, images.augment_fakes)
            loss = self._per_image(losses.generator_loss(self._losses, scores))
            total = _scaled(loss, scalars)
        return Sums(_present(tape.gradient(total, trained)), w, {"g_loss": loss})

    def _scores(self, images, labels, scalars: Scalars, augment: Optional[AugmentDraws]) -> tf.Tensor:
        """Scores [n] of images, which are augmented first if there are draws."""
        if augment is not None and self._augment == "ada":
            images = ada(images, augment, scalars.augment_p, **self._ada)
        elif augment is not None:
            images = diffaugment(images, augment)
        return self._discriminator(images, labels=labels, alpha=scalars.alpha)

    def scores_and_norms(
        self, images, labels, scalars: Scalars, gamma: float, augment: Optional[AugmentDraws] = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores [n] and, where gamma is not 0, squared norms of their gradient with respect to the image [n].

        The gradient is with respect to the images before augmentation. The norm is that for images upscaled to full
        resolution, as in the paper's schedule: each of the 4^lod copies of a pixel carries 1 / 4^lod of its gradient.
        In float16 the gradient is small, and so is the penalty's own gradient, which is proportional to it: both are
        scaled by the square root of the loss scale.
        """
        if not gamma:
            scores = self._scores(images, labels, scalars, augment)
            return scores, tf.zeros_like(scores)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = self._scores(images, labels, scalars, augment)
            total = _scaled(tf.reduce_sum(scores), scalars, power=0.5)
        norms = tf.reduce_sum(tf.square(tape.gradient(total, images)), axis=[1, 2, 3])
        if scalars.loss_scale is not None:
            norms /= scalars.loss_scale
        return scores, norms * (self._resolution / self._discriminator.config.resolution) ** 2

    def _interpolation_penalty(self, images: Images, fakes, scalars):
        """WGAN-GP's penalty at random points between reals and fakes; 0 if it is off."""
        if not self._losses.gp_lambda:
            return 0.0
        between = images.reals + (fakes - images.reals) * images.between
        _, norms = self.scores_and_norms(between, images.labels, scalars, 1.0, images.augment_reals)
        return losses.wgan_gradient_penalty(norms, self._losses.gp_lambda, self._losses.gp_target)

    def _generate(self, images: Images, scalars: Scalars) -> tuple[tf.Tensor, tf.Tensor]:
        """(fakes, sum of the first latents' w [W])."""
        generator, inputs = self._generator, images.fakes
        w, other = self._mapped(images)
        ws = generator.broadcast(w, self._resolution)
        if other is not None:
            ws = mix_styles(ws, generator.broadcast(other, self._resolution), scalars.crossover)
        fakes = generator.synthesis(ws, resolution=self._resolution, alpha=scalars.alpha, noise=inputs.noise)
        return fakes, tf.reduce_sum(tf.stop_gradient(w), axis=0)

    def _mapped(self, images: Images):
        """w of the first latents and of the second ones (None without mixing), in one pass over the weights."""
        inputs, mapping = images.fakes, self._generator.mapping_network
        if inputs.other_z is None:
            return mapping(inputs.z, labels=images.labels), None
        labels = None if images.labels is None else tf.tile(images.labels, [2, 1])
        return tf.split(mapping(tf.concat([inputs.z, inputs.other_z], axis=0), labels=labels), 2)

    def _per_image(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(values) / self._batch_size


def _variety(images: tf.Tensor) -> tf.Tensor:
    """[n]: how much each image differs from another, the root of the mean squared difference; NaN if n is 1.

    The other one is n / 2 away: if n is even, the pairs are those of the batch for any number of replicas and rounds.
    """
    if images.shape[0] == 1:
        return tf.constant([float("nan")])
    others = tf.roll(images, images.shape[0] // 2, axis=0)
    return tf.sqrt(tf.reduce_mean(tf.square(images - others), axis=[1, 2, 3]))


def _scaled(total, scalars, power=1.0):
    return total if scalars.loss_scale is None else total * scalars.loss_scale**power


def _present(gradients):
    return {name: gradient for name, gradient in gradients.items() if gradient is not None}


def accumulated(compute: Callable[..., Any], rounds: int, jit_compile: bool = False) -> Callable[..., Any]:
    """`compute(images, *others)`, which returns sums over its images, with its memory divided by `rounds`: in a loop
    over parts of the images whose sums are added up (gradient accumulation).

    Round m of M gets images m, m + M, m + 2M, ...: if the images per round are a multiple of the group size of the
    minibatch standard deviation, whose members lie a fixed distance apart, the groups are those of the whole batch.
    `images` is a structure of tensors (or None) with one entry per image, whose number is a static multiple of
    `rounds`. jit_compile: each round is compiled with XLA.
    """
    if rounds == 1:
        return tf.function(compute, jit_compile=True, autograph=False) if jit_compile else compute
    traced = tf.function(compute, jit_compile=jit_compile or None, autograph=False)

    def summed(images, *others):
        parts = _map(lambda x: tf.reshape(x, [x.shape[0] // rounds, rounds, *x.shape[1:]]), images)

        def add_round(index, totals):
            sums = traced(_map(lambda x: x[:, index], parts), *others)
            return index + 1, tf.nest.map_structure(tf.add, totals, sums)

        first = _map(lambda x: x[:, 0], parts)
        result = traced.get_concrete_function(first, *others).structured_outputs
        zeros = tf.nest.map_structure(lambda x: tf.zeros(x.shape, x.dtype), result)
        # Sequential: the memory of a round is free before the next one starts.
        return tf.while_loop(lambda index, _: index < rounds, add_round, (0, zeros), parallel_iterations=1)[1]

    return summed


def _map(function, structure):
    return tf.nest.map_structure(lambda x: None if x is None else function(x), structure)
