"""Files that are there as a whole or not at all, also after a power cut.

A file is written under another name in the same folder, goes to the disk, and gets its name then: what has its name
is whole. Waiting for the disk takes milliseconds, so many files share one wait (`publish`).
"""

import contextlib
import errno
import fcntl
import functools
import os
import pathlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from stylegan_tf.files.addresses import check_local
from stylegan_tf.files.locks import boot_id

_SUFFIX = ".tmp"
_OLD = 3600.0  # Seconds without a change after which what another machine was writing counts as left behind.
_NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS)
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@contextlib.contextmanager
def atomic_write(path: os.PathLike) -> Iterator[pathlib.Path]:
    """`with atomic_write(path) as temporary: ...` gives what was written to `temporary` the name `path` at the end.

    Then it is on the disk, too. An older file of that name is replaced in one step; where `path` is a link, the file
    that it leads to. If the block fails, the older file stays and the temporary one goes; what a killed process has
    left of the same file goes first. An OSError names `path`.
    """
    path = followed(path)
    temporary = temporary_name(path)
    with errors_name(path, temporary):
        _remove_leftovers(path)
        descriptor = _reserve(temporary)
        try:
            yield temporary
            publish([(temporary, path)])
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):  # The disk may be gone.
                temporary.unlink(missing_ok=True)


class AtomicGroup:
    """Many files that get their names together: they share the wait for the disk. `write` may be called by threads.

    What is not published when the process ends is gone, and is removed by the next one that calls `remove_leftovers`.
    """

    def __init__(self):
        self._waiting: list[tuple[int, pathlib.Path, pathlib.Path]] = []  # Descriptor, temporary name, name.

    def __len__(self) -> int:
        return len(self._waiting)

    def write(self, path: os.PathLike, content: bytes) -> None:
        path = followed(path)
        temporary = temporary_name(path)
        with errors_name(path, temporary):
            descriptor = _reserve(temporary)
            self._waiting.append((descriptor, temporary, path))
            with open(descriptor, "wb", closefd=False) as stream:
                stream.write(content)

    def publish(self) -> None:
        """Returns when all that was written is on the disk under its name."""
        try:
            publish([(temporary, path) for _, temporary, path in self._waiting])
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes what was not published."""
        while self._waiting:
            descriptor, temporary, _ = self._waiting.pop()
            os.close(descriptor)
            with contextlib.suppress(OSError):  # The disk may be gone.
                temporary.unlink(missing_ok=True)


def followed(path: os.PathLike) -> pathlib.Path:
    """What the link `path` leads to, also where there is nothing yet; `path` itself if it is no link."""
    check_local(path)
    return pathlib.Path(os.path.realpath(path) if os.path.islink(path) else path)


def temporary_name(path: pathlib.Path) -> pathlib.Path:
    """A new hidden name beside `path`: a rename cannot cross file systems. It says on which machine it was made."""
    return path.with_name(f".{_start(path.name)}.{_machine()}{secrets.token_hex(4)}{_SUFFIX}")


def _start(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:200])  # A name has at most 255 bytes.


def is_temporary(path: pathlib.Path) -> bool:
    """Whether it has the name of a file that is being written, or was when its process was killed."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def publish(pairs: Sequence[tuple[os.PathLike, os.PathLike]]) -> None:
    """Brings the first of each pair to the disk, then gives it the second's name, then brings the names to the disk.

    The files are waited for together: 256 small pictures take hardly longer than a few.
    """
    sync_files([temporary for temporary, _ in pairs])
    for temporary, path in pairs:
        os.replace(temporary, path)
    for folder in {os.path.dirname(os.path.abspath(path)) for _, path in pairs}:
        sync_folder(folder)


def sync_files(paths: Iterable[os.PathLike]) -> None:
    """Returns when the content of these files is on the disk."""
    paths = list(paths)
    if len(paths) < 2:
        for path in paths:
            _sync(path)
        return
    with ThreadPoolExecutor(min(len(paths), 16)) as pool:  # The file system writes down what waits at once in one go.
        list(pool.map(_sync, paths))


def sync_folder(folder: os.PathLike) -> None:
    """Returns when the names in the folder are on the disk, where the file system offers that."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def sync_tree(folder: os.PathLike) -> None:
    """Returns when all files in the folder, and in those within it, are on the disk with their names."""
    folders, files = [], []
    for parent, _, names in os.walk(folder):
        folders.append(parent)
        files += [os.path.join(parent, name) for name in names]
    sync_files(files)
    for path in folders:
        sync_folder(path)


def make_folder(folder: os.PathLike) -> pathlib.Path:
    """The folder, with those around it; new ones are on the disk."""
    check_local(folder)
    folder = pathlib.Path(folder)
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for parent in new:
        sync_folder(parent.parent)
    return folder


def _sync(path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # A device or a pipe.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def errors_name(path: os.PathLike, temporary: os.PathLike = "") -> Iterator[None]:
    """OSErrors of a full or failing disk that name no file, or the temporary one, name `path`."""
    try:
        yield
    except OSError as error:
        nameless = error.filename is None and error.errno in _OF_THE_DISK
        if nameless or (error.filename is not None and os.fspath(error.filename) == os.fspath(temporary)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _reserve(temporary: pathlib.Path) -> int:
    """Makes the file -> its descriptor, with a lock by which other processes see that somebody writes it."""
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    with contextlib.suppress(OSError):  # A file system without locks.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def open_reserved(temporary: pathlib.Path) -> BinaryIO:
    """A new file to write to; while it is open, `remove_leftovers` leaves it alone."""
    return os.fdopen(_reserve(temporary), "wb")


def remove_leftovers(folder: os.PathLike) -> None:
    """What killed processes were writing in the folder, whatever its name was to be."""
    with contextlib.suppress(OSError):
        for path in pathlib.Path(folder).iterdir():
            if is_temporary(path) and is_left_behind(path):
                path.unlink(missing_ok=True)


def _remove_leftovers(path: pathlib.Path) -> None:
    """What killed processes were writing to `path`."""
    name = re.compile(rf"\.+{re.escape(_start(path.name))}(?:(?:\.[0-9a-f]{{16}})?\.tmp)+")
    with contextlib.suppress(OSError):  # The folder is not there, or closed: writing will tell.
        for entry in os.scandir(path.parent):
            if name.fullmatch(entry.name) and is_left_behind(entry.path):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def is_left_behind(path: os.PathLike) -> bool:
    """Whether nobody writes to this temporary file any more.

    On this machine the kernel tells, by the writer's lock; what was made elsewhere has to be an hour old.
    """
    try:
        with open(path, "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = re.search(rf"\.{_machine()}[0-9a-f]{{8}}\.tmp$", os.fspath(path)) is not None
            return ours or time.time() - os.fstat(stream.fileno()).st_mtime > _OLD
    except OSError:  # It is locked, or gone, or there are no locks.
        return False


@functools.cache
def _machine() -> str:
    """8 hexadecimal digits for the kernel that runs, the same in all containers on it."""
    return boot_id()[:8]
