"""Augmentations of the images that the discriminator sees: pure functions of images, random numbers and p.

ADA: Karras et al., *Training Generative Adversarial Networks with Limited Data*, NeurIPS 2020, App. B: pixel blitting,
geometric (filtered against aliasing) and colour transformations, each with probability p, with the paper's strengths.
DiffAugment: Zhao et al., *Differentiable Augmentation for Data-Efficient GAN Training*, NeurIPS 2020: colour,
translation by up to 1/8, cutout of 1/2, always applied.

Both are differentiable twice by the images, which are [n, r, r, C] in [-1, 1] at any level. Nothing is clipped.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.training.affine_sampling import (
    IDENTITY,
    blitted,
    inverse_rotation,
    inverse_scaling,
    inverse_translation,
    reflected,
    sampled,
    shifted,
    then,
)

_INTERVAL = 4  # Iterations between two adjustments of p.
_UNIFORM, _NORMAL = 29, 12  # How many numbers of each kind an image needs at most.


class AugmentDraws(NamedTuple):
    """The random values of the augmentation of n images."""

    uniform: tf.Tensor  # [n, 29] in [0, 1)
    normal: tf.Tensor  # [n, 12]
    noise: tf.Tensor  # [n, r, r, C], or [n] where none is added.


def draw_augmentation(count: int, seed: tf.Tensor, noise_shape: Sequence[int] = ()) -> AugmentDraws:
    """For `count` images; everything follows from the seed (two integers). noise_shape: of an image's noise."""
    seeds = tf.random.experimental.stateless_split(seed, 3)
    uniform = tf.random.stateless_uniform([count, _UNIFORM], seeds[0])
    normal = tf.random.stateless_normal([count, _NORMAL], seeds[1])
    return AugmentDraws(uniform, normal, tf.random.stateless_normal([count, *noise_shape], seeds[2]))


class _Numbers:
    """Hands out the numbers of `AugmentDraws` one [n] after the other."""

    def __init__(self, draws: AugmentDraws, dtype: tf.DType, p):
        self._uniform: Iterator = iter(tf.unstack(tf.cast(draws.uniform, dtype), axis=1))
        self._normal: Iterator = iter(tf.unstack(tf.cast(draws.normal, dtype), axis=1))
        self.p = tf.cast(p, dtype)

    def uniform(self, low: float, high: float) -> tf.Tensor:
        return low + (high - low) * next(self._uniform)

    def whole(self, count: int) -> tf.Tensor:
        """0, 1, ... count - 1, as a float."""
        return tf.floor(self.uniform(0.0, float(count)))

    def normal(self, deviation: float) -> tf.Tensor:
        return deviation * next(self._normal)

    def log_normal(self, octaves: float) -> tf.Tensor:
        """exp of N(0, (octaves * ln 2)^2)."""
        return tf.exp(self.normal(octaves * math.log(2)))

    def sometimes(self, value: tf.Tensor, neutral: float, p=None) -> tf.Tensor:
        """`value` with probability p (None: that of the call), else `neutral`."""
        return tf.where(next(self._uniform) < (self.p if p is None else p), value, tf.cast(neutral, value.dtype))


def ada(
    images: tf.Tensor, draws: AugmentDraws, p, filtering=False, noise=False, cutout=False, for_xla=False
) -> tf.Tensor:
    """ADA's pipeline with each transformation at probability p, a scalar; at 0 images differ by rounding only.

    filtering, noise, cutout: whether these parts, which the paper leaves out by default, are applied.
    for_xla: in a form that XLA compiles, see `sampled`.
    """
    numbers = _Numbers(draws, images.dtype, p)
    images = blitted(images, _inverse_blitting(numbers, images.shape[1]))
    images = sampled(images, _inverse_geometry(numbers, images.shape[1]), for_xla)
    images = _of_colours(_ada_colour, images, numbers)
    if filtering:
        images = _filtered(images, numbers)
    if noise:
        images += draws.noise * _per_image(tf.abs(numbers.sometimes(numbers.normal(0.1), 0.0)))
    if cutout:
        images = _cut_out(images, numbers, only_sometimes=True)
    return images


