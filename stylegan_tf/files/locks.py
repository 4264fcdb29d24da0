"""Locks: one process at a time in a folder, in a file, on one machine or on several with a common disk.

The kernel's lock on a file ends with its process, however that ends. It does not always reach other machines (some
network file systems keep it local, some have none), so the holder also writes its name into the file and renews the
file's time every ten seconds: after a minute without this heartbeat it counts as dead.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import BinaryIO, Optional

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import parse_line

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_HEARTBEAT = 10.0  # Seconds.
_DEAD_AFTER = 60.0
_POLL = 0.05


@contextlib.contextmanager
def locked(
    path: os.PathLike, what: str, advice: str = "wait for it, or stop it", wait: float = 0.0, note: Note = ignore
) -> Iterator[list]:
    """Holds the lock file `path`, which is created, and removed at the end. Yields lines for the user, mostly none.

    Args:
      what: is in use, for the message: "the run folder runs/demo".
      wait: seconds to wait for another holder. One on another machine is waited for until it is known to be alive.
      note: takes a line when that wait begins.
    Raises:
      UserError, naming the holder, if another process has it; OSError if the file cannot be written.
    """
    lock = _Lock(pathlib.Path(path), note)
    until = time.monotonic() + wait
    while not lock.acquire():
        if lock.holder and time.monotonic() >= until:
            raise UserError(f"{what} is in use by {lock.holder}: {advice}.")
        time.sleep(_POLL)
    try:
        with lock.heartbeat():
            yield lock.warnings
    finally:
        lock.release()


def is_in_place(path: os.PathLike, stream: BinaryIO) -> bool:
    """Whether an open file is still the one at `path`: another process may have removed or replaced it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
    return False


class _Lock:
    """One attempt after another at a lock file."""

    def __init__(self, path: pathlib.Path, note: Note):
        self._path, self._note = path, note
        self._stream = None
        self._token = secrets.token_hex(8)
        self._watched = None  # (token of a holder elsewhere, time of the file), and since when it is watched.
        self.holder: Optional[str] = None
        self.warnings: list[str] = []

    def acquire(self) -> bool:
        """Whether it is ours now; if not, `holder` describes a process that has it and is known to be alive."""
        self.holder = None
        try:
            with contextlib.ExitStack() as stack:
                stream = stack.enter_context(open(self._path, "a+", encoding="utf-8", errors="replace"))
                by_kernel = self._kernel_lock(stream)
                if by_kernel is None or not self._is_free(stream, by_kernel):
                    return False
                # Its last holder may have removed the file that was opened.
                if is_in_place(self._path, stream) and self._sign(stream, by_kernel):
                    self._stream = stream
                    stack.pop_all()
        except OSError as error:  # On a full disk, writing and closing name no file.
            raise OSError(error.errno, error.strerror, os.fspath(self._path)) from error
        return self._stream is not None

    def _kernel_lock(self, stream) -> Optional[bool]:
        """True: acquired; False: this file system has no locks; None: another process has it."""
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            self.holder = _described(_content(stream))
            return None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self.warnings = [
                f"warning: {self._path.parent} is on a file system without locks: make sure that no other process "
                "works there"
            ]
            return False

    def _is_free(self, stream, by_kernel: bool) -> bool:
        """Whether it names no holder, or one that gave no heartbeat for a minute."""
        holder = _content(stream)
        if holder is None or (by_kernel and holder.get("machine") == boot_id()):
            return True  # Its kernel has dropped the lock.
        seen = (holder.get("token"), os.fstat(stream.fileno()).st_mtime)
        if self._watched is None:
            self._note(f"waiting for a heartbeat of {_described(holder)}, for {_DEAD_AFTER:.0f} s at most")
            self._watched = (seen, time.monotonic())
        if self._watched[0] != seen:
            self.holder = _described(holder)
            return False
        return time.monotonic() - self._watched[1] > _DEAD_AFTER

    def _sign(self, stream, by_kernel: bool) -> bool:
        name = {"process": os.getpid(), "host": socket.gethostname(), "machine": boot_id(), "token": self._token}
        stream.truncate(0)
        stream.write(json.dumps(name) + "\n")
        stream.flush()
        if not by_kernel:  # Another process may have signed at the same moment: the last one has it.
            time.sleep(4 * _POLL)
        return (_content(stream) or {}).get("token") == self._token

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        end = threading.Event()

        def renew():
            while not end.wait(_HEARTBEAT):
                with contextlib.suppress(OSError, ValueError):
                    os.utime(self._stream.fileno())

        threading.Thread(target=renew, daemon=True, name="heartbeat").start()
        try:
            yield
        finally:
            end.set()

    def release(self) -> None:
        with self._stream, contextlib.suppress(OSError):
            if (_content(self._stream) or {}).get("token") == self._token:
                self._path.unlink()


def _content(stream) -> Optional[dict]:
    stream.seek(0)
    return parse_line(stream.read(4096))


def _described(holder: Optional[dict]) -> str:
    return f"process {holder.get('process')} on {holder.get('host')}" if holder else "another process"


@functools.cache
def boot_id() -> str:
    """Identifies the running kernel: differs after every boot, the same in all containers. Hexadecimal digits."""
    try:
        text = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:  # Not Linux.
        text = f"{socket.gethostname()} {uuid.getnode()}"
    return hashlib.sha256(text.encode()).hexdigest()
