"""Options of the two networks: what a network file calls its architecture."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from stylegan_tf.config.option import FROM_DATA_SET, NETWORKS, OptionError, Options, all_options, option, option_fields

_Config = TypeVar("_Config", bound="_NetworkConfig")


@dataclasses.dataclass(frozen=True)
class _NetworkConfig(Options):
    """What the generator and the discriminator have in common."""

    resolution: int = option(FROM_DATA_SET, 1024, "Full output or input size in pixels.", is_resolution=True)
    num_channels: int = option(FROM_DATA_SET, 3, "Channels of the images.", at_least=1)
    label_size: int = option(FROM_DATA_SET, 0, "Width of the label vector; 0: unconditional.", at_least=0)
    fmap_base: int = option(
        NETWORKS, 8192, "Channels at resolution r are min(2 * fmap_base / r, fmap_max).", at_least=1
    )
    fmap_max: int = option(NETWORKS, 512, "Most channels of a layer.", at_least=1)
    blur: bool = option(NETWORKS, True, "Low-pass filter [1,2,1] around resampling (Sec. 2, config B and later).")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feature_maps(self.resolution) < 1:
            raise OptionError(f"fmap_base {self.fmap_base} leaves no channels at resolution {self.resolution}.")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """All levels of progressive growing: (4, 8, ..., resolution)."""
        return tuple(2**k for k in range(2, self.resolution.bit_length()))

    def feature_maps(self, resolution: int) -> int:
        """Channels of the layers at `resolution` x `resolution`: min(2 * fmap_base / resolution, fmap_max).

        The paper's 8192 and 512 give 512 up to 32x32, then half for every doubling, down to 16 at 1024x1024.
        """
        return min(2 * self.fmap_base // resolution, self.fmap_max)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def digested(self) -> dict[str, Any]:
        """What digests of a network are made from: the same for a network of before an option as with its default."""
        return {
            field.name: getattr(self, field.name)
            for field in option_fields(type(self))
            if not field.metadata["option"].is_later or getattr(self, field.name) != field.default
        }

    @classmethod
    def from_dict(cls: type[_Config], values: Mapping[str, Any]) -> _Config:
        """The inverse of `to_dict`. Raises UserError for names that this version does not know."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise OptionError(f"unknown {cls.__name__} option(s) {', '.join(unknown)}: written by a newer version?")
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(_NetworkConfig):
    """Every generator of the paper's Tables 1, 2 and 4. The defaults are config F at 1024x1024.

    >>> from stylegan_tf import GeneratorConfig
    >>> config = GeneratorConfig(resolution=256, label_size=10)
    >>> config.resolutions, config.feature_maps(256)
    ((4, 8, 16, 32, 64, 128, 256), 64)
    """

    latent_size: int = option(NETWORKS, 512, "Width of z.", at_least=1)
    dlatent_size: int = option(NETWORKS, 512, "Width of w.", at_least=1)
    mapping_layers: int = option(
        NETWORKS, 8, "Layers of the mapping network; 0: w is the (normalised) z itself.", at_least=0
    )
    mapping_fmaps: int = option(NETWORKS, 512, "Width of its hidden layers.", at_least=1)
    mapping_lrmul: float = option(NETWORKS, 0.01, "Its learning-rate multiplier (App. C).", above=0)
    normalize_latents: bool = option(NETWORKS, True, "Pixel norm on z before the mapping network.")
    use_styles: bool = option(
        NETWORKS, True, "AdaIN (Sec. 2); off: the traditional generator, w feeds the first layer."
    )
    const_input: bool = option(NETWORKS, True, "Learned 4x4 constant (config D); off: a dense layer from w.")
    use_noise: bool = option(NETWORKS, True, "Per-pixel noise inputs (config E).")
    use_pixel_norm: bool = option(NETWORKS, False, "ProGAN's pixel norm (configs A and B).")
    use_instance_norm: bool = option(NETWORKS, True, "The normalisation of AdaIN (configs C to F).")
    embed_labels: bool = option(
        NETWORKS, True, "Labels enter the generator through a learned matrix; off: beside z, as they are (config A)."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.use_styles and self.const_input:
            raise OptionError("const_input needs use_styles: without styles nothing would depend on w.")

    @property
    def mapping_widths(self) -> tuple[int, ...]:
        """Of the mapping network: of its input, and of what each of its layers gives."""
        inputs = self.latent_size
        if self.label_size:  # They are concatenated to z.
            inputs += self.latent_size if self.embed_labels else self.label_size
        hidden = (self.mapping_fmaps,) * (self.mapping_layers - 1)
        return (inputs, *hidden, self.dlatent_size) if self.mapping_layers else (inputs,)

    @property
    def w_size(self) -> int:
        """Width of what the mapping network hands over: `dlatent_size`, or its input's width without layers."""
        return self.mapping_widths[-1]


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(_NetworkConfig):
    """The discriminator of all configurations (ProGAN's, with the blur of config B and later).

    >>> from stylegan_tf import DiscriminatorConfig
    >>> DiscriminatorConfig(resolution=64, fmap_max=128).feature_maps(4)
    128
    """

    mbstd_group_size: int = option(
        NETWORKS, 4, "Images per group of the discriminator's minibatch standard deviation; 0: off.", at_least=0
    )
    use_labels: bool = option(
        NETWORKS, True, "The discriminator looks at the labels: score = sum(outputs * label); off as in config A."
    )


def architecture_options() -> set[str]:
    """Names of the options that describe the networks and have a flag."""
    fields = all_options(GeneratorConfig) + all_options(DiscriminatorConfig)
    return {field.name for _, field in fields} | {"resolution"}
