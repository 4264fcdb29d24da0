"""A run that starts with the weights of a network file (`init_from`), also with other channels, labels or levels."""

import dataclasses
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.option import OptionError
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.layers.progan import EqualizedConv2D
from stylegan_tf.networks.network_file import find_network, load_networks
from stylegan_tf.ops.elementwise import LEAKY_SLOPE, leaky_relu
from stylegan_tf.ops.resampling import downscale_2d
from stylegan_tf.training.state import TrainState

_MAY_DIFFER = ("resolution", "num_channels", "label_size")  # The dataset decides them.
_PICTURES = 300  # At 128x128 and below; fewer above, whose pixels are many.
_BATCH = 10


def initialise_on_all_workers(config: TrainConfig, state: TrainState, processes: Processes) -> list[str]:
    """`initialise` in every process, from the file that the config names, if it names one. For all to call."""
    path = find_network(config.init_from) if config.init_from else None  # For a run folder, its newest.
    if processes.count > 1 and not processes.agree_on(zlib.crc32(path.read_bytes()) if path else -1):
        found = path or "not given here"
        raise OptionError(f"init_from: {found} is not the same file for all processes: copy one to all machines.")
    return initialise(state, str(path), config.schedule.start_resolution, config.freeze_d) if path else []


def initialise(state: TrainState, path: str, start_resolution: int, freeze_d: int = 0) -> list[str]:
    """Copies what fits of a file's networks into the state of a new run; returns lines for the log.

    start_resolution: that of the schedule. freeze_d: how many of the discriminator's highest resolutions will keep
    their weights; UserError if the file has none for them.

    Resolution, channels and labels may differ: see `_adapted`. If the file has only one of the plain and the averaged
    generator, it initialises both; if it has no discriminator, that of the state is kept. Raises UserError naming the
    first other option in which file and run differ.
    """
    networks = load_networks(path)
    plain = networks.generator if networks.generator is not None else networks.best_generator
    sources = {
        "generator": (plain, state.generator),
        "generator_ema": (networks.best_generator, state.generator_ema),
        "discriminator": (networks.discriminator, state.discriminator),
    }
    present = {part: pair for part, pair in sources.items() if pair[0] is not None}
    for part, (source, target) in present.items():
        _check_same_options(path, part, source.config, target.config)
    grown, full = networks.best_generator.growth, networks.best_generator.config.resolution
    here = state.generator.config.resolution
    start = min(start_resolution, here)
    levels = [level for level in state.generator.config.resolutions if start <= level < grown.level_to_train]
    generators = {id(source): source for part, (source, _) in present.items() if part != "discriminator"}
    fits = _fit_rgb_layers(list(generators.values()), networks.discriminator, levels)
    copied, new = {}, {"discriminator": list(named_variables(state.discriminator))}
    for part, (source, target) in present.items():
        copied[part], new[part] = _copy(source, target)
    _check_frozen(path, state.discriminator.config.resolutions, freeze_d, new["discriminator"])
    how = "fully grown" if grown == Growth(full) else f"grown to {grown.resolution}x{grown.resolution}"
    lines = [f"starting with the weights of {path}, {how}; training begins at {start}x{start}"]
    if start > full:
        lines.append(f"warning: {start}x{start} starts from random weights; `start_resolution={full}` would fade it in")
    elif here > full:
        lines[0] += f", levels up to {here}x{here} fade in after that"
    lines += [f"{part}: {line}" for part, line in copied.items() if part != "generator_ema" and line]
    lines += [f"colours at {size}x{size} fitted to its own pictures: {rms:.1f} of 255 levels rms" for size, rms in fits]
    if "discriminator" not in present:
        lines.append(f"warning: {path} holds no discriminator; a new one starts from random weights")
    return lines


def _check_same_options(path: str, part: str, file_config: Any, run_config: Any) -> None:
    for field in dataclasses.fields(file_config):
        there, here = getattr(file_config, field.name), getattr(run_config, field.name)
        if there != here and field.name not in _MAY_DIFFER:
            raise OptionError(
                f"init_from: the {part} of {path} has {field.name} {there}, this run has {here}: weights fit networks "
                f"of the same options only; leave `{field.name}` out, or set it to the file's value."
            )


def _check_frozen(path: str, resolutions: Sequence[int], freeze_d: int, new: Sequence[str]) -> None:
    for resolution in resolutions[-freeze_d:] if freeze_d else ():
        if any(name.startswith(f"{resolution}x{resolution}/") for name in new):
            raise OptionError(
                f"freeze_d {freeze_d} would freeze random weights: {path} has none for the discriminator's "
                f"{resolution}x{resolution}; leave it out, or start from a network that has them."
            )


