"""flags.cfg of a run folder: the options of the run as a flag file, which replays it."""

import os
from typing import Any

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.option import FROM_DATA_SET, GROUPS, option_fields, value_text
from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside

FILE_NAME = "flags.cfg"


def write_flag_file(path: os.PathLike, config: TrainConfig) -> None:
    """Writes every option that differs from its default, so that `--flagfile=PATH` replays the run.

    After --init_from all that was taken from that file is written: the run can go on when that file is no longer there.
    """
    lines = ["# Replays this run: python -m stylegan_tf.train --flagfile=THIS_FILE --run_dir=ANOTHER_FOLDER"]
    always = {*architecture_options(), "start_resolution"} if config.init_from else set()
    for name, (field, value) in _options(config).items():
        text = value_text(value)
        if text is not None and (value != field.default or name in always):
            if text != text.strip() or "\n" in text:
                raise UserError(f"--{name} begins or ends with a space or holds a line break, which no flag file can.")
            lines.append(f"--{name}={text}")
    with written_aside(path) as temporary:
        # Names of files may be any bytes.
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")


def architecture_options() -> set[str]:
    """Names of the options that describe the networks and have a flag."""
    fields = option_fields(GeneratorConfig) + option_fields(DiscriminatorConfig)
    return {f.name for f in fields if f.metadata["option"].group is not FROM_DATA_SET} | {"resolution"}


def _options(config: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """(field, value) by name, in the order of `--help`."""
    parts = (config, config.schedule, config.losses, config.generator, config.discriminator)
    return {
        field.name: (field, getattr(part, field.name))
        for group in GROUPS
        for part in parts
        for field in option_fields(type(part))
        if field.metadata["option"].group == group
    }
