"""A run that starts with the weights of a network file (--init_from)."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Optional

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import find_network, load_networks
from stylegan_tf.training.run.state import TrainState

_MAY_DIFFER = ("resolution", "num_channels", "label_size")  # What the data set decides.


def initialise(state: TrainState, path: str, start_resolution: int, freeze_d: int = 0) -> list[str]:
    """Copies what fits of the networks of a file into the state of a new run; returns lines that tell of it.

    start_resolution: that of the schedule, for the lines. freeze_d: how many of the discriminator's highest resolutions
    will keep their weights; UserError if the file has none for them.

    Resolution, channels and labels may differ: see `_fitted`. A file without averaged generator gives its plain one for
    both, and the other way round. Without discriminator that of the state stays as it is. Raises UserError naming the
    first other option in which file and run differ.
    """
    path = str(find_network(path))  # Of a run folder: its newest.
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
    copied, new = {}, {"discriminator": list(named_variables(state.discriminator))}
    for part, (source, target) in present.items():
        copied[part], new[part] = _copy(source, target)
    _check_frozen(path, state.discriminator.config.resolutions, freeze_d, new["discriminator"])
    grown, full = networks.best_generator.growth, networks.best_generator.config.resolution
    how = "fully grown" if grown == Growth(full) else f"grown to {grown.resolution}x{grown.resolution}"
    here = state.generator.config.resolution
    start = min(start_resolution, here)
    lines = [f"starting with the weights of {path}, {how}; training begins at {start}x{start}"]
    if start > full:
        lines.append(
            f"warning: {start}x{start} starts from random weights; with --start_resolution={full} it would fade in"
        )
    elif here > full:
        lines[0] += f", levels up to {here}x{here} fade in after that"
    lines += [f"{part}: {line}" for part, line in copied.items() if part != "generator_ema" and line]
    if here < full:
        lines.append(f"if that network never trained at {here}x{here}, its colours there are random at first")
    if "discriminator" not in present:
        lines.append(f"warning: {path} holds no discriminator; a new one starts from random weights")
    return lines


def _check_same_options(path: str, part: str, file_config: Any, run_config: Any) -> None:
    for field in dataclasses.fields(file_config):
        there, here = getattr(file_config, field.name), getattr(run_config, field.name)
        if there != here and field.name not in _MAY_DIFFER:
            raise UserError(
                f"init_from: the {part} of {path} has {field.name} {there}, this run has {here}: weights fit networks "
                f"of the same options only; leave --{field.name} out, or set it to the file's value."
            )


def _check_frozen(path: str, resolutions: Sequence[int], freeze_d: int, new: Sequence[str]) -> None:
    for resolution in resolutions[-freeze_d:] if freeze_d else ():
        if any(name.startswith(f"{resolution}x{resolution}/") for name in new):
            raise UserError(
                f"freeze_d {freeze_d} would freeze random weights: {path} has none for the discriminator's "
                f"{resolution}x{resolution}; leave it out, or start from a network that has them."
            )


def _copy(source, target) -> tuple[str, list[str]]:
    """Gives the variables of `target` what fits of `source`.

    Returns a line about it, "" if that was all, as it is; and which variables stay new.
    """
    arrays = {name: variable.numpy() for name, variable in named_variables(source).items()}
    new, adapted = [], []
    variables = named_variables(target)
    for name, variable in variables.items():
        shape = tuple(variable.shape)
        value = _fitted(name, arrays[name], shape) if name in arrays else None
        if value is None:
            new.append(name)
            continue
        if arrays[name].shape != shape:
            adapted.append(name)
        variable.assign(value.astype(np.float32))
    kinds = {"adapted": adapted, "new": new, "left out": sorted(set(arrays) - set(variables))}
    told = [f"{kind} {_layers(names)}" for kind, names in kinds.items() if names]
    count = len(variables) - len(new) - len(adapted)
    return "; ".join([f"{count} variables copied", *told]) if told else "", new


def _fitted(name: str, array: np.ndarray, shape: tuple) -> Optional[np.ndarray]:
    """The array for a network with other channels or labels, so that at first it does what it did; None: it cannot.

    The runtime divides weights by the square root of what goes into a unit, which differs as well.
    """
    if array.shape == shape:
        return array
    if name == "mapping/dense0/weight":  # Rows of z, then of labels, which at first make no difference.
        rows = np.zeros(shape, np.float32)
        both = min(len(array), len(rows))
        rows[:both] = array[:both] * np.sqrt(shape[0] / len(array))
        return rows
    if name.startswith("4x4/dense1/"):  # Scores by label: at first that of no label in particular.
        return np.broadcast_to(array.mean(axis=-1, keepdims=True), shape)
    if "/to_rgb/" in name:  # All channels of the mean brightness.
        return np.broadcast_to(array.mean(axis=-1, keepdims=True), shape)
    if name.endswith("/from_rgb/weight"):
        mean = array.mean(axis=2, keepdims=True) * np.sqrt(array.shape[2] / shape[2])
        return np.broadcast_to(mean, shape)
    return None


def _layers(names: Iterable[str]) -> str:
    """The layers of these variables; of a whole level its size alone."""
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