def _copy(source, target) -> tuple[str, list[str]]:
    """Assigns the variables of `target` what fits of `source`.

    Returns a line about it, "" if everything was copied unchanged, and the names of the variables that are new.
    """
    arrays = {name: variable.numpy() for name, variable in named_variables(source).items()}
    variables = named_variables(target)
    values = _adapted(arrays, {name: variable.numpy() for name, variable in variables.items()}, source, target)
    for name, value in values.items():
        variables[name].assign(value.astype(np.float32))
    changed = [name for name, value in values.items() if value is not arrays.get(name)]
    new = [name for name in variables if name not in values]
    kinds = {"adapted": changed, "new": new, "skipped": sorted(set(arrays) - set(variables))}
    parts = [f"{kind} {_layers(names)}" for kind, names in kinds.items() if names]
    count = len(values) - len(changed)
    return "; ".join([f"{count} variables copied", *parts]) if parts else "", new


def _adapted(arrays: dict[str, np.ndarray], initial: dict[str, np.ndarray], source, target) -> dict[str, np.ndarray]:
    """By name the array for a network with other channels or labels, so that it starts with the source's function.

    Without those for which there is none. The runtime divides weights by the square root of their fan-in, which the
    channels change.
    """
    values = {name: arrays[name] for name, old in initial.items() if name in arrays and arrays[name].shape == old.shape}
    old, new = source.config.num_channels, target.config.num_channels
    for name in initial if old != new else ():
        layer, _, variable = name.rpartition("/")
        if layer.endswith("_rgb") and variable == "weight" and name in arrays:
            weight, bias = _other_channels(layer, arrays[name], arrays[f"{layer}/bias"], old, new)
            values.update({name: weight, f"{layer}/bias": bias})
    if source.config.label_size != target.config.label_size:
        values.update(_other_labels(arrays, initial, target.config))
    return values


def _other_channels(layer: str, weight: np.ndarray, bias: np.ndarray, old: int, new: int):
    """(weight, bias) of a 1x1 convolution to or from images."""
    if layer.endswith("to_rgb"):
        matrix, offset = _channel_map(old, new)
        return weight @ matrix, bias @ matrix + offset
    matrix, offset = _channel_map(new, old)
    gain = np.sqrt(2.0 / old)  # That of `EqualizedConv2D` at run time.
    return matrix @ weight * np.sqrt(new / old), bias + offset @ weight[0, 0] * gain


def _other_labels(arrays: dict[str, np.ndarray], initial: dict[str, np.ndarray], config: Any) -> dict[str, np.ndarray]:
    values = {}
    for name in ("4x4/dense1/weight", "4x4/dense1/bias"):  # Scores by label: at first that of no label in particular.
        if name in arrays and name in initial and arrays[name].shape != initial[name].shape:
            values[name] = np.broadcast_to(arrays[name].mean(axis=-1, keepdims=True), initial[name].shape)
    first, embedding = "mapping/dense0/weight", "mapping/label_embedding/weight"
    if first in arrays and first in initial and arrays[first].shape != initial[first].shape:
        # Rows of z, then of labels. Zero vectors for the labels change nothing but the length that z is normalised to.
        rows = initial[first].copy() if embedding in initial else np.zeros(initial[first].shape, np.float32)
        kept = min(len(arrays[first]), len(rows))
        normalised = config.normalize_latents and embedding in initial
        rows[:kept] = arrays[first][:kept] * (1.0 if normalised else np.sqrt(len(rows) / len(arrays[first])))
        values[first] = rows
        if embedding in initial and embedding not in arrays:
            values[embedding] = np.zeros(initial[embedding].shape, np.float32)
    return values


def _layers(names: Iterable[str]) -> str:
    """The layers of these variables; if they are a complete level, its size alone."""
    layers = {}
    for name in names:
        parts = name.split("/")
        level = next((part for part in parts if part[0].isdigit()), None)
        layers.setdefault(level or parts[-2], []).append("/".join(parts[-3:-1]) if level else parts[-2])
    shown = []
    for group, members in layers.items():
        members = list(dict.fromkeys(members))
        shown += [group] if len(members) > 2 else members
    return ", ".join(shown)


