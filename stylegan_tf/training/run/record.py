"""A run in words: the record in its checkpoints, its flag file, and the facts that its processes compare.

All three are made from `TrainConfig.options()`, so that none can lack an option that another one has.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.networks import architecture_options
from stylegan_tf.config.option import option_fields, value_text
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.inspection import dataset_facts
from stylegan_tf.files.atomic_write import atomic_write

# What sets those options of the networks that have no flag.
_CAUSES = {
    "resolution": "`resolution`, or a dataset of another resolution",
    "num_channels": "a dataset with another number of channels",
    "label_size": "`conditional`, or a dataset with other labels",
}


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What a run is, as its checkpoints have it: JSON values only."""

    generator: Mapping[str, Any]  # The options of the networks by name.
    discriminator: Mapping[str, Any]
    data: Mapping[str, Any]  # Facts of the dataset: see `dataset_facts`.
    options: Mapping[str, Optional[str]]  # All other options, each as its flag takes it; the number of replicas.

    @classmethod
    def of(cls, config: TrainConfig, info: DatasetInfo, replicas: int = 1) -> "RunRecord":
        """replicas: how many share a batch; the paper's batch sizes and learning rates follow from it."""
        networks = config.network_configs(info.resolution, info.num_channels, info.label_size)
        of_networks = {name for network in networks for name in network.options()}
        options = {
            name: value_text(value, field.metadata["option"].table_by)
            for name, (field, value) in config.options().items()
            if name.rpartition(".")[2] not in of_networks and not field.metadata["option"].is_location
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

    Raises UserError, naming the options, if the networks would be others.
    """
    _check_networks(before, now, run_dir)
    lines = [f"{name} {was} -> {value}" for name, was, value in _differences(before.options, now.options)]
    return lines + [f"warning: {line}" for line in data_changes(before, now)]


def data_changes(before: RunRecord, now: RunRecord) -> list[str]:
    """One line for every fact of the dataset that is not what it was."""
    differences = _differences(before.data, now.data)
    return [f"the dataset has changed: {name} {was} -> {value}" for name, was, value in differences]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, before, now); what an older version did not record has not changed."""
    return [
        (name, _shown(before[name]), _shown(value))
        for name, value in now.items()
        if name in before and before[name] != value
    ]


def _check_networks(before: RunRecord, now: RunRecord, run_dir: os.PathLike) -> None:
    differing = {}
    for old, new, kind in (
        (before.generator, now.generator, GeneratorConfig),
        (before.discriminator, now.discriminator, DiscriminatorConfig),
    ):
        defaults = {field.name: field.default for field in option_fields(kind)}
        # An older version did not have the option: its default holds.
        differing.update({name: pair for name, *pair in _differences({**defaults, **old}, new)})
    if differing:
        named = ", ".join(
            f"{_CAUSES.get(name, f'`{name}`')} ({was} -> {value})" for name, (was, value) in differing.items()
        )
        raise UserError(
            f"the run in {run_dir} was started with other networks, which cannot change when it resumes: {named}. "
            "Leave that out to resume the run as it began, or start a new one in another `run_dir` (`init_from` takes "
            "over its weights)."
        )


def _shown(value: Any) -> str:
    return "(not set)" if value in (None, "") else value_text(value)


def run_facts(config: TrainConfig, info: DatasetInfo) -> dict[str, Any]:
    """What all processes of a run must have in common, as JSON values by their names for the user."""
    facts = {"the program's source": _source_digest()}
    for name, (field, value) in config.options().items():
        if not field.metadata["option"].is_location:
            facts[f"`{name}`"] = dict(value) if isinstance(value, Mapping) else value  # JSON makes the keys text.
    data = {**dataset_facts(info), "encoding": info.encoding, "images by shard": list(info.shard_counts)}
    facts.update({f"a dataset with {name}": value for name, value in data.items()})
    return facts


def _source_digest() -> str:
    digest = hashlib.sha256()
    package = pathlib.Path(__file__).resolve().parents[2]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def recorded_init_from(flag_file: str, given: Optional[str]) -> Optional[str]:
    """What a run started from, as its flag file says; `given` where there is no such file."""
    if not os.path.exists(flag_file):
        return given
    lines = pathlib.Path(flag_file).read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    return next((line.partition("=")[2] for line in lines if line.startswith("--init_from=")), None)


def write_flag_file(path: os.PathLike, config: TrainConfig) -> None:
    """Writes every option that differs from its default, so that `--flagfile=PATH` replays the run.

    Of a run that started with the weights of a file, all that was taken from that file is written: the run can be
    resumed when the file is no longer there.
    """
    lines = ["# Replays this run: python -m stylegan_tf.train --flagfile=THIS_FILE --run_dir=ANOTHER_FOLDER"]
    always = {*architecture_options(), "start_resolution"} if config.init_from else set()
    for name, (field, value) in config.options().items():
        text = value_text(value, field.metadata["option"].table_by)
        if text is not None and (value != field.default or name in always):
            if text != text.strip() or "\n" in text:
                raise UserError(f"`{name}` begins or ends with a space or holds a line break, which no flag file can.")
            is_flag = "." not in name
            lines.append(f"--{name}={text}" if is_flag else f"# No flag says that {name} is {text}.")
    with atomic_write(path) as temporary:
        # Names of files may be any bytes.
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
