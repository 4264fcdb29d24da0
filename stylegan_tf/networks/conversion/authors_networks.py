"""Files of the authors' networks -> network files, and back to arrays under the authors' names; `convert` for any two.

Both directions read the written file back and compare every array before it gets its name.
"""

import json
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from stylegan_tf.config import DiscriminatorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.arrays import read_described, write_plain_arrays
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import short
from stylegan_tf.networks.conversion.genforce import export_genforce, import_genforce
from stylegan_tf.networks.conversion.layouts import (
    check_equal,
    default_fused_from,
    from_authors,
    is_progan,
    read_architecture,
    read_growth,
    to_authors,
    write_architecture,
)
from stylegan_tf.networks.conversion.network_pickle import PickledNetwork, read_network_pickle
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, assign_arrays, load_networks, save_networks
from stylegan_tf.networks.variable_shapes import NetworkConfig, count_parameters

LICENCE = "weights converted from the authors' releases stay under their licence, CC BY-NC 4.0 (no commercial use)"
PARTS = {"generator": "G", "discriminator": "D", "generator_ema": "Gs"}  # Ours -> the authors' names.
_SUFFIXES = {"network": ".npz", "authors": "-authors.npz", "genforce": ".safetensors"}
_TORCH = (".safetensors", ".pth", ".pt")
_SUBNETWORKS = {"mapping": "G_mapping", "synthesis": "G_synthesis"}


class ConvertedNetwork(NamedTuple):
    """A network of a pickle, by our names."""

    config: NetworkConfig
    fused_from: int
    variables: Mapping[str, np.ndarray]  # Under the authors' names, as they are in the file.
    arrays: Mapping[str, np.ndarray]  # Under our names, in our layout.
    growth: Growth


def convert(source: str, dest: str, kind: str = "network", overwrite: bool = False) -> list[str]:
    """Writes `source` as a network file ("network"), under the authors' names ("authors") or GenForce's ("genforce").

    Args:
      source: the authors' .pkl, GenForce's .safetensors or .pth; for other kinds than "network" a network or run.
      dest: the file to write, or the folder for it.
    Returns:
      lines about what was written.
    """
    origin, path = pathlib.Path(source), _destination(source, dest, kind)
    if kind == "network" and (origin.is_dir() or origin.suffix == ".npz"):
        raise UserError(f"{origin} is not a pickle of the authors; `to=authors` writes a file under their names.")
    if path.exists() and not overwrite:
        raise UserError(f"{path} already exists: choose another `dest`, or add `overwrite`.")
    read = import_genforce if origin.suffix in _TORCH else import_pickle
    write = {"network": read, "authors": export_networks, "genforce": export_genforce}[kind]
    networks = write(origin, path)
    lines = [f"{path}: written and compared with {origin}", *_described(networks)]
    lines.append(f"Licence: {short(networks.metadata.get('licence', 'not recorded'))}.")
    left_out = sorted(networks.metadata.keys() - {"resolution", "alpha"})  # These are `lod`.
    if kind == "authors" and left_out:
        lines.append(f"Not in the file, as the authors' have no place for it: {', '.join(left_out)}.")
    return lines


def _described(networks: Networks) -> list[str]:
    """A line for each network."""
    lines = []
    for part, name in PARTS.items():
        network = getattr(networks, part)
        if network is not None:
            config, growth = network.config, network.growth
            size = f"{config.resolution}x{config.resolution}x{config.num_channels}"
            labels = f", {config.label_size} labels" if config.label_size else ""
            grown = f", grown to {growth.resolution}x{growth.resolution}" if growth != Growth(config.resolution) else ""
            grown += f" at alpha {growth.alpha:g}" if growth.alpha < 1 else ""
            lines.append(f"  {part} ({name}): {size}{grown}{labels}, {count_parameters(config):,} parameters")
    return lines


def _destination(source: str, dest: str, kind: str) -> pathlib.Path:
    """The file to write: `dest`, or in the folder `dest` a file named after the source."""
    path, suffix = pathlib.Path(dest), "." + _SUFFIXES[kind].rpartition(".")[2]
    if path.is_dir() or dest.endswith("/"):
        return path / (pathlib.Path(source).stem + _SUFFIXES[kind])
    if path.suffix != suffix:
        raise UserError(f"`dest` should end in {suffix} or be a folder that exists, got {dest}.")
    return path


def import_pickle(source, dest) -> Networks:
    """Writes the networks of the authors' pickle file `source` to the network file `dest`; returns them.

    Raises UserError, naming option or variable, for what is not such a file or what this version does not have.
    """
    converted = convert_networks(source)
    grown = next(converted[part] for part in ("generator_ema", "generator", "discriminator") if part in converted)
    metadata = {"converted_from": pathlib.Path(source).name, "licence": LICENCE, **grown.growth.to_metadata()}
    networks = Networks(**{part: _build(converted.get(part)) for part in PARTS}, metadata=metadata)

    with atomic_write(dest) as temporary:
        save_networks(temporary, networks, growth=grown.growth)
        for part, network in _present(load_networks(temporary)):
            written = _authors_arrays(network, converted[part].fused_from)
            check_equal(written, {name: converted[part].variables[name] for name in written}, part)
    return networks


