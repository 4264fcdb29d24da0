"""Generators under the names of GenForce's PyTorch code base, in `.safetensors` files, and back.

The names follow the authors' one to one; PyTorch's layouts are [out, in] for dense layers and [out, in, kh, kw] for
convolutions. Upscaling convolutions are fused from 128x128 up, as the authors', with their kernels stored accordingly.
Generators with styles and without labels are converted; discriminators are not. The metadata of a network (licence,
content_box, ...) are JSON in the string metadata of `.safetensors`.
"""

import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.config.errors import UserError, optional_module
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import parse_json, reading
from stylegan_tf.files.torch_weights import read_torch_weights
from stylegan_tf.networks.conversion.layouts import (
    FUSED_FROM,
    authors_names,
    check_equal,
    from_authors,
    read_growth,
    to_authors,
)
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, assign_arrays, checked_metadata, load_networks, save_networks

_METADATA = "stylegan_tf"  # Name of the entry in the string metadata: JSON.
_PARTS = {"Noise/weight": "apply_noise.weight", "StyleMod/weight": "style.weight", "StyleMod/bias": "style.bias"}
_LOD = "synthesis.lod"  # The level of growth.
_WITHOUT_EFFECT = {"fmap_base", "fmap_max", "mapping_fmaps", "embed_labels", "mapping_lrmul"}  # Beyond the tensors.
_MAPPING_LRMUL = 0.01  # GenForce's. Tensors of other networks are scaled to it.
_TO_TORCH, _FROM_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}, {2: (1, 0), 4: (2, 3, 1, 0)}  # By rank.


def export_genforce(source, dest) -> Networks:
    """Writes the best generator of a network file or run folder as `.safetensors`; returns it.

    Raises UserError for networks that the layout has no names for.
    """
    networks = load_networks(source)
    generator, config = networks.best_generator, networks.best_generator.config
    if config.label_size or not config.use_styles or generator.growth != Growth(config.resolution):
        raise UserError(f"{source} has labels, no styles, or still grows: `to=genforce` has no names for that.")
    tensors = {_LOD: np.zeros([], np.float32), **to_genforce(generator)}
    read = _config(tensors, len(config.resolutions))
    for name, value in config.to_dict().items():
        if name not in _WITHOUT_EFFECT and value != getattr(read, name):
            raise UserError(f"{source} has {name}={value}: `to=genforce` cannot describe that.")
    read_genforce(tensors)  # Raises UserError for numbers of channels that do not follow from the first and the last.

    with atomic_write(dest) as temporary:
        metadata = {_METADATA: json.dumps(networks.metadata)}
        _safetensors().save_file(tensors, str(temporary), metadata)
        check_equal(_read_safetensors(temporary)[0], tensors, str(dest))
    return Networks(None, None, generator, networks.metadata)


def import_genforce(source, dest) -> Networks:
    """Writes the generator of a `.safetensors` or `.pth` file (a state dict) as a network file; returns it."""
    source = pathlib.Path(source)
    is_torch = source.suffix != ".safetensors"
    tensors, metadata = (read_torch_weights(source), {}) if is_torch else _read_safetensors(source)
    metadata = checked_metadata(source, {"metadata": metadata}, {})
    try:
        generator = read_genforce(tensors)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    metadata = {**metadata, "converted_from": source.name, **generator.growth.to_metadata()}
    networks = Networks(None, None, generator, metadata)
    with atomic_write(dest) as temporary:
        save_networks(temporary, networks)
        expected = {name: value for name, value in tensors.items() if name != _LOD}  # `Growth` has that.
        check_equal(to_genforce(load_networks(temporary).best_generator), expected, str(dest))
    return networks


def to_genforce(generator: Generator) -> dict[str, np.ndarray]:
    """Its variables, but for the level of growth, under GenForce's names and in PyTorch's layout."""
    config, tensors = generator.config, {}
    arrays = {name: variable.numpy() for name, variable in named_variables(generator).items()}
    for name, value in to_authors(arrays, config, FUSED_FROM).items():
        torch_name = _genforce_name(name, config.resolution)
        if torch_name.startswith("mapping.") and config.mapping_lrmul != _MAPPING_LRMUL:
            value = value * np.float32(config.mapping_lrmul / _MAPPING_LRMUL)
        tensors[torch_name] = _transposed(torch_name, value, _TO_TORCH)
    return tensors


