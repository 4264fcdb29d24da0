"""The authors' variable names and layouts <-> ours.

The values are the same raw weights. The differences:
- the names (`G_synthesis/8x8/Conv0_up/StyleMod/weight` <-> `synthesis/8x8/conv0_up/style/weight`),
- the order of image axes ([1, C, H, W] <-> [1, H, W, C]) of the constant and of the noise maps,
- the kernel of an upscaling convolution that the authors ran in its fused form: stored mirrored in both spatial axes.

Files of the authors become networks in `authors_networks`, their options ours in `architecture_options`.
"""

import re
from collections.abc import Mapping

import numpy as np

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.errors import UserError
from stylegan_tf.networks.variable_shapes import NetworkConfig, variable_shapes

_LAYERS = {
    "const": "Const",
    "dense": "Dense",
    "dense0": "Dense0",
    "dense1": "Dense1",
    "conv": "Conv",
    "conv0": "Conv0",
    "conv0_up": "Conv0_up",
    "conv1": "Conv1",
    "conv1_down": "Conv1_down",
}
_SUFFIXES = {"noise/strength": "Noise/weight", "style/weight": "StyleMod/weight", "style/bias": "StyleMod/bias"}
_NOT_WEIGHTS = {"lod", "G_synthesis/lod"}  # The level of growth.
_IMAGE_LIKE = ("const/const", "noise/map")  # [1, C, H, W] there, [1, H, W, C] here.


def is_progan(config: NetworkConfig) -> bool:
    """Whether this is config A (Table 1), which the authors store without subnetworks and with all upscaling fused."""
    if not isinstance(config, GeneratorConfig):
        return not (config.blur or config.use_labels)
    later_additions = (config.use_styles, config.const_input, config.use_noise, config.use_instance_norm)
    return not (config.blur or config.mapping_layers or config.embed_labels or any(later_additions))


def authors_names(config: NetworkConfig) -> dict[str, str]:
    """{our name: the authors' full name within the network} of all variables of G or D."""
    return {ours: _authors_name(ours, config) for ours in variable_shapes(config)}


def from_authors(variables: Mapping[str, np.ndarray], config: NetworkConfig, fused_from: int) -> dict[str, np.ndarray]:
    """The authors' variables of one network under our names and in our layout.

    Args:
      variables: all variables of G or D by full name.
      config: the architecture they belong to.
      fused_from: output resolution from which the authors' upscaling convolutions are fused (see the module's text).
    Raises:
      UserError naming a variable that is unknown, missing, or of another shape.
    """
    names = authors_names(config)
    unknown = sorted(set(variables) - set(names.values()) - _NOT_WEIGHTS)
    if unknown:
        raise UserError(f"variable {unknown[0]!r} is not part of the architecture that the file's options describe.")
    arrays = {}
    for ours, shape in variable_shapes(config).items():
        name = names[ours]
        if name not in variables and ours == "truncation/w_avg" and is_progan(config):
            continue  # ProGAN has no average of w, and nothing reads it.
        if name not in variables:
            raise UserError(f"variable {name!r} is missing, which the architecture of the file's options has.")
        expected = _authors_shape(ours, shape)
        if variables[name].shape != expected:
            raise UserError(
                f"variable {name!r} has shape {variables[name].shape}; by the file's options it should be {expected}."
            )
        arrays[ours] = _to_our_layout(np.asarray(variables[name], np.float32), ours, fused_from)
    if isinstance(config, GeneratorConfig):
        arrays.setdefault("truncation/w_avg", np.zeros(config.w_size, np.float32))
    return arrays


def to_authors(arrays: Mapping[str, np.ndarray], config: NetworkConfig, fused_from: int) -> dict[str, np.ndarray]:
    """The inverse of `from_authors`: arrays under the authors' names and in their layout."""
    names, result = authors_names(config), {}
    for ours, array in arrays.items():
        if not (ours == "truncation/w_avg" and is_progan(config)):
            result[names[ours]] = _to_authors_layout(array, ours, fused_from)
    return result


def _to_our_layout(array: np.ndarray, ours: str, fused_from: int) -> np.ndarray:
    return array.transpose(0, 2, 3, 1) if ours.endswith(_IMAGE_LIKE) else _mirror_if_fused(array, ours, fused_from)


def _to_authors_layout(array: np.ndarray, ours: str, fused_from: int) -> np.ndarray:
    return array.transpose(0, 3, 1, 2) if ours.endswith(_IMAGE_LIKE) else _mirror_if_fused(array, ours, fused_from)


def _authors_shape(ours: str, shape: tuple) -> tuple:
    return (shape[0], shape[3], shape[1], shape[2]) if ours.endswith(_IMAGE_LIKE) else shape


def _mirror_if_fused(array: np.ndarray, ours: str, fused_from: int) -> np.ndarray:
    match = re.search(r"(\d+)x\d+/conv0_up/weight$", ours)
    return array[::-1, ::-1] if match and int(match[1]) >= fused_from else array


def _authors_name(ours: str, config: NetworkConfig) -> str:
    match = re.fullmatch(r"mapping/(dense\d+|label_embedding)/(\w+)", ours)
    if match:
        layer = "LabelConcat" if match[1] == "label_embedding" else match[1].capitalize()
        return f"G_mapping/{layer}/{match[2]}"
    if ours == "truncation/w_avg":
        return "dlatent_avg"
    prefix = "G_synthesis/" if isinstance(config, GeneratorConfig) and not is_progan(config) else ""
    _, size, layer, rest = re.fullmatch(r"(synthesis/)?(\d+)x\2/(\w+?)/(.+)", ours).groups()
    if layer in ("to_rgb", "from_rgb"):
        lod = (config.resolution // int(size)).bit_length() - 1
        return f"{prefix}{'To' if layer == 'to_rgb' else 'From'}RGB_lod{lod}/{rest}"
    if rest == "noise/map":
        index = 2 * (int(size).bit_length() - 3) + (layer in ("conv", "conv1"))
        return f"{prefix}noise{index}"
    return f"{prefix}{size}x{size}/{_LAYERS[layer]}/{_SUFFIXES.get(rest, rest)}"