def export_networks(source, dest) -> Networks:
    """Writes a network file (or a run folder's newest) as one `.npz` under the authors' names; returns the networks.

    Entries: `G/...`, `D/...` and `Gs/...` with every variable in the authors' layout, for their functions' defaults
    (upscaling fused from 128x128), and `config`: JSON of each network's build function and static arguments.
    """
    networks = load_networks(source)
    entries, options = {}, {}
    for part, network in _present(networks):
        function, arguments = write_architecture(network.config)
        options[PARTS[part]] = {"build_func_name": function, "static_kwargs": arguments}
        for name, value in {**_levels_of_detail(network), **_authors_arrays(network)}.items():
            entries[f"{PARTS[part]}/{name}"] = value

    with atomic_write(dest) as temporary:
        write_plain_arrays(temporary, {"config": np.array(json.dumps(options)), **entries})
        _, written = read_described(temporary, "file under the authors' names", "config")
        check_equal(written, entries, str(dest))
    return networks


def convert_networks(source) -> dict[str, ConvertedNetwork]:
    """The networks of the authors' pickle file `source`, by part of a network file ("generator", ...)."""
    networks = read_network_pickle(source)
    try:
        return {part: _convert(network) for part, network in assign_parts(networks).items()}
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def assign_parts(networks: Iterable[PickledNetwork]) -> dict[str, PickledNetwork]:
    """Which network is which: by the names G, D and Gs; otherwise by build function, a first generator being G."""
    parts, unnamed = {}, []
    by_name = {name: part for part, name in PARTS.items()}
    for network in networks:
        part = by_name.get(network.name)
        if part is None:
            unnamed.append(network)
        elif part in parts:
            raise UserError(f"it holds two networks of the name {network.name!r}.")
        else:
            parts[part] = network
    for network in unnamed:
        fitting = ("discriminator",) if network.build_function.startswith("D") else ("generator", "generator_ema")
        free = [part for part in fitting if part not in parts]
        if not free:
            raise UserError(f"network {network.name!r} is one more than the G, D and Gs that a file may hold.")
        parts[free[0]] = network
    for part, network in parts.items():
        if network.build_function.startswith("D") != (part == "discriminator"):
            raise UserError(f"network {network.name!r} is built by {network.build_function!r}, which does not fit.")
    return parts


def _convert(network: PickledNetwork) -> ConvertedNetwork:
    function, variables = network.build_function, network.all_variables()
    for name, value in variables.items():
        if not np.isfinite(value).all():
            raise UserError(f"network {network.name!r}: the variable {name!r} holds NaN or infinity.")
    try:
        options = _options(network)
        if function.endswith("_paper") and not options.get("fused_scale", True):
            variables = {_with_suffix(name, function): value for name, value in variables.items()}
        config, fused_from = read_architecture(function, options, variables)
        arrays = from_authors(variables, config, fused_from)
        return ConvertedNetwork(config, fused_from, variables, arrays, read_growth(variables, config))
    except UserError as error:
        raise UserError(f"network {network.name!r}: {error}") from None


def _options(network: PickledNetwork) -> dict[str, Any]:
    """The static arguments of the network and of its subnetworks, which must agree."""
    options = dict(network.static_kwargs)
    for role, part in network.components.items():
        if part.build_function != _SUBNETWORKS.get(role):
            raise UserError(f"component {role!r} is built by {part.build_function!r}, which is unknown there.")
        for name, value in part.static_kwargs.items():
            if options.setdefault(name, value) != value:
                raise UserError(f"option {name} is {options[name]!r}, but {value!r} in its component {role!r}.")
    return options


def _with_suffix(name: str, function: str) -> str:
    """Without fused layers ProGAN's resampling layers lack the suffix in their name: 8x8/Conv0 for 8x8/Conv0_up."""
    layer, suffix = ("Conv0", "_up") if function == "G_paper" else ("Conv1", "_down")
    return re.sub(rf"^(\d+x\d+/{layer})/", rf"\g<1>{suffix}/", name)


def _levels_of_detail(network) -> dict[str, np.ndarray]:
    """The authors' variables of that name."""
    with_subnetworks = not (isinstance(network.config, DiscriminatorConfig) or is_progan(network.config))
    lod = np.float32(network.growth.lod(network.config.resolution))
    return {name: lod for name in (["lod", "G_synthesis/lod"] if with_subnetworks else ["lod"])}


def _build(converted):
    if converted is None:
        return None
    kind = Discriminator if isinstance(converted.config, DiscriminatorConfig) else Generator
    network = kind(converted.config, growth=converted.growth)
    assign_arrays(network, converted.arrays, source="the converted network")
    return network


def _present(networks: Networks):
    return [(part, getattr(networks, part)) for part in PARTS if getattr(networks, part) is not None]


def _authors_arrays(network, fused_from=None) -> dict[str, np.ndarray]:
    arrays = {name: variable.numpy() for name, variable in named_variables(network).items()}
    return to_authors(arrays, network.config, fused_from or default_fused_from(network.config))