def read_genforce(tensors: Mapping[str, np.ndarray]) -> Generator:
    """The generator that these tensors describe. Raises UserError naming a tensor that is missing or does not fit."""
    outputs = [name for name in tensors if re.fullmatch(r"synthesis\.output\d+\.weight", name)]
    if not 1 <= len(outputs) <= 9:
        raise UserError("expected tensors synthesis.output0.weight, synthesis.output1.weight, ... of a StyleGAN.")
    config = _config(tensors, len(outputs))
    names = {_genforce_name(name, config.resolution): name for name in authors_names(config).values()}
    if missing := names.keys() - tensors.keys():
        raise UserError(f"tensor {min(missing)} is missing.")
    names[_LOD] = "G_synthesis/lod"
    variables = {}
    for name, value in tensors.items():
        if name not in names:
            raise UserError(f"tensor {name} is not part of such a generator.")
        if not np.isfinite(value).all():
            raise UserError(f"tensor {name} holds NaN or infinity.")
        variables[names[name]] = _transposed(name, value, _FROM_TORCH)
    generator = Generator(config, growth=read_growth(variables, config))
    assign_arrays(generator, from_authors(variables, config, FUSED_FROM), source="the converted network")
    return generator


def _config(tensors, levels) -> GeneratorConfig:
    """Sizes from the tensors' shapes."""

    def size(name, axis):
        if name not in tensors or tensors[name].ndim <= axis:
            raise UserError(f"tensor {name} is missing or has the wrong rank.")
        return int(tensors[name].shape[axis])

    depth = sum(re.fullmatch(r"mapping\.dense\d+\.weight", name) is not None for name in tensors)
    first, last = size("synthesis.layer1.weight", 0), size(f"synthesis.output{levels - 1}.weight", 1)
    return GeneratorConfig(
        resolution=2 << levels,
        num_channels=size("synthesis.output0.weight", 0),
        fmap_max=first,
        fmap_base=(last if last < first else first) << levels,
        latent_size=size("mapping.dense0.weight", 1),
        dlatent_size=size(f"mapping.dense{depth - 1}.weight", 0),
        mapping_layers=depth,
        mapping_fmaps=size("mapping.dense0.weight", 0),
        use_noise="synthesis.layer0.apply_noise.weight" in tensors,
    )


def _genforce_name(name: str, resolution: int) -> str:
    if name == "dlatent_avg":
        return "truncation.w_avg"
    if match := re.fullmatch(r"G_mapping/Dense(\d+)/(\w+)", name):
        return f"mapping.dense{match[1]}.{match[2]}"
    if match := re.fullmatch(r"G_synthesis/ToRGB_lod(\d+)/(\w+)", name):
        return f"synthesis.output{resolution.bit_length() - 3 - int(match[1])}.{match[2]}"
    if match := re.fullmatch(r"G_synthesis/noise(\d+)", name):
        return f"synthesis.layer{match[1]}.apply_noise.noise"
    size, layer, rest = re.fullmatch(r"G_synthesis/(\d+)x\d+/([^/]+)/(.+)", name).groups()
    index = 2 * (int(size).bit_length() - 3) + (layer in ("Conv", "Conv1"))
    return f"synthesis.layer{index}.{_PARTS.get(rest, rest)}"


def _transposed(name: str, value: np.ndarray, axes: Mapping[int, tuple]) -> np.ndarray:
    """Weights of dense layers and convolutions; the constant and the noise maps [1, C, H, W] are images in both."""
    value = np.asarray(value, np.float32)
    is_weight = name.endswith("weight") and value.ndim in axes
    return np.ascontiguousarray(value.transpose(axes[value.ndim]) if is_weight else value)


def _read_safetensors(path) -> tuple[dict[str, np.ndarray], Any]:
    """-> (tensors by name, the JSON of `_METADATA`)."""
    library = _safetensors()
    with reading(path, ".safetensors file"), library.safe_open(str(path), "numpy") as file:
        metadata = parse_json((file.metadata() or {}).get(_METADATA, "{}"))
        return {name: file.get_tensor(name) for name in list(file.keys())}, metadata


def _safetensors():
    return optional_module("safetensors.numpy", ".safetensors", "safetensors")
