"""The layers of a network and their sizes, from its options alone: nothing is built or allocated. No TensorFlow here.

Files are compared with them before a network is made, parameters are counted with them, and so is the work of a pass.
The names are those of `keras_model.named_variables`.
"""

import math
from typing import NamedTuple, Union

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig

NetworkConfig = Union[GeneratorConfig, DiscriminatorConfig]
Shapes = dict[str, tuple[int, ...]]
_NOT_TRAINABLE = ("truncation/w_avg", "noise/map")


class LayerShape(NamedTuple):
    """A layer with variables."""

    path: str  # E.g. "synthesis/8x8/conv0_up".
    kind: str  # "dense", "conv", "const" or "noise".
    inputs: int  # Units or channels.
    outputs: int
    level: int = 0  # The resolution of growing that it belongs to; 0: it runs at all of them.
    kernel: int = 3  # Size of a convolution.
    resamples: bool = False  # A convolution between level x level pixels and half of that.
    places: int = 1  # Pixels of the maps that a dense layer puts out.
    has_bias: bool = True

    def variables(self) -> Shapes:
        bias = {f"{self.path}/bias": (self.outputs,)} if self.has_bias else {}
        if self.kind == "dense":
            return {f"{self.path}/weight": (self.inputs, self.places * self.outputs), **bias}
        if self.kind == "conv":
            return {f"{self.path}/weight": (self.kernel, self.kernel, self.inputs, self.outputs), **bias}
        if self.kind == "const":
            return {f"{self.path}/const": (1, self.level, self.level, self.outputs), **bias}
        return {f"{self.path}/strength": (self.outputs,), f"{self.path}/map": (1, self.level, self.level, 1)}

    def multiply_adds(self, fused: bool = True) -> int:
        """Products with its weights for one image; `fused`: a resampling convolution has those of the small image."""
        if self.kind == "dense":
            return self.inputs * self.places * self.outputs
        if self.kind == "conv":
            side = self.level // 2 if self.resamples and fused else self.level
            return self.kernel**2 * side**2 * self.inputs * self.outputs
        return 0

    def values(self) -> tuple[int, int]:
        """(inputs, outputs) of one image."""
        if self.kind == "dense":
            return self.inputs, self.places * self.outputs
        small, large = (self.level // 2) ** 2, self.level**2
        if not self.resamples:
            return large * self.inputs, large * self.outputs
        up = self.path.endswith("_up")
        return (small if up else large) * self.inputs, (large if up else small) * self.outputs


def layer_shapes(config: NetworkConfig) -> list[LayerShape]:
    """All layers with variables, in the order of `named_variables`; w's average is none of them."""
    if isinstance(config, GeneratorConfig):
        return [*mapping_layers(config), *_synthesis_layers(config)]
    return _discriminator_layers(config)


def variable_shapes(config: NetworkConfig) -> Shapes:
    """Shape of every variable, by name, of the generator or discriminator that `config` describes."""
    shapes = {"truncation/w_avg": (config.w_size,)} if isinstance(config, GeneratorConfig) else {}
    for layer in layer_shapes(config):
        shapes.update(layer.variables())
    return shapes


def count_parameters(config: NetworkConfig) -> int:
    """Number of trainable values: without the running average of w and the fixed noise maps."""
    shapes = variable_shapes(config)
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_NOT_TRAINABLE))


def mapping_layers(config: GeneratorConfig) -> list[LayerShape]:
    """Layers of the mapping network, from z to w."""
    layers = []
    if config.label_size and config.embed_labels:
        embedding = LayerShape("mapping/label_embedding", "dense", config.label_size, config.latent_size)
        layers.append(embedding._replace(has_bias=False))
    widths = config.mapping_widths
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers.append(LayerShape(f"mapping/dense{index}", "dense", inputs, outputs))
    return layers


def _synthesis_layers(config: GeneratorConfig) -> list[LayerShape]:
    layers, inputs = [], config.w_size
    for r in config.resolutions:
        path, outputs = f"synthesis/{r}x{r}", config.feature_maps(r)
        second = f"{path}/conv" if r == 4 else f"{path}/conv1"
        if r > 4:
            first = LayerShape(f"{path}/conv0_up", "conv", inputs, outputs, r, resamples=True)
        elif config.const_input:
            first = LayerShape(f"{path}/const", "const", 0, outputs, r)
        else:
            first = LayerShape(f"{path}/dense", "dense", inputs, outputs, r, places=r * r)
        for source in (first, LayerShape(second, "conv", outputs, outputs, r)):
            layers += [source, *_noise_and_style(config, source)]
        layers.append(LayerShape(f"{path}/to_rgb", "conv", outputs, config.num_channels, r, kernel=1))
        inputs = outputs
    return layers


def _noise_and_style(config: GeneratorConfig, source: LayerShape) -> list[LayerShape]:
    layers, channels = [], source.outputs
    if config.use_noise:
        layers.append(LayerShape(f"{source.path}/noise", "noise", 0, channels, source.level))
    if config.use_styles:
        layers.append(LayerShape(f"{source.path}/style", "dense", config.w_size, 2 * channels, source.level))
    return layers


def _discriminator_layers(config: DiscriminatorConfig) -> list[LayerShape]:
    layers = []
    for r in config.resolutions:
        path, channels = f"{r}x{r}", config.feature_maps(r)
        layers.append(LayerShape(f"{path}/from_rgb", "conv", config.num_channels, channels, r, kernel=1))
        if r > 4:
            layers.append(LayerShape(f"{path}/conv0", "conv", channels, channels, r))
            layers.append(
                LayerShape(f"{path}/conv1_down", "conv", channels, config.feature_maps(r // 2), r, resamples=True)
            )
    channels, hidden = config.feature_maps(4), config.feature_maps(2)
    scores = config.label_size if config.label_size and config.use_labels else 1
    layers.append(LayerShape("4x4/conv", "conv", channels + (1 if config.mbstd_group_size else 0), channels, 4))
    layers.append(LayerShape("4x4/dense0", "dense", 16 * channels, hidden, 4))
    layers.append(LayerShape("4x4/dense1", "dense", hidden, scores, 4))
    return layers
