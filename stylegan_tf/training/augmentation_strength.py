"""p of ADA, adapted to how much the discriminator overfits (Karras et al. 2020, Sec. 3.1), as variables."""

from typing import Optional

import tensorflow as tf

INTERVAL = 4  # Iterations between two adjustments.


class AugmentationStrength:
    """Create it in the strategy's scope. `variables` has all of it, for the checkpoint.

    fixed: a constant p that replaces the adaptive one, whose variables then stay as they are.
    target: of r_t = E[sign(D(real))], which is 0 if the discriminator guesses and 1 if it recognises every real.
    """

    def __init__(self, fixed: Optional[float] = None, target: float = 0.6):
        self._fixed, self._target = fixed, target
        self._p = tf.Variable(0.0, trainable=False)
        self._overfitting = tf.Variable(0.0, trainable=False)  # r_t of the last adjustment.
        self._signs = tf.Variable(0.0, trainable=False)  # Sum over the images since then.
        self._images = tf.Variable(0.0, trainable=False)  # Their number.

    @property
    def variables(self) -> dict[str, tf.Variable]:
        return {"p": self._p, "overfitting": self._overfitting, "signs": self._signs, "images": self._images}

    @property
    def p(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._p if self._fixed is None else self._fixed, tf.float32)

    def update(self, strategy, sign: tf.Tensor, batch_size: int, kimg: float) -> None:
        """After a discriminator's pass, in cross-replica context.

        sign: mean of the real scores' signs over the global batch. kimg: thousands of images in which p can go from 0
        to 1; 0: p is constant.
        """
        update, due = strategy.extended.update, INTERVAL * batch_size
        update(self._signs, _add, args=(sign, batch_size), group=False)
        update(self._images, _add, args=(1.0, batch_size), group=False)
        counts = (self._signs, self._images, due)
        if kimg and self._fixed is None:
            update(self._p, _adjust, args=(*counts, kimg * 1000, self._target), group=False)
        update(self._overfitting, _assign_mean, args=counts, group=False)
        update(self._signs, _zero_if_due, args=(self._images, due), group=False)
        update(self._images, _zero_if_due, args=(self._images, due), group=False)


def signs_of(scores: tf.Tensor) -> tf.Tensor:
    """1, 0 or -1; 0 for NaN."""
    return tf.cast(scores > 0, scores.dtype) - tf.cast(scores < 0, scores.dtype)


def _add(total, mean, count):
    total.assign_add(mean * count)


def _adjust(p, signs, images, due, images_to_1, target):
    adjusted = tf.clip_by_value(p + tf.sign(signs / images - target) * images / images_to_1, 0.0, 1.0)
    p.assign(tf.where(images >= due, adjusted, p))


def _assign_mean(overfitting, signs, images, due):
    overfitting.assign(tf.where(images >= due, signs / images, overfitting))


def _zero_if_due(value, images, due):
    value.assign(tf.where(images >= due, tf.zeros_like(value), value))
