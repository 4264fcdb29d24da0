"""What a picture depends on, in one object: the page, its files, commands, key frames and videos are made from it."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from stylegan_tf.config import BlendOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import short
from stylegan_tf.networks.truncation import CENTRES

SEEDS = 2**32
SEEDS_PER_ROW = 100  # From a row of the plane of seeds to the one below.
NOISE_MODES = ("const", "random", "none")


@dataclasses.dataclass(frozen=True)
class NetworkInfo:
    """What a network has, which bounds its views.

    groups: names of the groups of layers that styles are mixed in; () without styles.
    resolutions: of its blocks.
    """

    num_layers: int
    num_noise_layers: int
    centre: str = "all"  # The network's own centre of truncation.
    groups: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()  # By column of the label; () for a network without labels.
    directions: tuple[str, ...] = ()
    resolutions: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Blend:
    """Another network in the picture: its share in an average of all weights, or its layers from a resolution up."""

    network: str
    share: float = 0.5
    swap: int = 0  # The resolution; 0: the average.

    def options(self) -> BlendOptions:
        return BlendOptions(swap=self.swap) if self.swap else BlendOptions(f"{1 - self.share:.10g},{self.share:.10g}")


@dataclasses.dataclass(frozen=True)
class View:
    """One picture of a network. On the plane whole positions are seeds, and what lies between mixes the w of four."""

    network: str = ""  # By its name in the list of networks.
    seed: int = 0  # The nearest one on the plane.
    offset: tuple[float, float] = (0.0, 0.0)  # From the seed, to the right and down.
    psi: float = 0.7
    cutoff: int = 8
    centre: str = "all"  # Centre of truncation, see `Truncation`.
    classes: Mapping[int, float] = dataclasses.field(default_factory=dict)  # Weights by column of the label.
    found: Optional[str] = None  # A projected picture, whose w take the place of the seed's as they are.
    mixing: Mapping[str, int] = dataclasses.field(default_factory=dict)  # Groups of layers -> seeds of their styles.
    noise_mode: str = "const"
    noise_seed: int = 0  # For "random".
    strengths: Mapping[int, float] = dataclasses.field(default_factory=dict)  # Factors of the noise by layer, if not 1.
    moves: Mapping[str, float] = dataclasses.field(default_factory=dict)  # Directions, in standard deviations.
    blend: Optional[Blend] = None

    @classmethod
    def first(cls, network: str, info: NetworkInfo) -> "View":
        """Where the page starts."""
        classes = {0: 1.0} if info.label_names else {}
        return cls(network, cutoff=min(8, info.num_layers), centre=info.centre, classes=classes)

    @classmethod
    def from_json(cls, data: Any, info: NetworkInfo) -> "View":
        """What `to_json` gives, with any fields omitted. UserError for what is not a view of the network."""
        if not isinstance(data, Mapping):
            raise UserError(f"a view is a JSON object, got {_brief(data)}.")
        first = cls.first(data.get("network", ""), info)
        unknown = sorted(map(str, set(data) - set(_READERS)))
        if unknown:
            raise UserError(f"a view has no field {_brief(unknown[0])}.")
        view = dataclasses.replace(first, **{name: _READERS[name](name, data[name], info) for name in data})
        is_without_class = info.label_names and not view.classes  # As the last one is removed from a blend.
        return dataclasses.replace(view, classes={0: 0.0}) if is_without_class else view

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def corners(self) -> tuple[list[int], np.ndarray]:
        """The seeds around the position, and the share of w that each has: float32 [4]."""
        column, row = (int(np.floor(number)) for number in self.offset)
        x, y = self.offset[0] - column, self.offset[1] - row
        seeds = [
            (self.seed + column + right + SEEDS_PER_ROW * (row + below)) % SEEDS for below in (0, 1) for right in (0, 1)
        ]
        return seeds, np.float32([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y])

    @property
    def has_own_noise(self) -> bool:
        """Whether the noise is other than the network's fixed maps or none."""
        is_changed = any(strength != 1 for strength in self.strengths.values())
        return self.noise_mode == "random" or (self.noise_mode == "const" and is_changed)

    def needs_file(self, label_names: Sequence[str] = ()) -> bool:
        """Whether the command needs dlatents.npz: flags cannot say what the picture is."""
        is_of_seed = self.offset == (0, 0) and self.found is None and not self.mixing
        return not is_of_seed or self.has_own_noise or (bool(self.classes) and self._class_text(label_names) is None)

    def command(
        self,
        network: str,
        directions: Optional[str] = None,
        label_names: Sequence[str] = (),
        crop: bool = True,
        blended_with: Optional[str] = None,
    ) -> str:
        """The command that makes the same picture; with dlatents.npz in the working directory if it needs it.

        network, directions: as the flags of these names; blended_with: the network of `blend`, likewise.
        """
        if self.blend:
            words = ["python", "-m", "stylegan_tf.blend", "--networks", f"{network},{blended_with}"]
            options = self.blend.options()
            words += ["--swap", str(options.swap)] if options.swap else ["--weights", options.weights]
            blend = shlex.join([*words, "--nopicture", "--output", "blend.npz"])
            one = dataclasses.replace(self, blend=None)
            return f"{blend} && {one.command('blend.npz', directions, label_names, crop)}"
        words = ["python", "-m", "stylegan_tf.generate", "--network", network]
        if self.needs_file(label_names):
            words += ["--dlatents", "dlatents.npz"]
        else:
            words += ["--seeds", str(self.seed)]
            words += ["--truncation_psi", f"{self.psi:.10g}", "--truncation_cutoff", str(self.cutoff)]
            if self.classes:
                words += ["--truncation_centre", self.centre, "--class", self._class_text(label_names)]
            moves = [f"{name}={amount:.10g}" for name, amount in self.moves.items() if amount]
            words += ["--directions", directions or "", "--move", ",".join(moves)] if moves else []
        words += ["--noise_mode", "none"] if self.noise_mode == "none" else []
        words += [] if crop else ["--nocrop"]
        return shlex.join([*words, "--outdir", "out"])

    def _class_text(self, names):
        """As `generate` takes classes; None where names are such that it would read them otherwise."""
        weights = {column: weight for column, weight in self.classes.items() if weight} or {0: 0.0}
        words = {column: names[column] if names else str(column) for column in weights}
        if list(weights.values()) == [1.0]:
            return next(iter(words.values()))
        if any("," in word or word != word.strip() for word in words.values()):
            return None
        return ",".join(f"{words[column]}={weight:.10g}" for column, weight in weights.items())


