"""Validated settings as frozen dataclasses. No TensorFlow here, so that `--help` is instant."""

import dataclasses
from typing import Any, Mapping

from stylegan_tf.errors import UserError


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def feature_maps(resolution: int, fmap_base: int, fmap_max: int) -> int:
    """Channels of the layers at `resolution` x `resolution`: min(2 * fmap_base / resolution, fmap_max).

    With the paper's fmap_base = 8192 and fmap_max = 512: 512 up to 32x32, then halved per doubling to 16 at 1024x1024.
    """
    return min(2 * fmap_base // resolution, fmap_max)


@dataclasses.dataclass(frozen=True)
class _NetworkConfig:
    """What the generator and the discriminator have in common."""

    resolution: int = 1024  # Full output / input size in pixels, a power of two >= 4.
    num_channels: int = 3
    label_size: int = 0  # Width of the one-hot (or real-valued) label vector; 0 = unconditional.
    fmap_base: int = 8192
    fmap_max: int = 512
    blur: bool = True  # [1,2,1] low-pass filter around resampling (Sec. 2, config B and later).

    def __post_init__(self):
        if not _is_power_of_two(self.resolution) or self.resolution < 4:
            raise UserError(f"resolution must be a power of two of at least 4, got {self.resolution}.")
        for name in ("num_channels", "fmap_max"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.label_size < 0:
            raise UserError(f"label_size must be at least 0, got {self.label_size}.")
        if self.feature_maps(self.resolution) < 1:
            raise UserError(f"fmap_base {self.fmap_base} leaves no channels at resolution {self.resolution}.")

    @property
    def resolutions(self) -> tuple:
        """All levels of progressive growing: (4, 8, ..., resolution)."""
        return tuple(2**k for k in range(2, self.resolution.bit_length()))

    def feature_maps(self, resolution: int) -> int:
        return feature_maps(resolution, self.fmap_base, self.fmap_max)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]):
        """The inverse of `to_dict`. Raises UserError for names that this version does not know."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UserError(f"unknown {cls.__name__} option(s) {', '.join(unknown)}: written by a newer version?")
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(_NetworkConfig):
    """Every generator of the paper's Tables 1, 2 and 4. The defaults are config F at 1024x1024."""

    latent_size: int = 512  # Width of z.
    dlatent_size: int = 512  # Width of w.
    mapping_layers: int = 8  # 0: w is the (normalised) z itself.
    mapping_fmaps: int = 512  # Width of the mapping network's hidden layers.
    mapping_lrmul: float = 0.01  # Learning-rate multiplier of the mapping network (App. C).
    normalize_latents: bool = True  # Pixel norm on z before the mapping network.
    use_styles: bool = True  # AdaIN (Sec. 2); False: the traditional generator, w feeds the first layer.
    const_input: bool = True  # Learned 4x4 constant (config D); False: a dense layer from w.
    use_noise: bool = True  # Per-pixel noise inputs (config E).
    use_pixel_norm: bool = False  # ProGAN's normalisation (configs A, B).
    use_instance_norm: bool = True  # The normalisation of AdaIN (configs C to F).
    embed_labels: bool = True  # Labels through a learned matrix (StyleGAN); False: concatenated to z as they are (A).

    def __post_init__(self):
        super().__post_init__()
        for name in ("latent_size", "dlatent_size", "mapping_fmaps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.mapping_layers < 0:
            raise UserError(f"mapping_layers must be at least 0, got {self.mapping_layers}.")
        if not self.use_styles and self.const_input:
            raise UserError("const_input needs use_styles: without styles nothing would depend on w.")

    @property
    def num_layers(self) -> int:
        """Number of style inputs at full resolution, two per level: 18 at 1024x1024."""
        return 2 * len(self.resolutions)

    @property
    def w_size(self) -> int:
        """Width of what the mapping network hands over: `dlatent_size`, or its input's width without layers."""
        if self.mapping_layers:
            return self.dlatent_size
        if self.label_size:
            return self.latent_size + (self.latent_size if self.embed_labels else self.label_size)
        return self.latent_size


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(_NetworkConfig):
    """The discriminator of all configurations (ProGAN's, with the blur of config B and later)."""

    mbstd_group_size: int = 4  # Minibatch standard deviation: images per group; 0 = off.
    use_labels: bool = True  # Score = sum(outputs * label); False: labels are ignored (config A).
