"""The generator, top to bottom: mapping network, synthesis network, and both with truncation between them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import tensorflow as tf

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import (
    PACKAGE,
    NetworkModel,
    check_labels,
    check_policies,
    check_psi,
    check_shape,
    convolution_clamp,
    level_policies,
    track_parts,
)
from stylegan_tf.networks.layers.progan import EqualizedConv2D, EqualizedDense, build_named, name_scope
from stylegan_tf.networks.layers.style import DenseInput, LearnedConstant, SynthesisLayer, TruncationLayer
from stylegan_tf.networks.truncation import ClassCentres, Truncation
from stylegan_tf.ops.elementwise import leaky_relu, pixel_norm
from stylegan_tf.ops.resampling import upscale_2d

NOISE_MODES = ("random", "const", "none")


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class MappingNetwork(tf.keras.layers.Layer):
    """(z, labels) -> w: pixel norm, then `mapping_layers` dense layers with leaky ReLU, all in float32.

    Labels pass through a learned matrix to the width of z and are concatenated to it before the normalisation
    (configs B to F), or are concatenated as they are (config A).
    """

    def __init__(self, config: GeneratorConfig, **kwargs: Any):
        kwargs.setdefault("name", "mapping")
        super().__init__(dtype="float32", **kwargs)
        self.config = config
        self.label_embedding = None
        if config.label_size and config.embed_labels:
            gain = config.label_size**0.5  # Undoes 1 / sqrt(fan_in): the label matrix is a plain N(0, 1).
            options = {"use_bias": False, "dtype": "float32", "name": "label_embedding"}
            self.label_embedding = EqualizedDense(config.latent_size, gain=gain, **options)
        self.dense = [
            EqualizedDense(units, lrmul=config.mapping_lrmul, dtype="float32", name=f"dense{index}")
            for index, units in enumerate(config.mapping_widths[1:])
        ]
        track_parts(self)
        build_named(self, (None, config.latent_size))

    @property
    def parts(self) -> dict[str, tf.keras.layers.Layer]:
        parts = {"label_embedding": self.label_embedding} if self.label_embedding is not None else {}
        return {**parts, **{layer.name: layer for layer in self.dense}}

    def build(self, input_shape: Sequence[Optional[int]]) -> None:
        if self.label_embedding is not None:
            build_named(self.label_embedding, (None, self.config.label_size))
        for width, layer in zip(self.config.mapping_widths, self.dense):
            build_named(layer, (None, width))
        super().build(input_shape)

    def call(self, z: tf.Tensor, labels: Optional[tf.Tensor] = None) -> tf.Tensor:
        """z: [N, latent_size] ~ N(0, 1); labels: [N, label_size], required when there are labels -> w [N, w_size]."""
        check_shape("z", z, [None, self.config.latent_size])
        check_labels(labels, self.config.label_size, z)
        x = tf.cast(z, tf.float32)
        if self.config.label_size:
            labels = tf.cast(labels, tf.float32)
            y = labels if self.label_embedding is None else self.label_embedding(labels)
            x = tf.concat([x, y], axis=-1)
        if self.config.normalize_latents:
            x = pixel_norm(x)
        for layer in self.dense:
            x = leaky_relu(layer(x))
        return x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "MappingNetwork":
        return cls(GeneratorConfig.from_dict(config["config"]), name=config["name"])


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class SynthesisNetwork(tf.keras.layers.Layer):
    """Two synthesis layers per level, and at each level a 1x1 convolution to RGB."""

    def __init__(
        self,
        config: GeneratorConfig,
        policies: Optional[Mapping[int, str]] = None,
        growth: Optional[Growth] = None,
        **kwargs: Any,
    ):
        """
        Args:
          policies: the dtype policy of every level, see `level_policies`; None: float32.
          growth: how far the network has grown, the default of calls; None: fully.
        """
        kwargs.setdefault("name", "synthesis")
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.config = config
        self.growth = (growth or Growth(config.resolution)).validated(config.resolution)
        policies = policies or level_policies("float32", config.resolutions)
        self._policies = tuple(policies[r] for r in config.resolutions)
        self.blocks = {f"{r}x{r}": self._block(r, policies[r]) for r in config.resolutions}
        self.to_rgb = {f"{r}x{r}": self._to_rgb(policies[r]) for r in config.resolutions}
        track_parts(self)
        build_named(self, (None, None, config.w_size))

    def _block(self, resolution: int, dtype: str) -> list[SynthesisLayer]:
        config = self.config
        filters = config.feature_maps(resolution)
        convolution = {"name": "source", "dtype": dtype, "clamp": convolution_clamp(dtype)}
        if resolution == 4:
            start = LearnedConstant if config.const_input else DenseInput
            sources = {
                "const" if config.const_input else "dense": start(filters, name="source", dtype=dtype),
                "conv": EqualizedConv2D(filters, **convolution),
            }
        else:
            sources = {
                "conv0_up": EqualizedConv2D(filters, resample="up", blur=config.blur, **convolution),
                "conv1": EqualizedConv2D(filters, **convolution),
            }
        options = {
            "use_noise": config.use_noise,
            "use_pixel_norm": config.use_pixel_norm,
            "use_instance_norm": config.use_instance_norm,
            "use_style": config.use_styles,
        }
        return [SynthesisLayer(source, name=name, dtype=dtype, **options) for name, source in sources.items()]

    def _to_rgb(self, dtype: str) -> EqualizedConv2D:
        options = {"dtype": dtype, "clamp": convolution_clamp(dtype)}
        return EqualizedConv2D(self.config.num_channels, kernel_size=1, gain=1.0, name="to_rgb", **options)

    @property
    def parts(self) -> dict[str, tf.keras.layers.Layer]:
        parts = {}
        for level, block in self.blocks.items():
            parts.update({f"{level}/{layer.name}": layer for layer in block})
            parts[f"{level}/to_rgb"] = self.to_rgb[level]
        return parts

    def build(self, input_shape: Sequence[Optional[int]]) -> None:
        shape: tuple = (None, input_shape[-1])
        for resolution in self.config.resolutions:
            level = f"{resolution}x{resolution}"
            for layer in self.blocks[level]:
                layer.build_for(shape, resolution, w_size=input_shape[-1], level=(level,))
                shape = (None, resolution, resolution, layer.source.filters)
            build_named(self.to_rgb[level], shape, level)
        super().build(input_shape)

    def call(
        self,
        ws: tf.Tensor,
        resolution: Optional[int] = None,
        alpha: Any = None,
        noise_mode: str = "random",
        noise: Optional[Sequence[tf.Tensor]] = None,
    ) -> tf.Tensor:
        """Images from per-layer styles.

        Args:
          ws: [N, L, W], one w per layer; L may be less than `num_layers` if `resolution` needs fewer.
            The traditional generator reads ws[:, 0] only.
          resolution: current size of progressive growing (a Python int); None: that of `growth`.
          alpha: weight of the current level in the cross-fade with the one below; 1 = fully grown: given as a
            Python number, the level below takes no part. None: that of `growth`, or 1 at another resolution.
          noise_mode: "random": fresh N(0, 1) noise per image; "const": the network's fixed maps; "none": no noise.
          noise: one tensor [N or 1, r, r, 1] per layer, or none for the fixed maps, in place of what `noise_mode` says.
        Returns:
          float32 [N, resolution, resolution, num_channels], about [-1, 1].
        """
        if noise_mode not in NOISE_MODES:
            raise ValueError(f"noise_mode must be one of {', '.join(NOISE_MODES)}, got {noise_mode!r}.")
        check_shape("ws", ws, [None, None, self.config.w_size])
        growth = self.growth.resolve(resolution, alpha)
        resolution, alpha = growth.resolution, growth.alpha
        use_noise = noise is not None or noise_mode != "none"
        if noise is not None:
            self._check_noise(noise, resolution)
        elif noise_mode == "random":
            noise = self.draw_noise(tf.shape(ws)[0], resolution)
        features = self.features(ws, resolution, noise, use_noise)
        images = tf.cast(self.to_rgb[f"{resolution}x{resolution}"](features[-1]), tf.float32)
        if resolution == 4 or (isinstance(alpha, (int, float)) and alpha == 1):
            return images
        half = resolution // 2
        old = upscale_2d(tf.cast(self.to_rgb[f"{half}x{half}"](features[-3]), tf.float32))
        return old + (images - old) * tf.cast(alpha, tf.float32)

    def _check_noise(self, noise: Sequence[tf.Tensor], resolution: int) -> None:
        shapes = self.noise_shapes(resolution)
        if len(noise) not in (0, len(shapes)):
            raise ValueError(f"noise must be one tensor for each of {len(shapes)} layers, got {len(noise)}.")
        for index, (tensor, shape) in enumerate(zip(noise, shapes)):
            check_shape(f"noise[{index}]", tensor, [None, *shape])

    def features(
        self, ws: tf.Tensor, resolution: int, noise: Optional[Sequence[tf.Tensor]] = None, use_noise: bool = True
    ) -> list[tf.Tensor]:
        """Outputs of every layer up to a resolution, [N, r, r, C]; the arguments are those of `call`."""
        x, features = ws[:, 0], []
        for index, layer in enumerate(self._layers_up_to(resolution)):
            w = ws[:, index] if self.config.use_styles else None
            x = layer(x, w=w, noise=noise[index] if noise else None, use_noise=use_noise)
            features.append(x)
        return features

    def _layers_up_to(self, resolution: int) -> list[SynthesisLayer]:
        if resolution not in self.config.resolutions:
            raise ValueError(f"resolution must be one of {self.config.resolutions}, got {resolution}.")
        levels = [f"{r}x{r}" for r in self.config.resolutions if r <= resolution]
        return [layer for level in levels for layer in self.blocks[level]]

    @staticmethod
    def num_layers_at(resolution: int) -> int:
        """Number of layers that run at a resolution: 2 at 4x4, two more per doubling."""
        return 2 * (resolution.bit_length() - 2)

    def noise_shapes(self, resolution: int) -> list[tuple[int, int, int]]:
        """(r, r, 1) of one image's noise in every layer up to `resolution`; empty without noise inputs."""
        sizes = [r for r in self.config.resolutions if r <= resolution for _ in range(2)]
        return [(r, r, 1) for r in sizes] if self.config.use_noise else []

    def fixed_noise(self, resolution: int) -> list[tf.Tensor]:
        """The network's own maps in every layer up to `resolution`: [1, r, r, 1]; empty without noise inputs."""
        layers = self._layers_up_to(resolution)
        return [tf.convert_to_tensor(layer.noise.map) for layer in layers if layer.noise is not None]

    def draw_noise(self, batch_size: Any, resolution: int, seed: Optional[tf.Tensor] = None) -> Sequence[tf.Tensor]:
        """Fresh noise for every layer up to `resolution`: a list of [batch_size, r, r, 1] float32 of N(0, 1).

        seed: int32 or int64 [2], the same noise for the same seed; None draws from TensorFlow's global generator.
        Empty if the network has no noise inputs.
        """
        shapes = [[batch_size, *shape] for shape in self.noise_shapes(resolution)]
        if seed is None or not shapes:
            return [tf.random.normal(shape) for shape in shapes]
        seeds = tf.random.experimental.stateless_split(seed, len(shapes))
        return [tf.random.stateless_normal(shape, seeds[index]) for index, shape in enumerate(shapes)]

    def draw_noise_of_images(self, seeds: tf.Tensor, resolution: int) -> Sequence[tf.Tensor]:
        """`draw_noise` of one image for each of `seeds`, int32 [N, 2], whatever the others are: [N, r, r, 1] each."""
        specs = [tf.TensorSpec(shape) for shape in self.noise_shapes(resolution)]

        def draw(seed: tf.Tensor) -> list[tf.Tensor]:
            return [noise[0] for noise in self.draw_noise(1, resolution, seed)]

        return tf.map_fn(draw, seeds, fn_output_signature=specs) if specs else []

    def get_config(self) -> dict[str, Any]:
        growth = self.growth.to_metadata()
        return {"name": self.name, "config": self.config.to_dict(), "policies": list(self._policies), "growth": growth}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SynthesisNetwork":
        options = GeneratorConfig.from_dict(config["config"])
        growth = Growth.from_metadata(config["growth"], options.resolution)
        check_policies(config["policies"])
        return cls(options, dict(zip(options.resolutions, config["policies"])), growth, name=config["name"])


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class Generator(NetworkModel):
    """z -> image. Parts: `mapping_network`, `truncation`, `synthesis`.

    >>> import tensorflow as tf
    >>> from stylegan_tf import Generator, GeneratorConfig
    >>> generator = Generator(GeneratorConfig(resolution=16, latent_size=32, fmap_base=64, fmap_max=8))
    >>> generator(tf.random.normal([4, 32])).shape
    TensorShape([4, 16, 16, 3])
    """

    config: GeneratorConfig
    config_class = GeneratorConfig

    def __init__(
        self,
        config: GeneratorConfig,
        precision: Optional[str] = None,
        half_levels: Optional[int] = None,
        growth: Optional[Growth] = None,
        name: str = "generator",
    ):
        """
        Args:
          precision, half_levels: dtype of the synthesis network's activations, see `level_policies`; None: that of
            Keras' global policy. Weights, w and images are always float32.
          growth: how far the network has grown, see `SynthesisNetwork`; None: fully.
          name: for Keras, in whose models no two layers may have the same; files do not depend on it.
        """
        super().__init__(config, precision, half_levels, name)
        policies = level_policies(self.precision, config.resolutions, half_levels)
        with name_scope(self.name):
            self.mapping_network = MappingNetwork(config)
            self.truncation = TruncationLayer(dtype="float32", name="truncation")
            build_named(self.truncation, (None, config.w_size))
            self.synthesis = SynthesisNetwork(config, policies, growth)
        self._class_centres = ClassCentres(self.mapping_network)
        self.set_built((None, config.latent_size))

    @property
    def parts(self) -> dict[str, tf.keras.layers.Layer]:
        return {"mapping": self.mapping_network, "truncation": self.truncation, "synthesis": self.synthesis}

    @property
    def growth(self) -> Growth:
        """How far it has grown, as its network file says."""
        return self.synthesis.growth

    def broadcast(self, w: tf.Tensor, resolution: Optional[int] = None) -> tf.Tensor:
        """The same w for every layer up to `resolution`: [N, W] -> [N, L, W]; L = 1 for the traditional generator."""
        layers = self.synthesis.num_layers_at(resolution or self.growth.resolution) if self.config.use_styles else 1
        return tf.tile(w[:, None], [1, layers, 1])

    def truncate(self, ws: tf.Tensor, truncation: Truncation, labels: Optional[tf.Tensor] = None) -> tf.Tensor:
        """w of every layer [N, L, W], truncated; as it is in the traditional generator. labels: for "class" centres."""
        if truncation.is_off or not self.config.use_styles:
            return ws
        check_psi(truncation.psi, ws)
        centre = self.truncation_centre(truncation.centre, labels)
        return self.truncation(ws, psi=truncation.psi, cutoff=truncation.cutoff, centre=centre)

    def truncation_centre(self, centre: Any, labels: Optional[tf.Tensor] = None) -> Any:
        """The [W] or [N, W] that `Truncation.centre` means for images of these labels; without labels, that of all."""
        if not isinstance(centre, str):
            return centre
        if centre == "class" and labels is not None and self.config.label_size:
            return self._class_centres.of(labels)
        return tf.convert_to_tensor(self.truncation.w_avg)

    def call(
        self,
        z: tf.Tensor,
        labels: Optional[tf.Tensor] = None,
        truncation: Optional[Truncation] = None,
        noise_mode: str = "random",
        noise: Optional[Sequence[tf.Tensor]] = None,
        resolution: Optional[int] = None,
        alpha: Any = None,
        truncation_psi: Any = None,
        truncation_cutoff: Optional[int] = None,
    ) -> tf.Tensor:
        """Images from latents.

        Args:
          z: [N, latent_size] ~ N(0, 1).
          labels: [N, label_size] when the network has labels.
          truncation: a `Truncation`; None: none. Ignored by the traditional generator.
          noise_mode, noise, resolution, alpha: see `SynthesisNetwork.call`.
          truncation_psi, truncation_cutoff: deprecated, the fields of `truncation`.
        Returns:
          float32 [N, resolution, resolution, num_channels], about [-1, 1]; of a network that still grows, without
          `resolution`, the size that it has reached.
        """
        ws = self.broadcast(self.mapping_network(z, labels=labels), resolution)
        if truncation_psi is not None:
            warnings.warn(
                "truncation_psi is deprecated: give truncation=Truncation(psi, cutoff)", DeprecationWarning, 2
            )
            truncation = Truncation(truncation_psi, truncation_cutoff)
        if truncation is not None:
            ws = self.truncate(ws, truncation, labels)
        return self.synthesis(ws, resolution=resolution, alpha=alpha, noise_mode=noise_mode, noise=noise)


def mix_styles(ws: tf.Tensor, other: tf.Tensor, crossover: Any) -> tf.Tensor:
    """Style mixing (Sec. 3.1): layers before `crossover` from `ws`, the others from `other`; both [N, L, W].

    crossover: int, scalar or [N]; 0: all from `other`; L: all from `ws`.
    """
    layer = tf.range(tf.shape(ws)[1])[None]  # [1, L]
    crossover = tf.reshape(tf.cast(crossover, tf.int32), [-1, 1])
    return tf.where((layer < crossover)[..., None], ws, other)