# ---- Readers of JSON values: (field, value, info of the network) -> what the field holds


def _number(low, high, whole=False):
    def read(name, value, _info):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        if not is_number or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise UserError(f"{name} must be {kind} from {low} to {high}, got {_brief(value)}.")
        return int(value) if whole else float(value)

    return read


def _read_offset(name, value, info):
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise UserError(f"{name} must be two numbers, got {_brief(value)}.")
    return tuple(_number(-1, 1)(name, number, info) for number in value)


def _read_text(name, value, _info):
    if value is not None and not isinstance(value, str):
        raise UserError(f"{name} must be text, got {_brief(value)}.")
    return value


def _read_blend(name, value, info):
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("network"), str):
        raise UserError(f"{name} must be a JSON object with a network, got {_brief(value)}.")
    share = _number(0, 1)(f"{name}: share", value.get("share", 0.5), info)
    swap = _choice((0, *info.resolutions))(f"{name}: swap", value.get("swap", 0), info)
    return Blend(value["network"], share, swap)


def _choice(choices):
    def read(name, value, _info):
        if value not in choices:
            raise UserError(f"{name} must be one of {', '.join(map(str, choices))}, got {_brief(value)}.")
        return value

    return read


def _table(keys, read_number):
    """A JSON object of numbers; keys(info): the ones that it may have, by how JSON writes them."""

    def read(name, value, info):
        allowed = keys(info)
        if not isinstance(value, Mapping):
            raise UserError(f"{name} must be a JSON object, got {_brief(value)}.")
        for key in map(str, value):
            if key not in allowed:
                raise UserError(f"{name}: the network has no {short(key, 60)}, only {short(', '.join(allowed), 200)}.")
        items = ((str(key), number) for key, number in value.items())
        return {allowed[key]: read_number(f"{name} of {short(key, 60)}", number, info) for key, number in items}

    return read


def _numbered(count):
    return {str(index): index for index in range(count)}


_read_seed = _number(0, SEEDS - 1, whole=True)
_READERS = {
    "network": _read_text,
    "seed": _read_seed,
    "offset": _read_offset,
    "psi": _number(-2, 2),
    "cutoff": lambda name, value, info: _number(0, info.num_layers, whole=True)(name, value, info),
    "centre": _choice(CENTRES),
    "classes": _table(lambda info: _numbered(len(info.label_names)), _number(0, 1)),
    "found": _read_text,
    "mixing": _table(lambda info: {name: name for name in info.groups}, _read_seed),
    "noise_mode": _choice(NOISE_MODES),
    "noise_seed": _number(0, 2**31 - 1, whole=True),
    "strengths": _table(lambda info: _numbered(info.num_noise_layers), _number(0, 3)),
    "moves": _table(lambda info: {name: name for name in info.directions}, _number(-10, 10)),
    "blend": _read_blend,
}


def _brief(value):
    return short(repr(value), 60)
