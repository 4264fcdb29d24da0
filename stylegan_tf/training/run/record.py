"""flags.cfg of a run folder: the options of the run as a flag file, which replays it."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.option import FROM_DATA_SET, GROUPS, option_fields, value_text
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.dataset_summary import dataset_facts
from stylegan_tf.data.tfrecord_files import HEADER
from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.digests import file_sha256

# Where things are, and what is read when a run starts only: no difference to the run.
_LEFT_OUT = ("data_dir", "run_dir", "init_from")
# The flags behind what the data set decides of a network.
_CAUSES = {
    "resolution": "--resolution, or a data set of another resolution",
    "num_channels": "a data set with another number of channels",
    "label_size": "--conditional, or a data set with other labels",
}


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """JSON values only."""

    generator: Mapping[str, Any]  # The options of the networks by name.
    discriminator: Mapping[str, Any]
    data: Mapping[str, Any]  # Facts of the data set: see `dataset_facts`.
    options: Mapping[str, Optional[str]]  # All other options, each as its flag takes it; the number of replicas.

    @classmethod
    def of(cls, config: TrainConfig, info: DatasetInfo, replicas: int = 1) -> "RunRecord":
        """replicas: how many share a batch; the paper's batch sizes and learning rates follow from it."""
        networks = config.network_configs(info.resolution, info.num_channels, info.label_size)
        options = {
            field.name: value_text(getattr(part, field.name))
            for part in (config, config.schedule, config.losses)
            for field in option_fields(type(part))
            if field.name not in _LEFT_OUT
        }
        options["replicas"] = str(replicas)
        return cls(*(network.to_dict() for network in networks), dataset_facts(info), options)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunRecord":
        """The inverse of `dataclasses.asdict`. Raises UserError for a record that this version cannot read."""
        parts = [values.get(field.name) for field in dataclasses.fields(cls)]
        if not all(isinstance(part, Mapping) for part in parts):
            raise UserError("the newest checkpoint's record of the run is incomplete: written by another version?")
        return cls(*parts)


def changes(before: RunRecord, now: RunRecord, run_dir: os.PathLike) -> list[str]:
    """One line for every difference that a resumed run may have.

    Raises UserError, naming the flags, if the networks would be others.
    """
    _check_networks(before, now, run_dir)
    lines = [
        f"{name} {_shown(before.options.get(name))} -> {_shown(value)}"
        for name, value in now.options.items()
        if name in before.options and before.options[name] != value
    ]
    return lines + [f"warning: {line}" for line in data_changes(before, now)]


def data_changes(before: RunRecord, now: RunRecord) -> list[str]:
    """One line for every fact of the data set that is not what it was."""
    return [
        f"the data set has changed: {name} {_shown(before.data.get(name))} -> {_shown(value)}"
        for name, value in now.data.items()
        if name in before.data and before.data[name] != value
    ]


def _check_networks(before: RunRecord, now: RunRecord, run_dir: os.PathLike) -> None:
    differing = {}
    for old, new, kind in (
        (before.generator, now.generator, GeneratorConfig),
        (before.discriminator, now.discriminator, DiscriminatorConfig),
    ):
        defaults = {field.name: field.default for field in option_fields(kind)}
        for name, value in new.items():
            was = old.get(name, defaults.get(name))  # An older version did not have the option: its default holds.
            if was != value:
                differing[name] = (was, value)
    if differing:
        named = ", ".join(
            f"{_CAUSES.get(name, f'--{name}')} ({_shown(value_text(was))} -> {_shown(value_text(value))})"
            for name, (was, value) in differing.items()
        )
        raise UserError(
            f"the run in {run_dir} has other networks, which cannot change when it is resumed: {named}. Leave that out "
            "to go on as the run began, or start a new run in another --run_dir (--init_from takes over its weights)."
        )


def _shown(value: Any) -> str:
    return "(not set)" if value in (None, "") else str(value)


_OF_A_MACHINE = ("data_dir", "run_dir", "init_from", "tpu")  # The same things may have other names elsewhere.


def run_facts(config: TrainConfig, info: DatasetInfo) -> dict[str, Any]:
    """By their names for the user."""
    facts = {"the program's source": _source_digest()}
    for part in (config, config.generator, config.discriminator, config.schedule, config.losses):
        for field in option_fields(type(part)):  # What the data set decides of the networks is not known yet.
            if field.metadata["option"].group is not FROM_DATA_SET and field.name not in _OF_A_MACHINE:
                facts[f"--{field.name}"] = _plain(getattr(part, field.name))
    facts.update({f"a data set with {name}": value for name, value in _data_facts(info).items()})
    return facts


def _plain(value: Any) -> Any:
    return {str(key): entry for key, entry in value.items()} if hasattr(value, "items") else value


def _data_facts(info: DatasetInfo) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in info.shards(info.resolution):
        with open(path, "rb") as stream:
            head = stream.read(HEADER.size)
            length = HEADER.unpack(head)[0] if len(head) == HEADER.size else 0
            digest.update(head + stream.read(min(length, 2**20)))
    if info.labels_path:
        digest.update(file_sha256(info.labels_path).encode())
    return {
        "images": info.count,
        "pixels": info.resolution,
        "channels": info.num_channels,
        "labels": info.label_size,
        "encoding": info.encoding,
        "images by shard": list(info.shard_counts),
        "content": digest.hexdigest()[:16],
    }


def _source_digest() -> str:
    digest = hashlib.sha256()
    package = pathlib.Path(__file__).resolve().parents[2]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


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
    with atomic_write(path) as temporary:
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
