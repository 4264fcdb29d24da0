"""Converts a file to another format, whichever the two are."""

import pathlib

from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.conversion.authors_networks import PARTS, export_networks, import_pickle
from stylegan_tf.networks.conversion.genforce import export_genforce, import_genforce
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.networks.variable_shapes import count_parameters

_SUFFIXES = {"network": ".npz", "authors": "-authors.npz", "genforce": ".safetensors"}
_TORCH = (".safetensors", ".pth", ".pt")


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
        raise UserError(f"{origin} is no pickle of the authors; `to=authors` writes a network file under their names.")
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already: choose another `dest`, or add `overwrite`.")
    read = import_genforce if origin.suffix in _TORCH else import_pickle
    write = {"network": read, "authors": export_networks, "genforce": export_genforce}[kind]
    networks = write(origin, path)
    lines = [f"{path}: written and compared with {origin}", *_described(networks)]
    if kind == "network" and "licence" in networks.metadata:
        lines.append(f"Licence: {networks.metadata['licence']}.")
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