def augmentation(config: TrainConfig) -> Callable[[tf.Tensor, AugmentDraws, tf.Tensor], tf.Tensor]:
    """(images, draws, p) -> images, as a run augments them."""
    if config.augment == "ada":
        parts = {"filtering": config.augment_filter, "noise": config.augment_noise, "cutout": config.augment_cutout}
        return functools.partial(ada, **parts, for_xla=config.jit_compile or config.strategy == "tpu")
    return lambda images, draws, p: diffaugment(images, draws)


def _filtered(images, numbers: _Numbers):
    """Each of four bands of frequencies amplified or damped, at the expected power of natural images."""
    size, channels = images.shape[1], images.shape[3]
    bands, power = tf.constant(band_filters(size), images.dtype), tf.constant(_POWER, images.dtype)
    gains = 1.0
    for band in range(4):
        factor = numbers.sometimes(numbers.log_normal(1.0), 1.0)
        own = tf.where(tf.range(4) == band, factor[:, tf.newaxis], tf.ones([1, 4], images.dtype))  # [n, 4]
        gains *= own * tf.math.rsqrt(tf.reduce_sum(power * tf.square(own), axis=1, keepdims=True))
    matrix = tf.tensordot(gains, bands, 1)  # [n, r, r]
    rows = tf.reshape(matrix @ tf.reshape(images, [-1, size, size * channels]), [-1, size, size, channels])
    columns = matrix @ tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [-1, size, size * channels])
    return tf.transpose(tf.reshape(columns, [images.shape[0] or -1, size, size, channels]), [0, 2, 1, 3])


_POWER = np.array([10.0, 1.0, 1.0, 1.0]) / 13  # Power of the bands in natural images.


