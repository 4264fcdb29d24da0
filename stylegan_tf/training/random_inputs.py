"""The random inputs of an iteration: drawn for the global batch, then sharded per replica.

A step takes them from a function. A run uses `SeededDraw`, in which everything follows from the seed and the images
seen: there is no other random state. Replica r of R takes images r, r + R, r + 2R, ..., as it does of the reals: the
number of replicas does not change the result.
"""

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.networks.generator import Generator
from stylegan_tf.training.augmentation import AugmentDraws, draw_augmentation

# Values of `stream`: the passes of an iteration draw independently of each other.
DISCRIMINATOR_PASS, GENERATOR_PASS = 0, 1


class FakeInputs(NamedTuple):
    """The generator's inputs: tensors with one entry per image."""

    z: tf.Tensor  # [n, latent_size]
    other_z: Optional[tf.Tensor] = None  # The second latents of style mixing; None: it is off.
    noise: Sequence[tf.Tensor] = ()  # One [n, r, r, 1] per layer; empty: the network's own maps, if it has any.


class RandomInputs(NamedTuple):
    """All random values of one pass, for the n = N images of the global batch."""

    fakes: FakeInputs
    crossover: tf.Tensor  # int32 scalar, the first layer of the second latents; the number of layers: none.
    between: Optional[tf.Tensor] = None  # [n, 1, 1, 1] in [0, 1]: WGAN-GP's interpolation weights.
    augment_fakes: Optional[AugmentDraws] = None  # None: these images are not augmented.
    augment_reals: Optional[AugmentDraws] = None


# draw(images_seen, stream): called while a step is traced, in replica context, and must return the same on every
# replica. `images_seen` is an int64 scalar tensor, the images before the iteration: a function of the user's may look
# tensors up by it, or read variables that are assigned before every iteration.
Draw = Callable[[tf.Tensor, int], RandomInputs]


class SeededDraw:
    """The draws of a run at one resolution and batch size."""

    def __init__(self, config: TrainConfig, generator: Generator, resolution: int, batch_size: int):
        self._seed = config.seed
        self._mixing_prob = config.style_mixing_prob if generator.config.use_styles else 0.0
        self._interpolates = bool(config.losses.gp_lambda)
        self._augments, self._adds_noise = config.augment != "none", config.augment_noise
        self._generator = generator
        self._resolution = resolution
        self._batch_size = batch_size

    def __call__(self, images_seen: tf.Tensor, stream: int) -> RandomInputs:
        seed = tf.stack([tf.constant(self._seed, tf.int64), images_seen])
        seed = _fold_in(seed, stream)
        z, other_z, crossover, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
        size = [self._batch_size, self._generator.config.latent_size]
        fakes = FakeInputs(
            z=tf.random.stateless_normal(size, z),
            other_z=tf.random.stateless_normal(size, other_z) if self._mixing_prob else None,
            noise=self._generator.synthesis.draw_noise(self._batch_size, self._resolution, noise),
        )
        between = None
        if self._interpolates and stream == DISCRIMINATOR_PASS:
            between = tf.random.stateless_uniform([self._batch_size, 1, 1, 1], _fold_in(seed, 3))
        return RandomInputs(fakes, self._crossover(crossover), between, *self._augmentation(seed, stream))

    def _augmentation(self, seed, stream: int) -> list[Optional[AugmentDraws]]:
        """[of the fakes, of the reals]"""
        size = (self._resolution, self._resolution, self._generator.config.num_channels)
        shape = size if self._adds_noise else ()
        used = [self._augments, self._augments and stream == DISCRIMINATOR_PASS]
        return [
            draw_augmentation(self._batch_size, _fold_in(seed, number), shape) if is_used else None
            for number, is_used in zip((4, 5), used)
        ]

    def _crossover(self, seed) -> tf.Tensor:
        """Uniform in [1, L) with the mixing probability, else L: no mixing."""
        layers = self._generator.synthesis.num_layers_at(self._resolution)
        seeds = tf.random.experimental.stateless_split(seed, 2)
        crossover = tf.random.stateless_uniform([], seeds[0], 1, layers, tf.int32)
        mixes = tf.random.stateless_uniform([], seeds[1]) < self._mixing_prob
        return tf.where(mixes, crossover, layers)


def _fold_in(seed: tf.Tensor, number: int) -> tf.Tensor:
    # 64 bits: with 32, some thirty of the half million iterations of a long run would repeat another one's draws.
    return tf.random.experimental.stateless_fold_in(seed, tf.constant(number, tf.int64))


def replica_shard(images: tf.Tensor) -> tf.Tensor:
    """This replica's entries of a tensor [N, ...] of the global batch, in replica context."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return images
    # images[replica :: replicas] with a static shape: XLA cannot slice from a dynamic offset.
    shards = tf.reshape(images, [images.shape[0] // replicas, replicas, *images.shape[1:]])
    return tf.gather(shards, context.replica_id_in_sync_group, axis=1)
