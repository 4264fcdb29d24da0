"""The authors' options, variable names and layouts <-> ours.

The values are the same raw weights. The differences:
- the names (`G_synthesis/8x8/Conv0_up/StyleMod/weight` <-> `synthesis/8x8/conv0_up/style/weight`),
- the order of image axes ([1, C, H, W] <-> [1, H, W, C]) of the constant and of the noise maps,
- the kernel of an upscaling convolution that the authors ran in its fused form: stored mirrored in both spatial axes.

Files of the authors become networks in `authors_networks`, their options ours in `read_architecture`.

The authors' functions ignore arguments that they do not have, and so do we if another of their functions has them. An
option that none of them has, or a value that this version does not implement, is an error that names it. An option
that is not recorded has the default of the authors' function; a size that is not recorded (or None) is inferred from
the shapes of the variables.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import is_finite_number, option_fields
from stylegan_tf.files.file_errors import short
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.variable_shapes import NetworkConfig, variable_shapes

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


def read_growth(variables: Mapping[str, np.ndarray], config: NetworkConfig) -> Growth:
    """From the authors' variable `lod`; a style generator passes its own to its synthesis network."""
    value = np.ravel(variables.get("lod", variables.get("G_synthesis/lod", 0.0))).tolist()
    highest = math.log2(config.resolution // 4)
    if len(value) != 1 or not 0 <= value[0] <= highest:
        raise UserError(
            f"variable 'lod' (the level of growth) is {short(value)}, expected a number from 0 to {highest:g}."
        )
    return Growth.at_lod(value[0], config.resolution)


def check_equal(written: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], part: str) -> None:
    """Raises RuntimeError if a single value differs: a bug or a failing disk, not a mistake of the user."""
    if set(written) != set(expected):
        raise RuntimeError(f"{part}: the written file holds other variables than its source.")
    for name, array in expected.items():
        if not np.array_equal(written[name], np.asarray(array, np.float32), equal_nan=True):
            raise RuntimeError(f"{part}: {name} was not written as it is in the source.")


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
    if match := re.fullmatch(r"mapping/(dense\d+|label_embedding)/(\w+)", ours):
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
    return f"{prefix}{size}x{size}/{layer.capitalize()}/{_SUFFIXES.get(rest, rest)}"


FUSED_FROM = 128  # "auto": output resolution from which the authors' upscaling convolutions are fused.
_NEVER = 2**62

_COMMON = {"resolution": int, "num_channels": int, "label_size": int, "fmap_base": int, "fmap_max": int}
_LATENTS = {"latent_size": int, "dlatent_size": int, "normalize_latents": bool}
_MAPPING = {"mapping_layers": int, "mapping_fmaps": int, "mapping_lrmul": float}
_PARTS = {"use_styles": bool, "const_input_layer": bool, "use_noise": bool}
_NORMS = {"use_pixel_norm": bool, "use_instance_norm": bool}
# Build function -> its options that our configuration has as well, and their types.
_OPTIONS = {
    "G_style": {**_COMMON, **_LATENTS, **_MAPPING, **_PARTS, **_NORMS},
    "G_paper": {**_COMMON, "latent_size": int, "normalize_latents": bool, "use_pixelnorm": bool},
    "D_basic": {**_COMMON, "mbstd_group_size": int},
    "D_paper": {**_COMMON, "mbstd_group_size": int},
}
_RENAMED = {"const_input_layer": "const_input", "use_pixelnorm": "use_pixel_norm"}
# The only value that our networks compute.
_FIXED = {
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "use_leakyrelu": True,
    "use_wscale": True,
    "fmap_decay": 1.0,
    "mbstd_num_features": 1,
    "pixelnorm_epsilon": 1e-8,
}
# Options of training or of running a network: they change no weight and no layer.
_WITHOUT_EFFECT = {
    "truncation_psi",
    "truncation_cutoff",
    "truncation_psi_val",
    "truncation_cutoff_val",
    "dlatent_avg_beta",
    "style_mixing_prob",
    "dlatent_broadcast",
    "randomize_noise",
    "structure",
    "dtype",
    "func_name",
    "is_training",
    "is_validation",
    "is_template_graph",
    "force_clean_graph",
}
_HANDLED_SEPARATELY = {"blur_filter", "fused_scale"}
_KNOWN = (
    {name for options in _OPTIONS.values() for name in options} | set(_FIXED) | _WITHOUT_EFFECT | _HANDLED_SEPARATELY
)
# What the authors' ProGAN functions build, in our options.
_PROGAN_GENERATOR = {
    "mapping_layers": 0,
    "use_styles": False,
    "const_input": False,
    "use_noise": False,
    "use_pixel_norm": True,
    "use_instance_norm": False,
    "embed_labels": False,
    "blur": False,
}
_PROGAN_DISCRIMINATOR = {"use_labels": False, "blur": False}


class Architecture(NamedTuple):
    """What an authors' function builds."""

    config: NetworkConfig
    fused_from: int  # Output resolution from which the file's upscaling convolutions are fused.


