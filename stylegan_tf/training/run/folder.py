"""The folder of a run: where it is, and the lock on it."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.distribution.cluster import cluster_from_environment
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.files.locks import locked
from stylegan_tf.files.working_copy import working_copy
from stylegan_tf.training.reports.disk import write_errors_named

_ADVICE = "wait for it, stop it, or choose another `run_dir`"


def files_to_resume(config: TrainConfig) -> list[str]:
    """Patterns of the files of a run folder that a resumed run reads or adds to."""
    old_networks = [] if config.keep_networks is None else ["network-*.npz"]
    return ["checkpoints/*", "*.jsonl", "log.txt", "flags.cfg", "reals.png", *old_networks]


@contextlib.contextmanager
def local_run_folder(config: TrainConfig, note: Note = ignore, warn: Note = ignore):
    """(config with a local `run_dir`, a function to call at every tick). What the chief writes reaches a bucket, too.

    note: takes a line about a folder in a bucket; warn: see `working_copy`.
    """
    cluster = cluster_from_environment()
    is_chief = cluster is None or cluster.index == 0
    with working_copy(config.run_dir, files_to_resume(config), is_chief, warn) as copy:
        if str(copy.folder) != config.run_dir:
            note(f"run folder {config.run_dir}, uploaded from {copy.folder}")
            config = dataclasses.replace(config, run_dir=str(copy.folder))
        yield config, copy.check


@contextlib.contextmanager
def locked_run_folder(run_dir: os.PathLike, note: Note = ignore) -> Iterator[list[str]]:
    """Creates the folder and keeps other processes out of it; yields lines for the user.

    Temporary files of a killed process are removed. Raises UserError if another process has the lock, or the folder is
    not writable.
    """
    run_dir = pathlib.Path(run_dir)
    with contextlib.ExitStack() as stack:
        with write_errors_named(run_dir):
            make_folder(run_dir)
            lock = locked(run_dir / ".lock", f"the run folder {run_dir}", _ADVICE, note=note)
            notes = stack.enter_context(lock)
            for leftover in [*run_dir.glob(".*.tmp"), *run_dir.glob("checkpoints/.*.tmp")]:
                leftover.unlink(missing_ok=True)
        yield notes
