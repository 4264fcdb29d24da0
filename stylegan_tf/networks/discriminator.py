"""The discriminator: ProGAN's, with the blurred resampling of config B and later."""

from typing import Any, Optional

import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import (
    PACKAGE,
    NetworkModel,
    check_labels,
    convolution_clamp,
    level_policies,
    track_parts,
)
from stylegan_tf.networks.layers.progan import EqualizedConv2D, EqualizedDense, MinibatchStddev, build_named, name_scope
from stylegan_tf.ops.elementwise import leaky_relu
from stylegan_tf.ops.resampling import downscale_2d


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class Discriminator(NetworkModel):
    """Image -> score (a logit; larger = more real). Mirrors the generator's levels from the image down to 4x4.

    >>> import tensorflow as tf
    >>> from stylegan_tf import Discriminator, DiscriminatorConfig
    >>> discriminator = Discriminator(DiscriminatorConfig(resolution=16, fmap_base=64, fmap_max=8))
    >>> discriminator(tf.zeros([4, 16, 16, 3])).shape
    TensorShape([4])
    """

    config: DiscriminatorConfig
    config_class = DiscriminatorConfig

    def __init__(
        self,
        config: DiscriminatorConfig,
        precision: Optional[str] = None,
        half_levels: Optional[int] = None,
        growth: Optional[Growth] = None,
        name: str = "discriminator",
    ):
        """
        Args:
          precision, half_levels: dtype of the activations down to the minibatch statistics, see `level_policies`;
            None: that of Keras' global policy. Weights and scores are always float32.
          growth: how far the network has grown, the default of calls; None: fully.
          name: for Keras, in whose models no two layers may have the same; files do not depend on it.
        """
        super().__init__(config, precision, half_levels, name)
        self.growth = (growth or Growth(config.resolution)).validated(config.resolution)
        policies = level_policies(self.precision, config.resolutions, half_levels)
        options = {r: {"dtype": policies[r], "clamp": convolution_clamp(policies[r])} for r in config.resolutions}
        self.from_rgb = {
            f"{r}x{r}": EqualizedConv2D(config.feature_maps(r), kernel_size=1, name="from_rgb", **options[r])
            for r in config.resolutions
        }
        self.blocks = {f"{r}x{r}": self._block_layers(r, **options[r]) for r in config.resolutions[1:]}
        group = config.mbstd_group_size
        self.minibatch_stddev = MinibatchStddev(group, dtype=policies[4]) if group else None
        self.conv = EqualizedConv2D(config.feature_maps(4), name="conv", **options[4])
        # The dense head is tiny: float32.
        self.dense0 = EqualizedDense(config.feature_maps(2), name="dense0", dtype="float32")
        self._is_conditional = bool(config.label_size and config.use_labels)
        outputs = config.label_size if self._is_conditional else 1
        self.dense1 = EqualizedDense(outputs, gain=1.0, name="dense1", dtype="float32")
        track_parts(self)
        with name_scope(self.name):
            self._build_layers()
        self.set_built((None, config.resolution, config.resolution, config.num_channels))

    def _block_layers(self, resolution: int, **options: Any) -> list[EqualizedConv2D]:
        same, half = (self.config.feature_maps(r) for r in (resolution, resolution // 2))
        return [
            EqualizedConv2D(same, name="conv0", **options),
            EqualizedConv2D(half, resample="down", blur=self.config.blur, name="conv1_down", **options),
        ]

    def _build_layers(self) -> None:
        config = self.config
        for r in config.resolutions:
            level = f"{r}x{r}"
            build_named(self.from_rgb[level], (None, r, r, config.num_channels), level)
            for layer in self.blocks.get(level, []):
                build_named(layer, (None, r, r, config.feature_maps(r)), level)
        channels = config.feature_maps(4) + (1 if self.minibatch_stddev is not None else 0)
        build_named(self.conv, (None, 4, 4, channels), "4x4")
        build_named(self.dense0, (None, 16 * config.feature_maps(4)), "4x4")
        build_named(self.dense1, (None, config.feature_maps(2)), "4x4")

    @property
    def parts(self) -> dict[str, tf.keras.layers.Layer]:
        parts = {}
        for level, layer in self.from_rgb.items():
            parts[f"{level}/from_rgb"] = layer
            parts.update({f"{level}/{block_layer.name}": block_layer for block_layer in self.blocks.get(level, [])})
        parts.update({f"4x4/{layer.name}": layer for layer in (self.conv, self.dense0, self.dense1)})
        return parts

    def call(self, images: tf.Tensor, labels: Optional[tf.Tensor] = None, alpha: Any = None) -> tf.Tensor:
        """Scores of images at any level of progressive growing.

        Args:
          images: [N, r, r, num_channels] float32 in [-1, 1]; r, one of the levels, says which layers run.
          labels: [N, label_size] when the network has labels.
          alpha: weight of the current level in the cross-fade with the one below; 1 = fully grown. None: that of
            `growth`, or 1 at another resolution.
        Returns:
          float32 [N].
        """
        features = self.features(images, alpha)
        if self._is_conditional or labels is not None:
            check_labels(labels, self.config.label_size, images)
        return self.scores(features, labels)

    def features(self, images: tf.Tensor, alpha: Any = None) -> tf.Tensor:
        """[N, 4, 4, C], from which `scores` are computed: each image on its own. The arguments are those of `call`."""
        resolution = images.shape[1]
        square = [resolution, resolution, self.config.num_channels]
        if resolution not in self.config.resolutions or list(images.shape[1:]) != square:
            raise ValueError(
                f"images must be [N, r, r, {self.config.num_channels}] with r one of {self.config.resolutions}, "
                f"got {images.shape}."
            )
        if not tf.as_dtype(images.dtype).is_floating:
            raise ValueError(f"images must be floats in [-1, 1], got {images.dtype}: give x / 127.5 - 1 of bytes.")
        x = self._from_rgb(images, resolution)
        if resolution > 4:
            x = self._block(x, resolution)
            old = self._from_rgb(downscale_2d(images), resolution // 2)
            alpha = self.growth.resolve(resolution, alpha).alpha
            x = old + (tf.cast(x, old.dtype) - old) * tf.cast(alpha, old.dtype)
        for r in reversed([r for r in self.config.resolutions[1:] if r < resolution]):
            x = self._block(x, r)
        return x

    def _from_rgb(self, images: tf.Tensor, resolution: int) -> tf.Tensor:
        return leaky_relu(self.from_rgb[f"{resolution}x{resolution}"](images))

    def _block(self, x: tf.Tensor, resolution: int) -> tf.Tensor:
        for layer in self.blocks[f"{resolution}x{resolution}"]:
            x = leaky_relu(layer(x))
        return x

    def scores(self, x: tf.Tensor, labels: Optional[tf.Tensor] = None) -> tf.Tensor:
        """float32 [N] of `features` [N, 4, 4, C]: the only part in which images meet, as groups in the statistics."""
        if self.minibatch_stddev is not None:
            x = self.minibatch_stddev(x)
        x = leaky_relu(self.conv(x))
        x = tf.transpose(tf.cast(x, tf.float32), [0, 3, 1, 2])  # Flattened channel-first: the order of dense0's rows.
        x = leaky_relu(self.dense0(tf.reshape(x, [-1, x.shape[1] * 16])))
        x = self.dense1(x)  # [N, 1] or [N, label_size]
        if self._is_conditional:
            x = tf.reduce_sum(x * tf.cast(labels, tf.float32), axis=-1, keepdims=True)
        return x[:, 0]
