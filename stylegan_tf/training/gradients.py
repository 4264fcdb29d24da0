"""Gradients of both losses as pure functions of the weights and the given images.

They assign nothing and communicate with no other replica, so that a step can compile them, accumulate them over parts
of a replica's batch, or leave the penalties out of an iteration.
"""

from collections.abc import Mapping
from typing import NamedTuple, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.networks.generator import mix_styles
from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.training import losses
from stylegan_tf.training.augmentation import AugmentDraws, augmentation, signs_of
from stylegan_tf.training.random_inputs import FakeInputs
from stylegan_tf.training.state import TrainState


class Images(NamedTuple):
    """Tensors with one entry per image, in the same order."""

    fakes: FakeInputs
    labels: Optional[tf.Tensor] = None  # [n, label_size], for the reals and the corresponding fakes.
    reals: Optional[tf.Tensor] = None  # [n, r, r, C] in [-1, 1].
    between: Optional[tf.Tensor] = None  # [n, 1, 1, 1]: see `RandomInputs`.
    augment_fakes: Optional[AugmentDraws] = None  # None: the discriminator sees them unchanged.
    augment_reals: Optional[AugmentDraws] = None  # Also for the interpolations between reals and fakes.


class DiscriminatorInput(NamedTuple):
    """Images for the discriminator."""

    images: tf.Tensor  # [n, r, r, C]
    augment: Optional[AugmentDraws] = None


class Scalars(NamedTuple):
    """The inputs that all images of a step share."""

    alpha: tf.Tensor  # Weight of the current level.
    crossover: tf.Tensor  # For style mixing.
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
        self._augment = augmentation(config)
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
        trained, weights = self._trained_discriminator(), self._penalty_weights(regularized)
        seen, scores, norms = self._seen(images, fakes), {}, {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            for name, each in seen.items():
                scores[name], norms[name] = self.scores_and_norms(each, images.labels, scalars, weights[name])
            adversarial = losses.discriminator_loss(self._losses, scores["reals"], scores["fakes"])
            loss = self._with_penalties(adversarial, norms, weights)
            total = scaled(self._per_image(loss), scalars)
        metrics = self._discriminator_metrics(adversarial, loss, scores, norms, seen, scalars, regularized)
        return Sums(present(tape.gradient(total, trained)), w, metrics)

    def _trained_discriminator(self) -> dict[str, tf.Variable]:
        variables = trainable_variables(self._discriminator)
        return {name: variable for name, variable in variables.items() if not name.startswith(self._frozen)}

    def _seen(self, images: Images, fakes: tf.Tensor) -> dict[str, DiscriminatorInput]:
        """What the discriminator sees: reals, fakes and, for WGAN-GP's penalty, random points between them."""
        seen = {
            "reals": DiscriminatorInput(images.reals, images.augment_reals),
            "fakes": DiscriminatorInput(fakes, images.augment_fakes),
        }
        if self._losses.gp_lambda:
            between = images.reals + (fakes - images.reals) * images.between
            seen["between"] = DiscriminatorInput(between, images.augment_reals)
        return seen

    def _penalty_weights(self, regularized: bool) -> dict[str, float]:
        """By the images whose gradients are penalised: of R1, R2 and WGAN-GP's; 0: off."""
        options = self._losses
        factor = regularized * options.r1_interval
        return {"reals": options.r1_gamma * factor, "fakes": options.r2_gamma * factor, "between": options.gp_lambda}

    def _penalty(self, name: str, weight: float, norms: tf.Tensor) -> tf.Tensor:
        if name == "between":
            return losses.wgan_gradient_penalty(norms, weight, self._losses.gp_target)
        return losses.zero_centered_penalty(norms, weight)

    def _with_penalties(self, loss, norms, weights) -> tf.Tensor:
        for name in norms:
            loss += self._penalty(name, weights[name], norms[name])
        return loss

    def _discriminator_metrics(self, adversarial, loss, scores, norms, seen, scalars, regularized):
        metrics = {
            "d_loss": self._reported_loss(loss, adversarial, scalars),
            "real_score": self._per_image(scores["reals"]),
            "real_sign": self._per_image(signs_of(scores["reals"])),
            "fake_score": self._per_image(scores["fakes"]),
            "real_variety": self._per_image(_variety(seen["reals"].images)),
            "fake_variety": self._per_image(_variety(seen["fakes"].images)),
        }
        if self._losses.r1_gamma:
            metrics["r1"] = self._per_image(norms["reals"]) if regularized else tf.constant(float("nan"))
        return metrics

    def _reported_loss(self, loss, adversarial, scalars):
        """If the loss scale is too high for the penalties, the loss without them, which is finite."""
        if scalars.loss_scale is None:
            return self._per_image(loss)
        return self._per_image(tf.where(tf.math.is_finite(loss), loss, adversarial))

    def generator(self, images: Images, scalars: Scalars) -> Sums:
        """Gradients of the generator's loss. Metrics: g_loss."""
        trained = trainable_variables(self._generator)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            fakes, w = self._generate(images, scalars)
            scores = self._scores(DiscriminatorInput(fakes, images.augment_fakes), images.labels, scalars)
            loss = self._per_image(losses.generator_loss(self._losses, scores))
            total = scaled(loss, scalars)
        return Sums(present(tape.gradient(total, trained)), w, {"g_loss": loss})

    def _augmented(self, seen: DiscriminatorInput, scalars: Scalars) -> tf.Tensor:
        if seen.augment is None:
            return seen.images
        return self._augment(seen.images, seen.augment, scalars.augment_p)

    def _scores(self, seen: DiscriminatorInput, labels, scalars: Scalars) -> tf.Tensor:
        """Scores [n]."""
        return self._discriminator(self._augmented(seen, scalars), labels=labels, alpha=scalars.alpha)

    def scores_and_norms(
        self, seen: DiscriminatorInput, labels, scalars: Scalars, weight: float
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores [n] and, where the penalty's weight is not 0, squared norms of their gradient by the image [n].

        The gradient is with respect to the images before augmentation. In float16 it is small, and so is the penalty's
        own gradient, which is proportional to it: both are scaled by the square root of the loss scale.
        """
        if not weight:
            scores = self._scores(seen, labels, scalars)
            return scores, tf.zeros_like(scores)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(seen.images)
            scores = self._scores(seen, labels, scalars)
            total = scaled(tf.reduce_sum(scores), scalars, power=0.5)
        return scores, self._norms(tape.gradient(total, seen.images), scalars)

    def _norms(self, gradients: tf.Tensor, scalars: Scalars) -> tf.Tensor:
        """Squared norms [n] of gradients by the images, as `scores_and_norms` scales them.

        They are those for images upscaled to full resolution, as in the paper's schedule: each of the 4^lod copies of
        a pixel carries 1 / 4^lod of its gradient.
        """
        norms = tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
        if scalars.loss_scale is not None:
            norms /= scalars.loss_scale
        return norms * (self._resolution / self._discriminator.config.resolution) ** 2

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

    The other one is n / 2 away: if n is even, the pairs are those of the batch of any replicas and microbatches.
    """
    if images.shape[0] == 1:
        return tf.constant([float("nan")])
    others = tf.roll(images, images.shape[0] // 2, axis=0)
    return tf.sqrt(tf.reduce_mean(tf.square(images - others), axis=[1, 2, 3]))


def scaled(total, scalars, power=1.0):
    return total if scalars.loss_scale is None else total * scalars.loss_scale**power


def present(gradients):
    return {name: gradient for name, gradient in gradients.items() if gradient is not None}
