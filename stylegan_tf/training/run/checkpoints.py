"""The `checkpoints/` of a run folder: each is one file, which is verified as a whole before any of it is used."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.training import FLAG_FILE
from stylegan_tf.distribution.processes import Processes
from stylegan_tf.files.arrays import DamagedFile, check_finite, read_arrays, read_described, write_arrays
from stylegan_tf.training.run.record import RunRecord
from stylegan_tf.training.state import TrainState

_ENTRY = "checkpoint"
_RECORD = "run"  # The `RunRecord` within that entry.
_FORMAT_VERSION = 1
_OPTIONAL = "augmentation/"  # Missing in checkpoints of older versions: these variables keep their initial values.
_FILE_NAME = re.compile(r"images-(\d+)\.npz")


class Checkpoints:
    """Saves the state, restores the newest good checkpoint, and removes old ones.

    A file holds every variable of `TrainState.variables` under "part/name", with a checksum each. It is named
    `images-N.npz` for N images seen, and written atomically.
    """

    def __init__(
        self, state: TrainState, run_dir, keep: int, keep_every_kimg: float = 0.0, record: Optional[RunRecord] = None
    ):
        """Keeps the `keep` newest files, and the first of every `keep_every_kimg` thousand images.

        record: stored with the state, for `newest_record`.
        """
        self._state = state
        self._record = record
        self.folder = _folder(run_dir)
        self._keep, self._keep_every = keep, round(keep_every_kimg * 1000)
        self.warnings: list[str] = []  # About files that `restore` skipped.

    def save(self) -> str:
        """Writes a checkpoint, then removes older ones; returns its path."""
        arrays = {name: variable.numpy() for name, variable in self._variables().items()}
        seen = self._state.images_seen
        path = _path(self.folder, seen)
        record = {} if self._record is None else {_RECORD: dataclasses.asdict(self._record)}
        write_arrays(path, _ENTRY, {"format_version": _FORMAT_VERSION, **record}, arrays)
        numbers = _numbers(self.folder)
        # One with a higher number is damaged: `restore` skipped it.
        kept = kept_numbers([number for number in numbers if number <= seen], self._keep, self._keep_every)
        for number in set(numbers) - kept:
            _path(self.folder, number).unlink(missing_ok=True)
        return str(path)

    @property
    def latest(self) -> Optional[str]:
        """The newest file, or None."""
        numbers = _numbers(self.folder)
        return str(_path(self.folder, numbers[-1])) if numbers else None

    def restore(self) -> bool:
        """Restores the newest good checkpoint into the state; False if there is no checkpoint.

        Damaged ones are skipped, each with a line in `warnings`. The state changes only after a complete file has been
        verified. Raises UserError if a checkpoint does not fit the configured networks, or if all are damaged.
        """
        damaged = []
        for number in reversed(_numbers(self.folder)):
            path = _path(self.folder, number)
            try:
                arrays = self._read(path)
            except DamagedFile as error:
                damaged.append(f"{os.path.relpath(path)} is damaged ({str(error)[:200]})")
                continue
            self._check_fits(path, arrays)
            for name, variable in self._variables().items():
                if name in arrays:
                    variable.assign(arrays[name])
            how = f"resuming from {os.path.relpath(path)}, {number} images"
            self.warnings = [f"warning: checkpoint {text}: {how}" for text in damaged]
            return True
        if damaged:
            raise UserError(
                f"no checkpoint of this run can be read: {'; '.join(damaged)}. Restore a copy, or start a new run in "
                "another `run_dir` (`init_from` takes the newest network file)."
            )
        return False

    def _read(self, path: pathlib.Path) -> dict[str, np.ndarray]:
        description, arrays = read_described(path, "checkpoint", _ENTRY)
        version = description.get("format_version")
        if isinstance(version, int) and version > _FORMAT_VERSION:
            raise UserError(f"{path} has format version {version}; this program reads up to {_FORMAT_VERSION}.")
        check_finite(path, arrays)
        return arrays

    def _variables(self) -> dict[str, tf.Variable]:
        return {f"{part}/{name}": v for part, named in self._state.variables.items() for name, v in named.items()}

    def _check_fits(self, path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
        expected = {name: (tuple(v.shape), v.dtype.as_numpy_dtype) for name, v in self._variables().items()}
        found = {name: (array.shape, array.dtype.type) for name, array in arrays.items()}
        for name in sorted(set(expected) | set(found)):
            if expected.get(name) != found.get(name) and (name in found or not name.startswith(_OPTIONAL)):
                there, here = _described(found.get(name)), _described(expected.get(name))
                raise UserError(
                    f"checkpoint {os.path.relpath(path)} does not fit this run ({name}: {here} expected, {there} "
                    f"found). Start with the options in {os.path.relpath(self.folder.parent / FLAG_FILE)}, or choose "
                    "another `run_dir`."
                )


def newest_record(run_dir: os.PathLike) -> Optional[RunRecord]:
    """The record in the newest readable checkpoint of a run folder; None if there is none."""
    folder = _folder(run_dir)
    for number in reversed(_numbers(folder)):
        path = _path(folder, number)
        try:
            description = json.loads(str(read_arrays(path, "checkpoint", only=[_ENTRY])[_ENTRY]))
        except (DamagedFile, KeyError, ValueError, RecursionError):  # `restore` reports it.
            continue
        found = description.get(_RECORD) if isinstance(description, dict) else None
        if found is not None:
            return RunRecord.from_dict(found)
        break  # Written before there were records.
    return None


def _folder(run_dir: os.PathLike) -> pathlib.Path:
    return pathlib.Path(run_dir) / "checkpoints"


def _path(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / f"images-{number}.npz"


def _numbers(folder: pathlib.Path) -> list[int]:
    """Images seen of all checkpoints in the folder, ascending."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match[1]) for match in map(_FILE_NAME.fullmatch, names) if match)


