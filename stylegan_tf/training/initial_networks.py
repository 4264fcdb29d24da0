"""A run that starts with the weights of a network file (--init_from)."""

import dataclasses
from typing import Any

from stylegan_tf.errors import UserError
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import assign_arrays, find_network, load_networks
from stylegan_tf.networks.variables import named_variables
from stylegan_tf.training.state import TrainState


def initialise(state: TrainState, path: str, start_resolution: int) -> list[str]:
    """Copies the networks of a file into the state of a new run; returns lines that tell the user about it.

    start_resolution: that of the schedule, for the lines.

    A file without averaged generator gives its plain one for both, and the other way round. Without discriminator
    that of the state stays as it is. Raises UserError naming the first option in which file and run differ.
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
    for source, target in present.values():
        assign_arrays(target, {name: value.numpy() for name, value in named_variables(source).items()}, source=path)
    grown, full = networks.best_generator.growth, state.generator.config.resolution
    how = "fully grown" if grown == Growth(full) else f"grown to {grown.resolution}x{grown.resolution}"
    start = min(start_resolution, full)
    lines = [f"starting with the weights of {path}, {how}; training begins at {start}x{start}"]
    if "discriminator" not in present:
        lines.append(f"warning: {path} holds no discriminator; a new one starts from random weights")
    return lines


def _check_same_options(path: str, part: str, file_config: Any, run_config: Any) -> None:
    advice = {
        "resolution": "the data set needs this level, and --resolution has to be left out or to name it",
        "num_channels": "give data with as many channels",
        "label_size": "give data with labels of this width and --conditional, or leave both out",
    }
    for field in dataclasses.fields(file_config):
        there, here = getattr(file_config, field.name), getattr(run_config, field.name)
        if there != here:
            how = advice.get(field.name, f"leave --{field.name} out, or set it to the file's value")
            raise UserError(f"init_from: the {part} of {path} has {field.name} {there}, this run has {here}: {how}.")
