"""Names and shapes of all variables of a network, from its options alone: nothing is built or allocated.

The converter compares a file with them before it makes a network of it, and parameters are counted with them.
The names are those of `networks.variables.named_variables`.
"""

import math
from typing import Union

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig

NetworkConfig = Union[GeneratorConfig, DiscriminatorConfig]
Shapes = dict[str, tuple[int, ...]]
_NOT_TRAINABLE = ("truncation/w_avg", "noise/map")


def variable_shapes(config: NetworkConfig) -> Shapes:
    """Shape of every variable, by name, of the generator or discriminator that `config` describes."""
    return _generator_shapes(config) if isinstance(config, GeneratorConfig) else _discriminator_shapes(config)


def count_parameters(config: NetworkConfig) -> int:
    """Number of trainable values: without the running average of w and the fixed noise maps."""
    shapes = variable_shapes(config)
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_NOT_TRAINABLE))


def _dense(path: str, inputs: int, outputs: int) -> Shapes:
    return {f"{path}/weight": (inputs, outputs), f"{path}/bias": (outputs,)}


def _conv(path: str, size: int, inputs: int, outputs: int) -> Shapes:
    return {f"{path}/weight": (size, size, inputs, outputs), f"{path}/bias": (outputs,)}


def _generator_shapes(config: GeneratorConfig) -> Shapes:
    shapes = _mapping_shapes(config)
    shapes["truncation/w_avg"] = (config.w_size,)
    inputs = config.w_size
    for resolution in config.resolutions:
        level, outputs = f"synthesis/{resolution}x{resolution}", config.feature_maps(resolution)
        if resolution > 4:
            names = ("conv0_up", "conv1")
            shapes.update(_conv(f"{level}/conv0_up", 3, inputs, outputs))
        elif config.const_input:
            names = ("const", "conv")
            shapes.update({f"{level}/const/const": (1, 4, 4, outputs), f"{level}/const/bias": (outputs,)})
        else:
            names = ("dense", "conv")
            shapes.update({f"{level}/dense/weight": (inputs, 16 * outputs), f"{level}/dense/bias": (outputs,)})
        shapes.update(_conv(f"{level}/{names[1]}", 3, outputs, outputs))
        for name in names:
            shapes.update(_noise_and_style_shapes(config, f"{level}/{name}", resolution))
        shapes.update(_conv(f"{level}/to_rgb", 1, outputs, config.num_channels))
        inputs = outputs
    return shapes


def _mapping_shapes(config: GeneratorConfig) -> Shapes:
    shapes, width = {}, config.latent_size
    if config.label_size and config.embed_labels:
        shapes["mapping/label_embedding/weight"] = (config.label_size, config.latent_size)
    if config.label_size:
        width += config.latent_size if config.embed_labels else config.label_size
    for index in range(config.mapping_layers):
        outputs = config.dlatent_size if index == config.mapping_layers - 1 else config.mapping_fmaps
        shapes.update(_dense(f"mapping/dense{index}", width, outputs))
        width = outputs
    return shapes


def _noise_and_style_shapes(config: GeneratorConfig, layer: str, resolution: int) -> Shapes:
    shapes, channels = {}, config.feature_maps(resolution)
    if config.use_noise:
        shapes.update({f"{layer}/noise/strength": (channels,), f"{layer}/noise/map": (1, resolution, resolution, 1)})
    if config.use_styles:
        shapes.update(_dense(f"{layer}/style", config.w_size, 2 * channels))
    return shapes


def _discriminator_shapes(config: DiscriminatorConfig) -> Shapes:
    shapes = {}
    for resolution in config.resolutions:
        level, channels = f"{resolution}x{resolution}", config.feature_maps(resolution)
        shapes.update(_conv(f"{level}/from_rgb", 1, config.num_channels, channels))
        if resolution > 4:
            shapes.update(_conv(f"{level}/conv0", 3, channels, channels))
            shapes.update(_conv(f"{level}/conv1_down", 3, channels, config.feature_maps(resolution // 2)))
    channels, hidden = config.feature_maps(4), config.feature_maps(2)
    shapes.update(_conv("4x4/conv", 3, channels + (1 if config.mbstd_group_size else 0), channels))
    shapes.update(_dense("4x4/dense0", 16 * channels, hidden))
    shapes.update(_dense("4x4/dense1", hidden, config.label_size if config.label_size and config.use_labels else 1))
    return shapes