def kept_numbers(numbers: Iterable[int], keep: int, keep_every: int) -> set[int]:
    """Which checkpoints, by images seen, are kept: the `keep` newest, and the first of every `keep_every` images.

    The latter are the first at or after keep_every, 2 * keep_every, ..., which newer ones do not change.
    """
    numbers = sorted(numbers)
    kept = set(numbers[-keep:])
    periods: dict[int, int] = {}
    for number in numbers if keep_every else []:
        periods.setdefault(number // keep_every, number)
    return kept | {number for period, number in periods.items() if period}


def _described(shape_and_kind) -> str:
    return "missing" if shape_and_kind is None else f"{np.dtype(shape_and_kind[1]).name} {list(shape_and_kind[0])}"


def restore_on_all_workers(checkpoints: Checkpoints, state: TrainState, processes: Processes) -> bool:
    """Restores the chief's newest checkpoint in every process; returns whether there is one. For all to call.

    Raises UserError in a process that finds another one, and if the checkpoints of a run were removed.
    """
    shared = "it has to be one folder on a file system that all machines share."
    resumed = checkpoints.restore() if processes.is_chief else False
    chiefs = processes.of_chief(state.images_seen if resumed else -1)
    if not processes.is_chief:
        resumed = checkpoints.restore()
        mine = state.images_seen if resumed else -1
        if mine != chiefs:
            raise UserError(
                f"process {processes.index} finds {_described_place(mine)} in `run_dir`, the chief "
                f"{_described_place(chiefs)}: {shared}"
            )
    if resumed and processes.count > 1 and not processes.agree_on(state.fingerprint):
        raise UserError(f"the processes find different weights at {chiefs} images in `run_dir`: {shared}")
    if not resumed:
        run_dir = checkpoints.folder.parent
        check_new(run_dir, (path.name for path in run_dir.glob("*")))
        if processes.is_chief and (run_dir / FLAG_FILE).exists():
            checkpoints.warnings = ["note: an earlier start in this folder saved no checkpoint: training starts anew"]
    return resumed


def check_new(run_dir: Union[str, os.PathLike], names: Iterable[str]) -> None:
    """UserError if a new run would replace the results of another: its own come after its first checkpoint.

    names: of all files in the folder or bucket `run_dir`, which has no checkpoint.
    """
    results = sorted(name for name in names if re.fullmatch(r"metric-.*\.jsonl|network-.*\.npz", name))
    if results:
        raise UserError(
            f"`run_dir` {run_dir} holds {results[-1]} of an earlier run, but no checkpoint: give another folder, where "
            f"`init_from={run_dir}` starts with its weights, or remove its files."
        )


def _described_place(images_seen: int) -> str:
    return "no checkpoint" if images_seen < 0 else f"a checkpoint at {images_seen} images"