def _channel_map(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """(matrix [old, new], offset [new]) that turn images of `old` channels, in [-1, 1], into ones of `new`.

    A fourth channel is transparency: it is dropped, or opaque. Colours become their mean brightness if their numbers
    differ otherwise.
    """
    colours, wanted = (3 if channels == 4 else channels for channels in (old, new))
    matrix, offset = np.zeros([old, new], np.float32), np.zeros([new], np.float32)
    matrix[:colours, :wanted] = np.eye(colours) if colours == wanted else 1 / colours
    if new == 4:
        matrix[3:, 3], offset[3] = 1, old != 4
    return matrix, offset


class _LeastSquares:
    """The linear map with bias from rows of x to rows of y with the smallest squared error, of any number of rows."""

    def __init__(self):
        self._xx, self._xy, self._yy, self._count = 0.0, 0.0, 0.0, 0

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        x = np.concatenate([x, np.ones([len(x), 1])], axis=1, dtype=np.float64)
        y = y.astype(np.float64)
        self._xx, self._xy, self._yy = self._xx + x.T @ x, self._xy + x.T @ y, self._yy + np.sum(y**2)
        self._count += y.size

    def solve(self) -> tuple[np.ndarray, np.ndarray, float]:
        """(matrix [in, out], bias [out], root of the mean squared error)."""
        found = np.linalg.lstsq(self._xx, self._xy, rcond=1e-10)[0]
        error = self._yy - 2 * np.sum(found * self._xy) + np.sum(found * (self._xx @ found))
        return found[:-1], found[-1], float(np.sqrt(max(error, 0) / self._count))


def _fit_rgb_layers(
    generators: Sequence[Generator], discriminator: Optional[Discriminator], levels: Sequence[int]
) -> list[tuple[int, float]]:
    """Fits `to_rgb` and `from_rgb` at levels below the one that the networks have grown to, in closed form.

    A network that trained at a higher level does not use them any more. `to_rgb` is fitted so that the picture from a
    level's features is the network's own, scaled down; `from_rgb` so that such a picture, of the last generator, has
    before the leaky ReLU the features that the discriminator's higher levels compute of the full one. Returns (level,
    rms error of 255 levels) of the last generator.
    """
    errors: list[tuple[int, float]] = []
    for generator in generators if levels else ():
        fits = {level: (_LeastSquares(), _LeastSquares()) for level in levels}
        reads = discriminator if generator is generators[-1] else None
        for pictures, features in _generated(generator):
            deep = _deep_features(reads, pictures, min(levels)) if reads is not None else {}
            while pictures.shape[1] > min(levels):
                pictures = downscale_2d(pictures)
                level = pictures.shape[1]
                if level in fits:
                    layer = features[generator.synthesis.num_layers_at(level) - 1]
                    fits[level][0].add(_rows(layer), _rows(pictures))
                    if deep:
                        fits[level][1].add(_rows(pictures), _rows(deep[level]))
        errors = []
        for level, (to_rgb, from_rgb) in fits.items():
            error = _assign(generator.synthesis.to_rgb[f"{level}x{level}"], to_rgb)
            errors.append((level, error * 127.5))
            if reads is not None:
                _assign(reads.from_rgb[f"{level}x{level}"], from_rgb)
    return errors


def _generated(generator: Generator):
    """Batches of (pictures, features of every layer), untruncated, with random noise, as in training."""
    config, resolution = generator.config, generator.growth.resolution
    random = np.random.RandomState(0)
    for _ in range(max(_PICTURES * min(128, resolution) // resolution // _BATCH, 1)):
        z = random.randn(_BATCH, config.latent_size).astype(np.float32)
        labels = None
        if config.label_size:
            labels = np.eye(config.label_size, dtype=np.float32)[random.randint(config.label_size, size=_BATCH)]
        ws = generator.broadcast(generator.mapping_network(z, labels=labels), resolution)
        noise = generator.synthesis.draw_noise(_BATCH, resolution, tf.constant(random.randint(2**31, size=2)))
        yield generator.synthesis(ws, noise=noise), generator.synthesis.features(ws, resolution, noise)


def _deep_features(discriminator: Discriminator, pictures: tf.Tensor, lowest: int) -> dict[int, tf.Tensor]:
    """By level, what the blocks above it make of whole pictures, before the last leaky ReLU."""
    found, level = {}, pictures.shape[1]
    x = leaky_relu(discriminator.from_rgb[f"{level}x{level}"](pictures))
    while level > lowest:
        for layer in discriminator.blocks[f"{level}x{level}"]:
            x = leaky_relu(layer(x))
        level //= 2
        found[level] = tf.where(x < 0, x / LEAKY_SLOPE, x)
    return found


def _rows(images: tf.Tensor) -> np.ndarray:
    """[N, r, r, C] -> [N * r * r, C]"""
    return np.reshape(tf.cast(images, tf.float32).numpy(), [-1, images.shape[-1]])


def _assign(layer: EqualizedConv2D, fit: _LeastSquares) -> float:
    """Makes a fit the weights of a 1x1 convolution, which multiplies them by gain / sqrt(fan_in); returns its error."""
    matrix, bias, error = fit.solve()
    layer.weight.assign((matrix * np.sqrt(len(matrix)) / layer.gain)[np.newaxis, np.newaxis].astype(np.float32))
    layer.bias.assign(bias.astype(np.float32))
    return error