@functools.lru_cache(maxsize=16)
def band_filters(size: int) -> np.ndarray:
    """Filters of the octaves below pi/8, pi/4, pi/2 and pi, from the wavelet sym2, with reflected borders.

    Matrices [4, r, r] with the sum 1.
    """
    taps = np.array([1 + math.sqrt(3), 3 + math.sqrt(3), 3 - math.sqrt(3), 1 - math.sqrt(3)]) / 8
    low = np.convolve(taps, taps[::-1])  # Half band: 7 taps around the middle.
    bands, lowest = [], np.ones(1)
    for step in (1, 2, 4):
        spread = np.zeros(6 * step + 1)
        spread[::step] = low
        lower = np.convolve(lowest, spread)
        bands.append(np.pad(lowest, 3 * step) - lower)
        lowest = lower
    matrices = np.zeros([4, size, size])
    for matrix, band in zip(matrices, [lowest, *reversed(bands)]):
        for row in range(size):
            columns = reflected(np.arange(row - len(band) // 2, row + len(band) // 2 + 1), size)
            np.add.at(matrix[row], columns, band)
    return matrices


def _inverse_blitting(numbers: _Numbers, size: int):
    """Where each pixel of the result comes from: a flip, quarter turns, a shift by whole pixels."""
    some = numbers.sometimes
    flip = 1 - 2 * some(numbers.whole(2), 0.0)
    found = then(IDENTITY, inverse_scaling(flip, tf.ones_like(flip)))
    quarter = some(numbers.whole(4), 0.0)
    cos, sin = (tf.round(function(quarter * (math.pi / 2))) for function in (tf.cos, tf.sin))
    found = then(found, inverse_rotation(cos, sin))
    shift = [tf.round(numbers.uniform(-0.125, 0.125) * size) for _ in range(2)]
    return then(found, inverse_translation(*_both_or_none(numbers, shift)))


def _inverse_geometry(numbers: _Numbers, size: int):
    """The same of scaling, turning, stretching and shifting. Two rotations that together happen with probability p."""
    some = numbers.sometimes
    p_rotation = 1 - tf.sqrt(1 - numbers.p)
    scale = some(numbers.log_normal(0.2), 1.0)
    found = then(IDENTITY, inverse_scaling(scale, scale))
    angle = some(numbers.uniform(-math.pi, math.pi), 0.0, p_rotation)
    found = then(found, inverse_rotation(tf.cos(angle), tf.sin(angle)))
    stretch = some(numbers.log_normal(0.2), 1.0)
    found = then(found, inverse_scaling(stretch, 1 / stretch))
    angle = some(numbers.uniform(-math.pi, math.pi), 0.0, p_rotation)
    found = then(found, inverse_rotation(tf.cos(angle), tf.sin(angle)))
    shift = [numbers.normal(0.125 * size) for _ in range(2)]
    return then(found, inverse_translation(*_both_or_none(numbers, shift)))


def _both_or_none(numbers: _Numbers, values):
    happens = numbers.sometimes(tf.ones_like(values[0]), 0.0)
    return [value * happens for value in values]


def _of_colours(transform, images, numbers: _Numbers):
    """Applies `transform(images, numbers)` to all channels but that of transparency, the fourth of four."""
    if images.shape[-1] != 4:
        return transform(images, numbers)
    return tf.concat([transform(images[..., :3], numbers), images[..., 3:]], axis=-1)


def _ada_colour(images, numbers: _Numbers):
    """Brightness and contrast; luma flip of gray and RGB; of RGB also hue and saturation, about the gray axis."""
    some = numbers.sometimes
    brightness, contrast = some(numbers.normal(0.2), 0.0), some(numbers.log_normal(0.5), 1.0)
    images = (images + _per_image(brightness)) * _per_image(contrast)
    if images.shape[-1] not in (1, 3):
        return images
    flip = 1 - 2 * some(numbers.whole(2), 0.0)
    if images.shape[-1] == 1:
        return images * _per_image(flip)
    hue = some(numbers.uniform(-math.pi, math.pi), 0.0)
    saturation = some(numbers.log_normal(1.0), 1.0)
    luma = tf.reduce_mean(images, axis=-1, keepdims=True)
    chroma = images - luma
    # (1, 1, 1) / sqrt(3) x chroma: the term of a rotation about the gray axis.
    across = (tf.roll(chroma, 1, axis=-1) - tf.roll(chroma, -1, axis=-1)) / math.sqrt(3)
    turned = chroma * _per_image(saturation * tf.cos(hue)) + across * _per_image(saturation * tf.sin(hue))
    return luma * _per_image(flip) + turned


def diffaugment(images: tf.Tensor, draws: AugmentDraws) -> tf.Tensor:
    """DiffAugment: brightness, saturation (of RGB), contrast; translation, filled up with 0; cutout."""
    numbers = _Numbers(draws, images.dtype, 1.0)
    images = _of_colours(_diffaugment_colour, images, numbers)
    size = images.shape[1]
    limit = int(size / 8 + 0.5)
    down, right = (tf.cast(numbers.whole(2 * limit + 1), tf.int32) - limit for _ in range(2))
    return _cut_out(shifted(images, down, right), numbers, only_sometimes=False)


def _diffaugment_colour(images, numbers: _Numbers):
    images += _per_image(numbers.uniform(-0.5, 0.5))
    if images.shape[-1] == 3:
        images = _towards(tf.reduce_mean(images, axis=-1, keepdims=True), images, numbers.uniform(0.0, 2.0))
    return _towards(tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True), images, numbers.uniform(0.5, 1.5))


def _towards(mean, images, factor):
    return mean + (images - mean) * _per_image(factor)


def _cut_out(images, numbers: _Numbers, only_sometimes: bool):
    """Zeroes a square of half the width around a random place, which the border may clip."""
    size = images.shape[1]
    places = (tf.range(size, dtype=images.dtype) + 0.5) / size
    within_y, within_x = (tf.abs(places - numbers.uniform(0.0, 1.0)[:, tf.newaxis]) < 0.25 for _ in range(2))
    within = tf.logical_and(within_y[:, :, tf.newaxis], within_x[:, tf.newaxis, :])
    mask = tf.cast(within, images.dtype)[..., tf.newaxis]
    if only_sometimes:
        mask *= _per_image(numbers.sometimes(tf.ones_like(mask[:, 0, 0, 0]), 0.0))
    return images * (1 - mask)


def _per_image(values):
    """[n] -> [n, 1, 1, 1]"""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


class AugmentationStrength:
    """p of ADA, adapted to how much the discriminator overfits (Sec. 3.1), as variables.

    Create it in the strategy's scope. `variables` has all of it, for the checkpoint.

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
        update, due = strategy.extended.update, _INTERVAL * batch_size
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
