"""Losses and gradient penalties as pure functions of the discriminator's float32 scores [N]: one value per image.

A score is unbounded; higher means "more real". Nothing here averages: the training step divides by the global batch.
"""

import tensorflow as tf

from stylegan_tf.config import LossConfig


def generator_loss(config: LossConfig, fake_scores: tf.Tensor) -> tf.Tensor:
    """The configured loss of the generator, [N]."""
    if config.generator_loss == "nonsaturating":
        return generator_nonsaturating(fake_scores)
    if config.generator_loss == "saturating":
        return generator_saturating(fake_scores)
    return generator_linear(fake_scores)  # wgan, hinge


def discriminator_loss(config: LossConfig, real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """The configured loss of the discriminator, without gradient penalties, [N]."""
    if config.discriminator_loss == "logistic":
        return discriminator_logistic(real_scores, fake_scores)
    if config.discriminator_loss == "wgan":
        return discriminator_wgan(real_scores, fake_scores, config.wgan_drift)
    return discriminator_hinge(real_scores, fake_scores)


def generator_nonsaturating(fake_scores: tf.Tensor) -> tf.Tensor:
    """-log sigmoid(D(fake)) = softplus(-D(fake)), in (0, inf).

    The paper's choice (App. C): steep where D recognises a fake.
    """
    return tf.nn.softplus(-fake_scores)


def generator_saturating(fake_scores: tf.Tensor) -> tf.Tensor:
    """log(1 - sigmoid(D(fake))) = -softplus(D(fake)), in (-inf, 0). Flat where D recognises a fake."""
    return -tf.nn.softplus(fake_scores)


def generator_linear(fake_scores: tf.Tensor) -> tf.Tensor:
    """-D(fake): the generator's side of both WGAN and hinge."""
    return -fake_scores


def discriminator_logistic(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """softplus(D(fake)) + softplus(-D(real)), in (0, inf); 2 log 2 if D guesses."""
    return tf.nn.softplus(fake_scores) + tf.nn.softplus(-real_scores)


def discriminator_wgan(real_scores: tf.Tensor, fake_scores: tf.Tensor, drift: float = 0.0) -> tf.Tensor:
    """D(fake) - D(real) + drift * D(real)^2. The last term keeps the scores near 0 (ProGAN, App. A)."""
    return fake_scores - real_scores + drift * tf.square(real_scores)


def discriminator_hinge(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 + D(fake)) + max(0, 1 - D(real)), in [0, inf); 0 if both are beyond the margin."""
    return tf.nn.relu(1.0 + fake_scores) + tf.nn.relu(1.0 - real_scores)


def zero_centered_penalty(squared_norms: tf.Tensor, gamma: float) -> tf.Tensor:
    """gamma/2 * |grad D|^2 from each image's squared gradient norm [N]: R1 on real images, R2 on generated ones."""
    return 0.5 * gamma * squared_norms


def wgan_gradient_penalty(squared_norms: tf.Tensor, weight: float, target: float = 1.0) -> tf.Tensor:
    """weight * (|grad D| - target)^2 / target^2 from the squared gradient norm of each image [N].

    The gradients are taken at random points between real and generated images (WGAN-GP). The maximum keeps the
    derivative of the root finite where a gradient vanishes: it is 0 there.
    """
    norms = tf.sqrt(tf.maximum(squared_norms, 1e-12))
    return weight * tf.square(norms - target) / target**2
