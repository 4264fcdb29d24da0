"""The synthesis network g: W -> images (Sec. 2, Fig. 1b), with the cross-fade of progressive growing."""

from collections.abc import Mapping, Sequence
from typing import Optional

import tensorflow as tf

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.layers.equalized import EqualizedConv2D
from stylegan_tf.layers.inputs import DenseInput, LearnedConstant
from stylegan_tf.layers.synthesis_layer import SynthesisLayer
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import PACKAGE
from stylegan_tf.networks.precision import check_policies, convolution_clamp, level_policies
from stylegan_tf.networks.variables import track_parts
from stylegan_tf.ops.resampling import upscale_2d

NOISE_MODES = ("random", "const", "none")


@tf.keras.utils.register_keras_serializable(package=PACKAGE)
class SynthesisNetwork(tf.keras.layers.Layer):
    """Two synthesis layers per level, and at each level a 1x1 convolution to RGB."""

    def __init__(
        self,
        config: GeneratorConfig,
        policies: Optional[Mapping[int, str]] = None,
        growth: Optional[Growth] = None,
        **kwargs,
    ):
        """
        Args:
          policies: the dtype policy of every level, see `level_policies`; None: float32.
          growth: how far the network has grown: what calls compute that do not say it themselves; None: fully.
        """
        kwargs.setdefault("name", "synthesis")
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.config = config
        self.growth = growth or Growth(config.resolution)
        policies = policies or level_policies("float32", config.resolutions)
        self._policies = tuple(policies[r] for r in config.resolutions)
        self.blocks = {f"{r}x{r}": self._block(r, policies[r]) for r in config.resolutions}
        self.to_rgb = {f"{r}x{r}": self._to_rgb(policies[r]) for r in config.resolutions}
        track_parts(self)
        self.build((None, None, config.w_size))

    def _block(self, resolution, dtype) -> list[SynthesisLayer]:
        config = self.config
        filters = config.feature_maps(resolution)
        convolution = {"dtype": dtype, "clamp": convolution_clamp(dtype)}
        if resolution == 4:
            start = LearnedConstant if config.const_input else DenseInput
            sources = {
                "const" if config.const_input else "dense": start(filters, dtype=dtype),
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

    def _to_rgb(self, dtype) -> EqualizedConv2D:
        options = {"dtype": dtype, "clamp": convolution_clamp(dtype)}
        return EqualizedConv2D(self.config.num_channels, kernel_size=1, gain=1.0, name="to_rgb", **options)

    @property
    def parts(self):
        parts = {}
        for level, block in self.blocks.items():
            parts.update({f"{level}/{layer.name}": layer for layer in block})
            parts[f"{level}/to_rgb"] = self.to_rgb[level]
        return parts

    def build(self, input_shape):
        shape = (None, input_shape[-1])
        for resolution in self.config.resolutions:
            level = f"{resolution}x{resolution}"
            for layer in self.blocks[level]:
                layer.build_for(shape, resolution, w_size=input_shape[-1])
                shape = (None, resolution, resolution, layer.source.filters)
            self.to_rgb[level].build(shape)
        super().build(input_shape)

    def call(self, ws, resolution=None, alpha=None, noise_mode="random", noise=None):
        """Images from per-layer styles.

        Args:
          ws: [N, L, W], one w per layer; L may be less than `num_layers` if `resolution` needs fewer.
            The traditional generator reads ws[:, 0] only.
          resolution: current size of progressive growing (a Python int); None: that of `growth`.
          alpha: weight of the current level in the cross-fade with the one below; 1 = fully grown: given as a
            Python number, the level below takes no part. None: that of `growth`, or 1 at another resolution.
          noise_mode: "random": fresh N(0, 1) noise per image; "const": the network's fixed maps; "none": no noise.
          noise: one tensor [N or 1, r, r, 1] per layer, in place of what `noise_mode` says.
        Returns:
          float32 [N, resolution, resolution, num_channels], about [-1, 1].
        """
        if noise_mode not in NOISE_MODES:
            raise ValueError(f"noise_mode must be one of {', '.join(NOISE_MODES)}, got {noise_mode!r}.")
        growth = self.growth.asked(resolution, alpha)
        resolution, alpha = growth.resolution, growth.alpha
        use_noise = noise is not None or noise_mode != "none"
        if noise is None and noise_mode == "random":
            noise = self.draw_noise(tf.shape(ws)[0], resolution)
        features = self.features(ws, resolution, noise, use_noise)
        images = tf.cast(self.to_rgb[f"{resolution}x{resolution}"](features[-1]), tf.float32)
        if resolution == 4 or (isinstance(alpha, (int, float)) and alpha == 1):
            return images
        half = resolution // 2
        old = upscale_2d(tf.cast(self.to_rgb[f"{half}x{half}"](features[-3]), tf.float32))
        return old + (images - old) * tf.cast(alpha, tf.float32)

    def features(self, ws, resolution, noise=None, use_noise=True) -> list[tf.Tensor]:
        """What every layer up to a resolution gives out, [N, r, r, C]; the arguments are those of `call`."""
        x, features = ws[:, 0], []
        for index, layer in enumerate(self._layers_up_to(resolution)):
            w = ws[:, index] if self.config.use_styles else None
            x = layer(x, w=w, noise=noise[index] if noise else None, use_noise=use_noise)
            features.append(x)
        return features

    def _layers_up_to(self, resolution):
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
        layers = self._layers_up_to(resolution) if self.config.use_noise else []
        return [tf.convert_to_tensor(layer.noise.map) for layer in layers]

    def draw_noise(self, batch_size, resolution: int, seed: Optional[tf.Tensor] = None) -> Sequence[tf.Tensor]:
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

        def draw(seed):
            return [noise[0] for noise in self.draw_noise(1, resolution, seed)]

        return tf.map_fn(draw, seeds, fn_output_signature=specs) if specs else []

    def get_config(self):
        growth = self.growth.to_metadata()
        return {"name": self.name, "config": self.config.to_dict(), "policies": list(self._policies), "growth": growth}

    @classmethod
    def from_config(cls, config):
        options = GeneratorConfig.from_dict(config["config"])
        growth = Growth.from_metadata(config["growth"], options.resolution)
        check_policies(config["policies"])
        return cls(options, dict(zip(options.resolutions, config["policies"])), growth, name=config["name"])