def read_architecture(function: str, options: Mapping[str, Any], variables: Mapping[str, np.ndarray]) -> Architecture:
    """The architecture that an authors' function builds with these options.

    Args:
      function: "G_style", "D_basic", "G_paper" or "D_paper".
      options: its static arguments, plain values.
      variables: all variables of the network by the authors' names.
    Raises:
      UserError naming the function or the option that this version does not have.
    """
    if function not in _OPTIONS:
        raise UserError(f"build function {function!r} is unknown; expected one of {', '.join(_OPTIONS)}.")
    _check_options(options)
    recorded = {name: kind for name, kind in _OPTIONS[function].items() if options.get(name) is not None}
    values = {_RENAMED.get(name, name): _typed(name, options[name], kind) for name, kind in recorded.items()}
    values = {**_inferred(function, variables, values.get("label_size", 0)), **values}
    if values.get("mapping_layers", 0) > len(variables):
        raise UserError(f"option mapping_layers is {values['mapping_layers']}, but there are fewer variables.")
    if values.get("mbstd_group_size") == 1:
        values["mbstd_group_size"] = 0  # A group of one has no deviation: the authors leave the layer out.
    config_class = GeneratorConfig if function.startswith("G_") else DiscriminatorConfig
    if function.endswith("_paper"):
        fixed = _PROGAN_GENERATOR if config_class is GeneratorConfig else _PROGAN_DISCRIMINATOR
        config = config_class(**{**fixed, **values})
    else:
        config = config_class(**values, blur=_blur(options.get("blur_filter", [1, 2, 1])))
    return Architecture(config, _fused_from(function, options))


def write_architecture(config: NetworkConfig) -> tuple[str, dict[str, Any]]:
    """(build function, static arguments) of the authors for one of our networks. The inverse of `read_architecture`.

    Raises UserError for an option that the authors' functions do not have.
    """
    generator = isinstance(config, GeneratorConfig)
    function = ("G_" if generator else "D_") + ("paper" if is_progan(config) else "style" if generator else "basic")
    ours = config.to_dict()
    known = {_RENAMED.get(name, name) for name in _OPTIONS[function]} | {"blur", "embed_labels", "use_labels"}
    known |= {*_PROGAN_GENERATOR, *_PROGAN_DISCRIMINATOR} if is_progan(config) else set()
    for field in option_fields(type(config)):
        if field.name not in known and ours[field.name] != field.default:
            raise UserError(f"the authors' {function} has nothing like {field.name} {ours[field.name]}.")
    options = {name: ours[_RENAMED.get(name, name)] for name in _OPTIONS[function]}
    if function in ("G_style", "D_basic"):
        options["blur_filter"] = [1, 2, 1] if config.blur else None
    if function == "G_style" and config.label_size and not config.embed_labels:
        raise UserError("the authors' G_style has no form without a label matrix (embed_labels off).")
    if function == "D_basic" and not config.use_labels:
        options["label_size"] = 0
    return function, options


def default_fused_from(config: NetworkConfig) -> int:
    """Output resolution from which the function of `write_architecture` fuses its upscaling convolutions."""
    return 8 if is_progan(config) else FUSED_FROM


def _check_options(options: Mapping[str, Any]) -> None:
    unknown = sorted(set(options) - _KNOWN)
    if unknown:
        raise UserError(f"option {unknown[0]!r} is unknown to this version.")
    for name, value in _FIXED.items():
        if name in options and options[name] != value:
            raise UserError(f"option {name} is {options[name]!r}; only {value!r} is possible here.")


def _typed(name: str, value: Any, kind: type) -> Any:
    number = is_finite_number(value)
    whole = number and value == int(value)
    valid = {int: whole, bool: isinstance(value, bool) or (whole and value in (0, 1)), float: number and value > 0}
    if not valid[kind]:
        kinds = {int: "a whole number", bool: "True or False", float: "a number above 0"}
        raise UserError(f"option {name} is {value!r}, expected {kinds[kind]}.")
    return kind(value)


def _blur(blur_filter: Any) -> bool:
    if blur_filter not in (None, [1, 2, 1]):
        raise UserError(f"option blur_filter is {blur_filter!r}; only [1, 2, 1] and None are possible here.")
    return blur_filter is not None


def _fused_from(function: str, options: Mapping[str, Any]) -> int:
    fused = options.get("fused_scale", True if function.endswith("_paper") else "auto")
    if fused == "auto":
        return FUSED_FROM
    return 8 if _typed("fused_scale", fused, bool) else _NEVER


def _inferred(function: str, variables: Mapping[str, np.ndarray], label_size: int) -> dict[str, int]:
    """Sizes from the shapes of the variables, for options that are not recorded, or None."""
    shapes = {name.rpartition("G_synthesis/")[2]: value.shape for name, value in variables.items()}

    def size(name, axis, rank):
        """A dimension of a variable; 0, which no option accepts, if it is missing or has another rank."""
        return shapes[name][axis] if len(shapes.get(name, ())) == rank else 0

    rgb, channel_axis = ("ToRGB", 3) if function.startswith("G_") else ("FromRGB", 2)
    lods = sum(re.fullmatch(rgb + r"_lod\d+/weight", name) is not None for name in shapes)
    found = {"resolution": 2 << min(lods, 30), "num_channels": size(f"{rgb}_lod0/weight", channel_axis, 4)}
    if function == "G_style":
        found["label_size"] = size("G_mapping/LabelConcat/weight", 0, 2)
    if function == "G_paper":
        found["latent_size"] = size("4x4/Dense/weight", 0, 2) - label_size
    return found
