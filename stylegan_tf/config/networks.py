"""Options of the two networks, which a network file records as its architecture."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from stylegan_tf.config.option import FROM_DATA_SET, NETWORKS, OptionError, Options, all_options, option

_Config = TypeVar("_Config", bound="_NetworkConfig")


@dataclasses.dataclass(frozen=True)
class _NetworkConfig(Options, group=NETWORKS):
    """Options that the generator and the discriminator share."""

    resolution: int = option(
        1024, "Full resolution of the output or input in pixels.", is_resolution=True, group=FROM_DATA_SET
    )
    num_channels: int = option(3, "Number of channels of the images.", at_least=1, group=FROM_DATA_SET)
    label_size: int = option(0, "Length of the label vector; 0: unconditional.", at_least=0, group=FROM_DATA_SET)
    fmap_base: int = option(8192, "Channels at resolution r are min(2 * fmap_base / r, fmap_max).", at_least=1)
    fmap_max: int = option(512, "Maximum number of channels of a layer.", at_least=1)
    blur: bool = option(
        True, "Apply the low-pass filter [1,2,1] around up- and downsampling (Sec. 2, config B and later)."
    )

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

    @classmethod
    def from_dict(cls: type[_Config], values: Mapping[str, Any]) -> _Config:
        """The inverse of `to_dict`. Raises UserError for names that this version does not know."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise OptionError(f"unknown {cls.__name__} option(s) {', '.join(unknown)}: written by a newer version?")
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(_NetworkConfig, group=NETWORKS):
    """Architecture of the generator; covers those of the paper's Tables 1, 2 and 4. Defaults: config F at 1024x1024.

    >>> from stylegan_tf import GeneratorConfig
    >>> config = GeneratorConfig(resolution=256, label_size=10)
    >>> config.resolutions, config.feature_maps(256)
    ((4, 8, 16, 32, 64, 128, 256), 64)
    """

    latent_size: int = option(512, "Dimension of the latent space z.", at_least=1)
    dlatent_size: int = option(512, "Dimension of the intermediate latent space w.", at_least=1)
    mapping_layers: int = option(
        8, "Number of layers of the mapping network; 0: w is z itself, after normalisation if that is on.", at_least=0
    )
    mapping_fmaps: int = option(512, "Width of the mapping network's hidden layers.", at_least=1)
    mapping_lrmul: float = option(0.01, "Learning-rate multiplier of the mapping network (App. C).", above=0)
    normalize_latents: bool = option(True, "Normalise z by pixel norm before the mapping network.")
    use_styles: bool = option(
        True, "Control the layers by styles through AdaIN (Sec. 2); off: the traditional generator."
    )
    const_input: bool = option(
        True, "Start from a learned 4x4 constant (config D); off: from a dense layer applied to w."
    )
    use_noise: bool = option(True, "Add per-pixel noise inputs (config E).")
    use_pixel_norm: bool = option(False, "Use ProGAN's pixel norm (configs A and B).")
    use_instance_norm: bool = option(True, "Use instance norm, the normalisation of AdaIN (configs C to F).")
    embed_labels: bool = option(
        True, "Pass labels through a learned embedding; off: concatenate them to z unchanged (config A)."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.use_styles and self.const_input:
            raise OptionError("const_input needs `use_styles`: without styles nothing would depend on w.")

    @property
    def mapping_widths(self) -> tuple[int, ...]:
        """Widths of the mapping network's input and of each layer's output."""
        inputs = self.latent_size
        if self.label_size:  # They are concatenated to z.
            inputs += self.latent_size if self.embed_labels else self.label_size
        hidden = (self.mapping_fmaps,) * (self.mapping_layers - 1)
        return (inputs, *hidden, self.dlatent_size) if self.mapping_layers else (inputs,)

    @property
    def w_size(self) -> int:
        """Width of the mapping network's output: `dlatent_size`, or the width of its input if it has no layers."""
        return self.mapping_widths[-1]


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(_NetworkConfig, group=NETWORKS):
    """Architecture of the discriminator in all configurations (ProGAN's, with blur in config B and later).

    >>> from stylegan_tf import DiscriminatorConfig
    >>> DiscriminatorConfig(resolution=64, fmap_max=128).feature_maps(4)
    128
    """

    mbstd_group_size: int = option(
        4, "Number of images per group in the discriminator's minibatch standard deviation; 0: off.", at_least=0
    )
    use_labels: bool = option(
        True, "Make the discriminator conditional: score = sum(outputs * label); off: it ignores labels (config A)."
    )


def architecture_options() -> set[str]:
    """Names of the options that describe the networks and have a flag."""
    fields = all_options(GeneratorConfig) + all_options(DiscriminatorConfig)
    return {field.name for _, field in fields} | {"resolution"}
