"""Network files: one `.npz` with the architecture as JSON and the weights as named float32 arrays.

A file is data, not code: it is read with `allow_pickle=False` and works on every supported TensorFlow and Keras.
Entries: `architecture` (JSON), and `generator/...`, `discriminator/...`, `generator_ema/...` by the names of
`named_variables`. A file may hold any subset of the three networks. The arrays of a small one are float16, each of
which is a float32 exactly.
"""

import fnmatch
import json
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.data import MAX_RATIO
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import is_finite_number
from stylegan_tf.config.training import FLAG_FILE, NETWORK_FILE
from stylegan_tf.files.addresses import scheme_of
from stylegan_tf.files.arrays import check_finite, first_non_finite, read_described, write_arrays
from stylegan_tf.files.file_errors import foreign_kind, short
from stylegan_tf.files.storage import ensure_local
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.variable_shapes import variable_shapes

FORMAT_VERSION = 1
_ARCHITECTURE = "architecture"
_CONFIGS: dict[str, type[Union[GeneratorConfig, DiscriminatorConfig]]] = {
    "generator": GeneratorConfig,
    "discriminator": DiscriminatorConfig,
    "generator_ema": GeneratorConfig,
}
_FILE_NAME = "network-{kimg:06d}.npz"
_DTYPES = (np.float32, np.float16)
BEST_NAME = "network-best.npz"  # That of the lowest value of `keep_best`, next to the others of a run.
DEMO_NAME = "demo"  # The network that comes with the package, unless a network file or run folder here has this name.
DEMO_FILE = pathlib.Path(__file__).resolve().parents[1] / "data" / "demo_network.npz"


class Networks(NamedTuple):
    """What a network file holds; None for a network that it lacks.

    >>> from stylegan_tf import load_networks
    >>> networks = load_networks("demo")
    >>> networks.generator_ema is networks.best_generator, networks.content_box
    (True, None)
    """

    generator: Optional[Generator]
    discriminator: Optional[Discriminator]
    generator_ema: Optional[Generator]  # The averaged generator: the one to look at.
    metadata: dict[str, Any]  # E.g. {"kimg": 12.0, "dataset": "demo"}.

    @property
    def best_generator(self) -> Generator:
        """The averaged generator, or the plain one where there is no average. UserError if there is neither."""
        generator = self.generator_ema if self.generator_ema is not None else self.generator
        if generator is None:
            raise UserError("the network file holds no generator.")
        return generator

    @property
    def content_box(self) -> Optional[Sequence[float]]:
        """Where the content of letterboxed training images lies: left, top, right, bottom as fractions; None: all."""
        return self.metadata.get("content_box")

    @property
    def aspect_ratio(self) -> Optional[float]:
        """Width by height of training images that were stretched to squares; None: they were not."""
        return self.metadata.get("aspect_ratio")

    @property
    def truncation_centre(self) -> str:
        """`Truncation.centre` of pictures: each class's own; "all" for the authors' networks, as in their code."""
        return "all" if "converted_from" in self.metadata else "class"

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the columns of the labels mean; () if the file does not say."""
        names = self.metadata.get("label_names")
        if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
            return tuple(names)
        return ()


def file_name(kimg: float) -> str:
    """network-000012.npz for 12 thousand images. Names of networks a thousand images apart differ."""
    return _FILE_NAME.format(kimg=int(kimg + 0.5))  # `round` gives 2 for both 1.5 and 2.5.


def save_networks(
    path: Union[str, os.PathLike], networks: Networks, dtype: Any = np.float32, growth: Optional[Growth] = None
) -> None:
    """Writes a network file; a file of that name appears only when it is complete. float16 halves it and rounds.

    growth: how far the networks have grown; None: what they say themselves. The metadata never overrule it.
    Raises UserError, and leaves the file of that name as it is, for what `load_networks` would refuse.

    >>> from stylegan_tf import load_networks, save_networks
    >>> save_networks("copy.npz", load_networks("demo"))
    >>> load_networks("copy.npz").metadata == load_networks("demo").metadata
    True
    """
    path = pathlib.Path(path)
    parts: dict[str, Any] = {part: network for part, network in zip(_CONFIGS, networks) if network is not None}
    try:
        metadata = _written_metadata(parts, networks.metadata, growth)
        arrays = _written_arrays(parts, dtype)
    except UserError as error:
        raise UserError(f"{path} was not written: {short(error)}") from None
    configs = {part: network.config.to_dict() for part, network in parts.items()}
    description = {"format_version": FORMAT_VERSION, "metadata": metadata, **configs}
    write_arrays(path, _ARCHITECTURE, description, arrays)


def _written_metadata(parts: Mapping[str, Any], metadata: Any, growth: Optional[Growth]) -> dict[str, Any]:
    """As they are in JSON, with how far the networks have grown. UserError for what no file can say."""
    for part, network in parts.items():
        if not isinstance(network.config, _CONFIGS[part]):
            raise UserError(f"its {part} is a {type(network).__name__}.")
    try:
        metadata = json.loads(json.dumps(metadata))
    except (TypeError, ValueError) as error:
        raise UserError(f"its metadata must be what JSON has: {error}") from None
    configs = {part: network.config for part, network in parts.items()}
    _check_metadata(metadata, configs)
    grown = {part: (growth or parts[part].growth).validated(config.resolution) for part, config in configs.items()}
    for part, own in grown.items():
        if growth or own != Growth.from_metadata(metadata, configs[part].resolution):
            metadata.update(own.to_metadata())
    if any(own != Growth.from_metadata(metadata, configs[part].resolution) for part, own in grown.items()):
        sizes = ", ".join(f"{part} to {own.resolution}, alpha {own.alpha:g}" for part, own in grown.items())
        raise UserError(f"its networks differ in how far they have grown: {sizes}.")
    return metadata


def _written_arrays(parts: Mapping[str, Any], dtype: Any) -> dict[str, np.ndarray]:
    if np.dtype(dtype) not in _DTYPES:
        raise UserError(f"dtype must be float32 or float16, got {np.dtype(dtype)}.")
    arrays = {}
    with np.errstate(over="ignore"):
        for part, network in parts.items():
            for name, value in named_variables(network).items():
                arrays[f"{part}/{name}"] = value.numpy().astype(dtype)
    bad = first_non_finite(arrays)
    if bad is not None:
        raise UserError(f"{bad} holds NaN, infinity or what {np.dtype(dtype)} cannot hold.")
    return arrays


def load_networks(path: Union[str, os.PathLike], precision: Optional[str] = None) -> Networks:
    """The networks of a file, of the newest file of a run folder, or of the one in the package, `demo`.

    precision: what they compute in; None: that of Keras' global policy.
    Raises UserError if there is none, or the file is damaged or of an architecture that this version does not know.

    >>> from stylegan_tf import load_networks
    >>> load_networks("demo").generator_ema.config.resolution
    32
    """
    path = find_network(path)
    configs, values, metadata = _read(path)
    parts: dict[str, Any] = dict.fromkeys(_CONFIGS)
    for part, config in configs.items():
        growth = Growth.from_metadata(metadata, config.resolution)
        parts[part] = (Discriminator if part == "discriminator" else Generator)(config, precision, growth=growth)
        assign_arrays(parts[part], values[part], source=str(path))
    return Networks(**parts, metadata=metadata)


def read_architecture(path: Union[str, os.PathLike]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(options of a file's networks by part ("generator", ...), metadata), which are not built.

    Errors: as `load_networks`.
    """
    configs, _, metadata = _read(find_network(path))
    if not configs:
        raise UserError(f"{path} holds no network: copy it again or use another.")
    return configs, metadata


