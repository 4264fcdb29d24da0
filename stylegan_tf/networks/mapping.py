"""The mapping network f: Z -> W (Sec. 2, Fig. 1b)."""

import tensorflow as tf

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.layers.equalized import EqualizedDense
from stylegan_tf.networks.keras_model import PACKAGE
from stylegan_tf.networks.variables import track_parts
from stylegan_tf.ops.activation import leaky_relu
from stylegan_tf.ops.normalisation import pixel_norm


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class MappingNetwork(tf.keras.layers.Layer):
    """(z, labels) -> w: pixel norm, then `mapping_layers` dense layers with leaky ReLU, all in float32.

    Labels pass through a learned matrix to the width of z and are concatenated to it before the normalisation
    (configs B to F), or are concatenated as they are (config A).
    """

    def __init__(self, config: GeneratorConfig, **kwargs):
        kwargs.setdefault("name", "mapping")
        super().__init__(dtype="float32", **kwargs)
        self.config = config
        self.label_embedding = None
        if config.label_size and config.embed_labels:
            gain = config.label_size**0.5  # Undoes 1 / sqrt(fan_in): the label matrix is a plain N(0, 1).
            self.label_embedding = EqualizedDense(config.latent_size, gain=gain, use_bias=False, name="label_embedding")
        self.dense = [
            EqualizedDense(units, lrmul=config.mapping_lrmul, name=f"dense{index}")
            for index, units in enumerate(config.mapping_widths[1:])
        ]
        track_parts(self)
        self.build((None, config.latent_size))

    @property
    def parts(self):
        parts = {"label_embedding": self.label_embedding} if self.label_embedding is not None else {}
        return {**parts, **{layer.name: layer for layer in self.dense}}

    def build(self, input_shape):
        if self.label_embedding is not None:
            self.label_embedding.build((None, self.config.label_size))
        for width, layer in zip(self.config.mapping_widths, self.dense):
            layer.build((None, width))
        super().build(input_shape)

    def call(self, z, labels=None):
        """z: [N, latent_size] ~ N(0, 1); labels: [N, label_size], required when there are labels -> w [N, w_size]."""
        x = tf.cast(z, tf.float32)
        if self.config.label_size:
            if labels is None:
                raise ValueError(f"expected labels [N, {self.config.label_size}] for a conditional network, got None.")
            labels = tf.cast(labels, tf.float32)
            y = labels if self.label_embedding is None else self.label_embedding(labels)
            x = tf.concat([x, y], axis=-1)
        if self.config.normalize_latents:
            x = pixel_norm(x)
        for layer in self.dense:
            x = leaky_relu(layer(x))
        return x

    def get_config(self):
        return {"name": self.name, "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config):
        return cls(GeneratorConfig.from_dict(config["config"]), name=config["name"])
