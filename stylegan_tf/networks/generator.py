"""The whole generator: mapping, truncation, synthesis."""

from typing import Optional

import tensorflow as tf

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.layers.truncation import Truncation
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import PACKAGE, NetworkModel
from stylegan_tf.networks.mapping import MappingNetwork
from stylegan_tf.networks.precision import level_policies
from stylegan_tf.networks.synthesis import SynthesisNetwork


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class Generator(NetworkModel):
    """z -> image. Parts: `mapping_network`, `truncation`, `synthesis`."""

    config_class = GeneratorConfig

    def __init__(
        self,
        config: GeneratorConfig,
        precision: str = "float32",
        half_levels: Optional[int] = None,
        growth: Optional[Growth] = None,
    ):
        """
        Args:
          precision, half_levels: dtype of the synthesis network's activations, see `level_policies`. Weights, w and
            images are always float32.
          growth: how far the network has grown, see `SynthesisNetwork`; None: fully.
        """
        super().__init__(config, precision, half_levels, name="generator")
        policies = level_policies(precision, config.resolutions, half_levels)
        self.mapping_network = MappingNetwork(config)
        self.truncation = Truncation(name="truncation")
        self.truncation.build((None, config.w_size))
        self.synthesis = SynthesisNetwork(config, policies, growth)
        self.set_built((None, config.latent_size))

    @property
    def parts(self):
        return {"mapping": self.mapping_network, "truncation": self.truncation, "synthesis": self.synthesis}

    @property
    def growth(self) -> Growth:
        """How far it has grown: a network file that was saved while networks grew says so."""
        return self.synthesis.growth

    def broadcast(self, w: tf.Tensor, resolution=None) -> tf.Tensor:
        """The same w for every layer up to `resolution`: [N, W] -> [N, L, W]; L = 1 for the traditional generator."""
        layers = self.synthesis.num_layers_at(resolution or self.growth.resolution) if self.config.use_styles else 1
        return tf.tile(w[:, None], [1, layers, 1])

    def call(
        self,
        z,
        labels=None,
        truncation_psi=None,
        truncation_cutoff=None,
        noise_mode="random",
        noise=None,
        resolution=None,
        alpha=None,
    ):
        """Images from latents.

        Args:
          z: [N, latent_size] ~ N(0, 1).
          labels: [N, label_size] when the network has labels.
          truncation_psi: scalar or [N]; None: no truncation. Ignored by the traditional generator.
          truncation_cutoff: number of layers it applies to; None: all. The paper's figures use 0.7 and 8.
          noise_mode, noise, resolution, alpha: see `SynthesisNetwork.call`.
        Returns:
          float32 [N, resolution, resolution, num_channels], about [-1, 1]; of a network that still grows, without
          `resolution`, the size that it has reached.
        """
        ws = self.broadcast(self.mapping_network(z, labels=labels), resolution)
        if truncation_psi is not None and self.config.use_styles:
            ws = self.truncation(ws, psi=truncation_psi, cutoff=truncation_cutoff)
        return self.synthesis(ws, resolution=resolution, alpha=alpha, noise_mode=noise_mode, noise=noise)


def mix_styles(ws: tf.Tensor, other: tf.Tensor, crossover) -> tf.Tensor:
    """Style mixing (Sec. 3.1): layers before `crossover` from `ws`, the others from `other`; both [N, L, W].

    crossover: int, scalar or [N]; 0: all from `other`; L: all from `ws`.
    """
    layer = tf.range(tf.shape(ws)[1])[None]  # [1, L]
    crossover = tf.reshape(tf.cast(crossover, tf.int32), [-1, 1])
    return tf.where((layer < crossover)[..., None], ws, other)
