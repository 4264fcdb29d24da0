"""What a run is: networks, data and options, recorded in every checkpoint; and what a resumed run may change.

The networks cannot change: an option of theirs that has no shape (`--mapping_lrmul`, `--noblur`) would turn them into
others without a word. Everything else can, and is told in one line a difference.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.option import option_fields, value_text
from stylegan_tf.data.dataset_digest import dataset_facts
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.errors import UserError

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
