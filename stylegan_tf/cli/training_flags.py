"""The flags of training, made from the options of `TrainConfig` and its parts, and how they become one."""

import os
from typing import Any

from absl import flags

from stylegan_tf.cli.command_line import flag_group
from stylegan_tf.cli.option_flags import define_flag, flag_value
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, LossConfig, ScheduleConfig, TrainConfig
from stylegan_tf.config.option import GROUPS, option_fields
from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside

FLAGS = flags.FLAGS
_PARTS = {
    "schedule": ScheduleConfig,
    "losses": LossConfig,
    "generator": GeneratorConfig,
    "discriminator": DiscriminatorConfig,
}
_KINDS = (*_PARTS.values(), TrainConfig)
# Every option that has a flag, by name, in the order of `--help`. The networks share some; those that the data set
# decides have no group.
OPTIONS = {
    field.name: field
    for group in GROUPS
    for kind in _KINDS
    for field in option_fields(kind)
    if field.metadata["option"].group == group
}

for _group in GROUPS:
    with flag_group(_group):
        for _field in OPTIONS.values():
            if _field.metadata["option"].group == _group:
                define_flag(_field)


def train_config_from_flags() -> TrainConfig:
    """The validated options. Raises UserError, naming the flag, for a value that makes no sense."""
    if FLAGS.init_from:
        _take_architecture(FLAGS.init_from)
    # The data set decides later; the smallest shape is one that every width fits.
    shape = {"resolution": 4, "num_channels": 3, "label_size": 0}
    shapes = {"generator": shape, "discriminator": shape}
    parts = {name: _build(kind, shapes.get(name, {})) for name, kind in _PARTS.items()}
    return _build(TrainConfig, parts)


def _build(kind: type, values: dict) -> Any:
    """A dataclass of options from `values`, and from flags what is not there."""
    return kind(**{f.name: flag_value(f) for f in option_fields(kind) if f.name not in values}, **values)


def _take_architecture(path: str) -> None:
    """Gives the flags of the networks that nobody has set the values of the network file."""
    names = {name for name in _architecture_flags() if not FLAGS[name].present}
    if not names:
        return
    from stylegan_tf.networks.network_file import read_configs  # Imports TensorFlow.

    for network in read_configs(path).values():
        for name in names & set(vars(network)):
            FLAGS[name].value = getattr(network, name)


def _architecture_flags() -> set:
    options = {field.name for kind in (GeneratorConfig, DiscriminatorConfig) for field in option_fields(kind)}
    return options & set(OPTIONS)


def write_flag_file(path: os.PathLike) -> None:
    """Writes every flag that differs from its default, so that `--flagfile=PATH` replays the run.

    After --init_from all options of the networks are written: the run can go on when that file is no longer there.
    """
    lines = ["# Replays this run: python -m stylegan_tf.train --flagfile=THIS_FILE --run_dir=ANOTHER_FOLDER"]
    always = _architecture_flags() if FLAGS.init_from else set()
    for name in OPTIONS:
        value = FLAGS[name].value
        if value != FLAGS[name].default or name in always:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if text != text.strip() or "\n" in text:
                raise UserError(f"--{name} begins or ends with a space or holds a line break, which no flag file can.")
            lines.append(f"--{name}={text}")
    with written_aside(path) as temporary:
        # Names of files may be any bytes.
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
