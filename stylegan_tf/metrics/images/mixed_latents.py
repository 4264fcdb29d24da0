"""Several latents in one image, taking over from each other at random layers: the stress test of Table 2.

The paper says how many latents there are (1 to 4) and that the crossover points are random. Here the points are
different ones, uniform among the layers after the first, so that each latent really styles a part of the image.
"""

import numpy as np
import tensorflow as tf

from stylegan_tf.errors import UserError
from stylegan_tf.networks.generator import Generator


def check_mixing(generator: Generator, num_latents: int, resolution: int) -> None:
    """Raises UserError if the network has no layers for so many latents, or no styles at all."""
    layers = generator.synthesis.num_layers_at(resolution)
    if num_latents > 1 and not generator.config.use_styles:
        raise UserError("the traditional generator has no styles: its latents cannot be mixed.")
    if num_latents > layers:
        raise UserError(f"{num_latents} latents cannot be mixed in the {layers} layers of a {resolution}x{resolution}.")


def latent_of_layers(random: np.random.Generator, num_latents: int, num_layers: int) -> np.ndarray:
    """Which latent styles each layer of one image: int32 [num_layers], 0 ... 0 1 ... 1 up to num_latents - 1."""
    crossovers = random.choice(np.arange(1, num_layers), num_latents - 1, replace=False)
    return np.sum(np.arange(num_layers) >= crossovers[:, np.newaxis], axis=0, dtype=np.int32)


def mixed_ws(generator: Generator, z: tf.Tensor, labels: tf.Tensor, latent_of_layer: tf.Tensor) -> tf.Tensor:
    """z [n, M, Z], labels [n, label_size], latent_of_layer int32 [n, L] -> w of every layer [n, L, W]."""
    num_latents = z.shape[1]
    labels = tf.repeat(labels, num_latents, axis=0)
    w = generator.mapping_network(tf.reshape(z, [-1, z.shape[2]]), labels=labels)  # [n * M, W]
    return tf.gather(tf.reshape(w, [-1, num_latents, w.shape[-1]]), latent_of_layer, axis=1, batch_dims=1)
