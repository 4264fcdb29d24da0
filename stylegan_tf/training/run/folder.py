"""The run folder as a whole: one process at a time, no leftovers, and what to do when a write fails."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.files.file_errors import FULL, reason_of
from stylegan_tf.files.locks import locked

_ADVICE = "wait for it, stop it, or choose another --run_dir"


@contextlib.contextmanager
def locked_run_folder(run_dir: os.PathLike, note: Note = ignore) -> Iterator[list[str]]:
    """Makes the folder and keeps other processes out of it; yields lines for the user.

    What a killed process was writing is removed. Raises UserError if another process has the folder, or nothing can be
    written there.
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


@contextlib.contextmanager
def write_errors_named(path: os.PathLike) -> Iterator[None]:
    """Put it around code that writes `path`: a full disk and the like become a UserError, the file as it was."""
    try:
        yield
    except OSError as error:
        full = error.errno in FULL
        advice = "make room" if full else "make it writable, or choose another --run_dir"
        raise UserError(
            f"cannot write {path}: {reason_of(error)}. What was saved before is as it was: {advice}, and the "
            "same command goes on from the last checkpoint."
        ) from error
