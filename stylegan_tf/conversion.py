"""The authors' variable names and layouts <-> ours.

The values are the same raw weights; what differs is
- the names (`G_synthesis/8x8/Conv0_up/StyleMod/weight` <-> `synthesis/8x8/conv0_up/style/weight`),
- the order of image axes ([1, C, H, W] <-> [1, H, W, C]) of the constant and of the noise maps,
- the kernel of an upscaling convolution that the authors ran in its fused form: stored mirrored in both spatial axes.
"""

import re
from collections.abc import Mapping
from typing import Union

import numpy as np

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.errors import UserError

NetworkConfig = Union[GeneratorConfig, DiscriminatorConfig]

_LAYERS = {
    "Const": "const",
    "Dense": "dense",
    "Dense0": "dense0",
    "Dense1": "dense1",
    "Conv": "conv",
    "Conv0": "conv0",
    "Conv0_up": "conv0_up",
    "Conv1": "conv1",
    "Conv1_down": "conv1_down",
}
_STEPS = {"Noise/weight": "noise/strength", "StyleMod/weight": "style/weight", "StyleMod/bias": "style/bias"}
_IGNORED = {"lod", "G_synthesis/lod"}  # The schedule's current level of detail: not a weight.


def our_name(name: str, config: NetworkConfig) -> str:
    """Our name for one of the authors' variables of G or D (full name within the network).

    Raises UserError for a name that is not part of any known architecture.
    """
    match = re.fullmatch(r"G_mapping/(?:(Dense\d+)/(weight|bias)|LabelConcat/(weight))", name)
    if match:
        return f"mapping/{match[1].lower()}/{match[2]}" if match[1] else "mapping/label_embedding/weight"
    if name == "dlatent_avg":
        return "truncation/w_avg"
    prefix = "synthesis/" if isinstance(config, GeneratorConfig) else ""
    local = name[len("G_synthesis/") :] if name.startswith("G_synthesis/") else name
    match = re.fullmatch(r"noise(\d+)", local)
    if match:
        size = 2 ** (2 + int(match[1]) // 2)
        first, second = ("const" if config.const_input else "dense", "conv") if size == 4 else ("conv0_up", "conv1")
        return f"{prefix}{size}x{size}/{second if int(match[1]) % 2 else first}/noise/map"
    match = re.fullmatch(r"(To|From)RGB_lod(\d+)/(weight|bias)", local)
    if match:
        size = config.resolution >> int(match[2])
        return f"{prefix}{size}x{size}/{match[1].lower()}_rgb/{match[3]}"
    match = re.fullmatch(r"(\d+x\d+)/(\w+)/(.+)", local)
    if match and match[2] in _LAYERS:
        return f"{prefix}{match[1]}/{_LAYERS[match[2]]}/{_STEPS.get(match[3], match[3])}"
    raise UserError(f"variable {name!r} belongs to no architecture that this version knows.")


def from_authors(
    variables: Mapping[str, np.ndarray], config: NetworkConfig, shapes: Mapping[str, tuple[int, ...]], fused_from: int
) -> dict[str, np.ndarray]:
    """The authors' variables of one network under our names and in our layout.

    Args:
      variables: all variables of G or D by full name.
      config: the architecture they belong to.
      shapes: what our network of that architecture has, by our names.
      fused_from: output resolution from which the authors' upscaling convolutions are fused (see the module's text).
    Raises:
      UserError naming a variable that is unknown, missing, or of another shape.
    """
    arrays, source = {}, {}
    for name, value in variables.items():
        if name in _IGNORED:
            continue
        ours = our_name(name, config)
        if ours not in shapes:
            if ours == "truncation/w_avg":  # The authors' traditional generators carry one that nothing reads.
                continue
            raise UserError(f"variable {name!r} is not part of the architecture that the file's options describe.")
        arrays[ours] = _to_our_layout(np.asarray(value, np.float32), ours, fused_from)
        source[ours] = name
    if "truncation/w_avg" not in arrays and "truncation/w_avg" in shapes:
        arrays["truncation/w_avg"] = np.zeros(shapes["truncation/w_avg"], np.float32)  # ProGAN has none.
    missing = sorted(set(shapes) - set(arrays))
    if missing:
        raise UserError(f"the file has no values for {len(missing)} variable(s), first {missing[0]!r}.")
    for ours, array in arrays.items():
        if array.shape != tuple(shapes[ours]):
            raise UserError(
                f"variable {source[ours]!r} has shape {array.shape} (in our layout), the architecture that the file's "
                f"options describe needs {tuple(shapes[ours])}."
            )
    return arrays


def to_authors(arrays: Mapping[str, np.ndarray], config: NetworkConfig, fused_from: int) -> dict[str, np.ndarray]:
    """The inverse of `from_authors`: arrays under the authors' names and in their layout."""
    result = {}
    for ours, array in arrays.items():
        result[_authors_name(ours, config)] = _to_authors_layout(array, ours, fused_from)
    return result


def _to_our_layout(array: np.ndarray, ours: str, fused_from: int) -> np.ndarray:
    if ours.endswith(("const/const", "noise/map")) and array.ndim == 4:
        return array.transpose(0, 2, 3, 1)
    return _mirror_fused_kernel(array, ours, fused_from)


def _to_authors_layout(array: np.ndarray, ours: str, fused_from: int) -> np.ndarray:
    if ours.endswith(("const/const", "noise/map")):
        return array.transpose(0, 3, 1, 2)
    return _mirror_fused_kernel(array, ours, fused_from)


def _mirror_fused_kernel(array: np.ndarray, ours: str, fused_from: int) -> np.ndarray:
    match = re.search(r"(\d+)x\d+/conv0_up/weight$", ours)
    return array[::-1, ::-1] if match and int(match[1]) >= fused_from else array


def _authors_name(ours: str, config: NetworkConfig) -> str:
    """The inverse of `our_name`."""
    flat = isinstance(config, DiscriminatorConfig) or not config.blur  # D and ProGAN's G have no subnetworks.
    match = re.fullmatch(r"mapping/(dense\d+|label_embedding)/(\w+)", ours)
    if match:
        layer = "LabelConcat" if match[1] == "label_embedding" else match[1].capitalize()
        return f"G_mapping/{layer}/{match[2]}"
    if ours == "truncation/w_avg":
        return "dlatent_avg"
    prefix = "" if flat else "G_synthesis/"
    _, size, layer, rest = re.fullmatch(r"(synthesis/)?(\d+)x\2/(\w+?)/(.+)", ours).groups()
    if layer in ("to_rgb", "from_rgb"):
        lod = (config.resolution // int(size)).bit_length() - 1
        return f"{prefix}{'To' if layer == 'to_rgb' else 'From'}RGB_lod{lod}/{rest}"
    if rest == "noise/map":
        index = 2 * (int(size).bit_length() - 3) + (layer in ("conv", "conv1"))
        return f"{prefix}noise{index}"
    layers = {ours_: theirs for theirs, ours_ in _LAYERS.items()}
    steps = {ours_: theirs for theirs, ours_ in _STEPS.items()}
    return f"{prefix}{size}x{size}/{layers[layer]}/{steps.get(rest, rest)}"
