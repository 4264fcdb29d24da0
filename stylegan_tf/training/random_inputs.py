"""The random inputs of an iteration: drawn for the global batch, then dealt out to the replicas.

All of them follow from the run's seed and the images seen, so that no other random state exists, and replica r of R
takes images r, r + R, r + 2R, ... as it does of the reals: the number of replicas changes nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.networks.generator import Generator


class FakeInputs(NamedTuple):
    """What one replica makes its fakes of."""

    z: tf.Tensor  # [n, latent_size]
    other_z: Optional[tf.Tensor]  # The second latents of style mixing; None: it is off.
    noise: Sequence[tf.Tensor]  # One [n, r, r, 1] per layer; empty: the network has no noise inputs.


class RandomInputs:
    """The draws of one resolution and batch size, in replica context."""

    def __init__(self, config: TrainConfig, generator: Generator, resolution: int, batch_size: int):
        self._seed = config.seed
        self._mixing_prob = config.style_mixing_prob if generator.config.use_styles else 0.0
        self._generator = generator
        self._resolution = resolution
        self._batch_size = batch_size

    def fakes(self, images_seen: tf.Tensor, stream: int) -> FakeInputs:
        """Latents and noise. stream: 0 in the discriminator's step, 1 in the generator's."""
        seeds = self._seeds(images_seen, stream)
        size = [self._batch_size, self._generator.config.latent_size]
        z = self._share(tf.random.stateless_normal(size, seeds[0]))
        other_z = self._share(tf.random.stateless_normal(size, seeds[1])) if self._mixing_prob else None
        noise = self._generator.synthesis.draw_noise(self._batch_size, self._resolution, seeds[3])
        return FakeInputs(z, other_z, [self._share(sample) for sample in noise])

    def crossover(self, images_seen: tf.Tensor, stream: int) -> tf.Tensor:
        """First layer of the second latent: uniform in [1, L) with the mixing probability, else L (none)."""
        layers = self._generator.synthesis.num_layers_at(self._resolution)
        seeds = tf.random.experimental.stateless_split(self._seeds(images_seen, stream)[2], 2)
        crossover = tf.random.stateless_uniform([], seeds[0], 1, layers, tf.int32)
        mixes = tf.random.stateless_uniform([], seeds[1]) < self._mixing_prob
        return tf.where(mixes, crossover, layers)

    def weights_between(self, images_seen: tf.Tensor) -> tf.Tensor:
        """[n, 1, 1, 1] in [0, 1): where between its real and its fake WGAN-GP looks at the gradient."""
        seed = tf.random.experimental.stateless_fold_in(self._stream_seed(images_seen, 0), 3)
        return self._share(tf.random.stateless_uniform([self._batch_size, 1, 1, 1], seed))

    def _seeds(self, images_seen, stream):
        return tf.random.experimental.stateless_split(self._stream_seed(images_seen, stream), 4)

    def _stream_seed(self, images_seen, stream):
        seed = tf.stack([tf.constant(self._seed, tf.int64), images_seen])
        return tf.random.experimental.stateless_fold_in(seed, stream)

    def _share(self, x: tf.Tensor) -> tf.Tensor:
        """This replica's part of a tensor of the global batch."""
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        if replicas == 1:
            return x
        # x[replica :: replicas] with a static shape: XLA cannot slice from a place that it does not know yet.
        dealt = tf.reshape(x, [self._batch_size // replicas, replicas, *x.shape[1:]])
        return tf.gather(dealt, context.replica_id_in_sync_group, axis=1)
