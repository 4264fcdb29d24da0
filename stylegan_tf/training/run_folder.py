"""The run folder as a whole: one process at a time, no leftovers, and what to do when a write fails."""

import contextlib
import errno
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator

from stylegan_tf.errors import UserError

_LOCK = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def locked_run_folder(run_dir: os.PathLike) -> Iterator[list[str]]:
    """Makes the folder and keeps other processes out of it; yields lines for the user.

    The kernel drops the lock with the process, however it ends. What a killed process was writing is removed.
    Raises UserError if another process has the folder, or nothing can be written there.
    """
    run_dir = pathlib.Path(run_dir)
    with write_errors_named(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
        stream = open(run_dir / _LOCK, "a+", encoding="utf-8")
    with stream:
        notes = _lock(stream, run_dir)
        with write_errors_named(run_dir):
            for leftover in [*run_dir.glob(".*.tmp"), *run_dir.glob("checkpoints/.*.tmp")]:
                leftover.unlink(missing_ok=True)
        yield notes


@contextlib.contextmanager
def write_errors_named(path: os.PathLike) -> Iterator[None]:
    """Put it around code that writes `path`: a full disk and the like become a UserError, the file as it was."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room" if full else "make it writable, or choose another --run_dir"
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. What was saved before is as it was: {advice}, and the "
            "same command goes on from the last checkpoint."
        ) from error


def _lock(stream, run_dir) -> list[str]:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        holder = stream.read().strip() or "another process"
        raise UserError(
            f"the run folder {run_dir} is in use by {holder}: wait for it, stop it, or choose another --run_dir."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return [f"warning: {run_dir} is on a file system without locks: take care that no other process trains there"]
    with write_errors_named(run_dir / _LOCK):
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
    return []
