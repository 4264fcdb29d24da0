"""A folder of downloaded files whose size is bounded, for all processes of a machine together.

Locks of the kernel (flock) say what is in use and what is being written: a killed process leaves nothing behind that
is taken for whole, or stays for ever.
"""

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator
from typing import BinaryIO, Callable, Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.files.locks import is_in_place

_PATIENCE = 120.0  # Seconds that a file waits until others make room.
_PARTIAL = ".partial"


class CachedFile:
    """A file that is not removed before it is closed."""

    def __init__(self, path: pathlib.Path, stream: BinaryIO):
        self.path, self._stream = path, stream

    def close(self) -> None:
        with self._stream:
            os.utime(self._stream.fileno())


class BlockCache:
    """`open` downloads what is missing, and removes what is needed latest to make room.

    current: prefixes of the names that are read in turn, again and again. Of these, what was just read is needed
    latest; before them, all other files go, the oldest first.
    """

    def __init__(self, folder: os.PathLike, limit: int):
        """limit: in bytes."""
        self._folder, self._limit = make_folder(folder), limit
        self._sound: set[str] = set()  # Names of what this process has compared.
        self.current: tuple[str, ...] = ()
        with self._total() as total:
            total[0] = self._make_room(limit)

    def open(
        self, name: str, size: int, download: Callable[[], bytes], is_sound: Callable[[bytes], bool], wait: bool = True
    ) -> Optional[CachedFile]:
        """The file `name` of `size` bytes. download: called if it is not there, or is no longer sound.

        Raises UserError if nothing else can be removed for two minutes; None without `wait`.
        """
        path = self._folder / name
        while True:
            stream = _locked(path, fcntl.LOCK_SH)
            if stream is None:
                if not self._download(path, size, download, wait):
                    return None
                continue
            if name in self._sound or is_sound(path.read_bytes()):
                self._sound.add(name)
                return CachedFile(path, stream)
            stream.close()
            with self._total():
                _remove(path)

    def _download(self, path: pathlib.Path, size: int, download: Callable[[], bytes], wait: bool) -> bool:
        """Returns whether it is time to look again: it is there, or another process has been at it."""
        partial = path.with_name(path.name + _PARTIAL)
        with open(partial, "a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not is_in_place(partial, stream):  # Whoever had the lock has renamed or removed it.
                return True
            is_whole = False
            try:
                if path.exists():
                    return True
                if not self._reserve(stream, size, wait):
                    return False
                content = download()
                with open(partial, "r+b") as target:
                    target.write(content)
                with self._total():  # Nobody counts meanwhile.
                    os.replace(partial, path)
                is_whole = True
                self._sound.add(path.name)
                return True
            finally:
                if not is_whole:
                    with self._total() as total:
                        total[0] -= os.fstat(stream.fileno()).st_size
                        partial.unlink()

    def _reserve(self, stream: BinaryIO, size: int, wait: bool) -> bool:
        """Gives the file its size from the start, so that it counts."""
        until = time.monotonic() + _PATIENCE
        while True:
            with self._total() as total:
                more = size - os.fstat(stream.fileno()).st_size
                if total[0] + more > self._limit:
                    total[0] = self._make_room(self._limit - more)
                if total[0] + more <= self._limit:
                    stream.truncate(size)
                    total[0] += more
                    return True
            if not wait:
                return False
            if time.monotonic() > until:
                raise UserError(
                    f"{self._folder} is full of what is being read, its limit of {self._limit / 2**30:.3g} GiB is too "
                    "low: give more `cache_gib`, or each of the processes that share it a `cache_dir` of its own."
                )
            time.sleep(0.05)

    @contextlib.contextmanager
    def _total(self) -> Iterator[list[int]]:
        """[bytes of all files], for one at a time; a killed process may leave it too high until `_make_room` counts."""
        with open(self._folder / ".total", "a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            text = stream.read(32)
            total = [int(text) if text.isdigit() else self._limit + 1]
            try:
                yield total
            finally:
                stream.truncate(0)
                stream.write(b"%d" % total[0])
                stream.flush()

    def _make_room(self, most: int) -> int:
        """Removes files until they have `most` bytes, and a few more at once; returns how many they have."""
        files = []
        for entry in os.scandir(self._folder):
            if entry.name != ".total":
                state = entry.stat()
                is_current = entry.name.startswith(self.current) and not entry.name.endswith(_PARTIAL)
                age = -state.st_mtime if is_current else state.st_mtime
                files.append((is_current, age, entry.path, state.st_size))
        total = sum(size for *_, size in files)
        if total > most:
            for *_, path, size in sorted(files):
                if total <= most - self._limit // 64:
                    break
                total -= size if _remove(path) else 0
        return total


def _locked(path: os.PathLike, operation: int) -> Optional[BinaryIO]:
    """The open file; None if it is not there, was just removed, or (with LOCK_NB) is locked."""
    try:
        stream = open(path, "rb")
    except FileNotFoundError:
        return None
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(stream, operation)
        if is_in_place(path, stream):
            return stream
    stream.close()
    return None


def _remove(path: os.PathLike) -> bool:
    """Unless it is in use."""
    stream = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if stream is None:
        return False
    with stream:
        os.unlink(path)
    return True