def assign_arrays(network: tf.keras.Model, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Gives every variable of a network its array. UserError naming the first that is missing, unknown or misshapen."""
    variables = named_variables(network)
    _check_shapes({name: tuple(variable.shape) for name, variable in variables.items()}, arrays, source)
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(np.float32))


def _check_shapes(expected: Mapping[str, tuple], arrays: Mapping[str, np.ndarray], source: str) -> None:
    for name in sorted(set(expected) ^ set(arrays)):
        problem = "lacks" if name in expected else "has an unknown"
        raise UserError(f"{source} {problem} variable {short(name)!r}: it does not fit its own architecture entry.")
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape or array.dtype not in _DTYPES:
            found = f"{array.dtype} of shape {array.shape}"
            raise UserError(f"{source}: variable {name!r} is {found}, expected float32 or float16 of shape {shape}.")


def find_network(path: Union[str, os.PathLike]) -> pathlib.Path:
    """The file itself, the newest `network-NNNNNN.npz` (most images seen) of a run folder, or that of `demo`."""
    return find_networks(path, newest_only=True)[-1]


def find_networks(path: Union[str, os.PathLike], newest_only: bool = False) -> list[pathlib.Path]:
    """The file itself, or every `network-NNNNNN.npz` of a run folder, in the order of images seen.

    Of an address these are local copies, with the results of metrics next to them.

    `RUN@best` is the network that a run kept as its best, `RUN@1200` the newest up to 1,200 thousand images; `demo` the
    one in the package, unless the working directory has a file or run folder of that name.
    """
    folder, at, which = str(path).rpartition("@")
    is_choice = bool(at) and "/" not in which and not os.path.exists(path)

    def needed(names: Collection[str]) -> list[str]:
        one = (newest_only and not is_choice) or which in ("best", "newest")
        best = [BEST_NAME] if which == "best" and BEST_NAME in names else []
        return [*_network_names(names)[-1 if one else 0 :], *fnmatch.filter(names, "metric-*.jsonl"), *best]

    if is_choice and (scheme_of(folder) or os.path.isdir(folder)):
        return [_network_of(ensure_local(folder, needed), which)]
    path = ensure_local(path, needed)
    if path.is_dir():
        files = [path / name for name in _network_names(file.name for file in path.iterdir())]
        if not files and str(path) == DEMO_NAME and not (path / FLAG_FILE).exists():
            return [DEMO_FILE]  # The folder is not a run: a dataset, perhaps.
        if not files:
            kind = foreign_kind(path)
            if kind:
                raise UserError(f"{path} is {kind}.")
            raise UserError(f"{path} holds no network-NNNNNN.npz: has the run reached its first network file?")
        return files
    if path.is_file():
        return [path]
    if str(path) == DEMO_NAME:
        return [DEMO_FILE]
    raise UserError(f"{path} does not exist: give a network file, a run folder, or the package's own, {DEMO_NAME}.")


def _network_of(run_dir: pathlib.Path, which: str) -> pathlib.Path:
    """which: best, newest, or thousands of images."""
    networks = find_networks(run_dir)
    if which == "best":
        if not (run_dir / BEST_NAME).is_file():
            raise UserError(f"{run_dir} holds no {BEST_NAME}: only a run with `keep_best` writes one.")
        return run_dir / BEST_NAME
    if which == "newest":
        return networks[-1]
    limit = int(which) if re.fullmatch(r"\d{1,18}", which) else -1
    until = [path for path in networks if int(path.stem.split("-")[1]) <= limit]
    if not until:
        raise UserError(
            f"{run_dir} has no network {short(which, 60)!r}: give best, newest, or a number of thousand images from "
            f"{int(networks[0].stem.split('-')[1])} on."
        )
    return until[-1]


def _network_names(names: Iterable[str]) -> list[str]:
    """In the order of images seen."""
    found = map(NETWORK_FILE.fullmatch, names)
    return [match[0] for match in sorted(filter(None, found), key=lambda match: int(match[1]))]


def _read(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """-> (configs, arrays by variable, both by part; metadata), consistent with each other.

    Everything is validated before a network is built: a damaged size could ask for any amount of memory.
    """
    kind = foreign_kind(path)
    if kind:
        raise UserError(f"{path} is {kind}.")
    architecture, arrays = read_described(path, "network file", _ARCHITECTURE)
    version = architecture.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise UserError(f"{path} is not a network file of this program: its architecture entry has no format version.")
    if version > FORMAT_VERSION:
        raise UserError(f"{path} has format version {version}, this program reads up to {FORMAT_VERSION}: upgrade it.")
    configs = _configs(path, architecture)
    values = {
        part: {name[len(part) + 1 :]: value for name, value in arrays.items() if name.startswith(f"{part}/")}
        for part in configs
    }
    for part, config in configs.items():
        if getattr(config, "mapping_layers", 0) > len(values[part]):
            raise UserError(f"{path}: {part} has too few variables for {config.mapping_layers} mapping layers.")
        _check_shapes(variable_shapes(config), values[part], source=str(path))
    check_finite(path, arrays)
    return configs, values, checked_metadata(path, architecture, configs)


def _configs(path: pathlib.Path, architecture: Mapping[str, Any]) -> dict[str, Any]:
    configs = {}
    for part, kind in _CONFIGS.items():
        if part in architecture:
            if not isinstance(architecture[part], dict):
                found = short(repr(architecture[part]), 60)
                raise UserError(
                    f"{path}: its architecture entry is damaged: {part} is {found}, not a table of options."
                )
            try:
                configs[part] = kind.from_dict(architecture[part])
            except UserError as error:
                raise UserError(f"{path}: {short(error)}") from None
    return configs


def checked_metadata(path: pathlib.Path, architecture: Mapping[str, Any], configs: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a JSON entry; those that the program uses are validated."""
    metadata = architecture.get("metadata", {})
    try:
        _check_metadata(metadata, configs)
    except UserError as error:
        problem = short(error).rstrip(".")
        raise UserError(f"{path}: its metadata are damaged: {problem}; use another copy or an earlier file.") from None
    return metadata


def _check_metadata(metadata: Any, configs: Mapping[str, Any]) -> None:
    if not isinstance(metadata, dict):
        raise UserError(f"metadata is {short(repr(metadata), 60)}, not a table.")
    checks = {
        "kimg": lambda value: is_finite_number(value) and value >= 0,
        "content_box": _is_box,
        "aspect_ratio": lambda value: is_finite_number(value) and 1 / MAX_RATIO <= value <= MAX_RATIO,
        "mirror_augment": lambda value: isinstance(value, bool),
    }
    for name, check in checks.items():
        if metadata.get(name) is not None and not check(metadata[name]):
            raise UserError(f"{name} is {short(repr(metadata[name]), 60)}.")
    for config in configs.values():
        Growth.from_metadata(metadata, config.resolution)


def _is_box(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 4 or not all(map(is_finite_number, value)):
        return False
    left, top, right, bottom = value
    return 0 <= left < right <= 1 and 0 <= top < bottom <= 1
