"""Files that are complete or absent, also after a power cut.

A file is written under a temporary name in the same folder, synced, and then renamed: whatever has its final name is
complete. A sync takes milliseconds, so many files share one (`publish`).
"""

import contextlib
import errno
import fcntl
import functools
import json
import os
import pathlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from stylegan_tf.files.addresses import check_local
from stylegan_tf.files.locks import boot_id

_SUFFIX = ".tmp"
_OLD = 3600.0  # Seconds without a change after which a temporary file of another machine counts as abandoned.
_SYNC_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@contextlib.contextmanager
def atomic_write(path: os.PathLike) -> Iterator[pathlib.Path]:
    """`with atomic_write(path) as temporary: ...` syncs `temporary` and renames it to `path` at the end.

    An existing file is replaced in one step; where `path` is a link, its target. If the block fails, the existing file
    stays and the temporary one is removed; so is, first, what a killed process left of the same file. Its folder is
    created if there is none. An OSError names `path`.
    """
    path = resolved_link(path)
    temporary = temporary_name(path)
    make_folder(path.parent)
    with name_path_in_errors(path, temporary):
        remove_leftovers_of(path)
        descriptor = _reserve(temporary)
        try:
            yield temporary
            publish([(temporary, path)])
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):  # The disk may be gone.
                temporary.unlink(missing_ok=True)


def write_text(path: os.PathLike, text: str) -> pathlib.Path:
    """Writes a text file in UTF-8, atomically; returns its path."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return pathlib.Path(path)


def write_json(path: os.PathLike, value: Any) -> None:
    """Writes a JSON file for people to read as well, atomically."""
    write_text(path, json.dumps(value, indent=1) + "\n")


class AtomicBatch:
    """Many files that are published together and share one sync. `write` may be called by several threads.

    What is not published when the process ends is lost, and removed by the next one that calls `remove_leftovers`.
    """

    def __init__(self):
        self._pending: list[tuple[int, pathlib.Path, pathlib.Path]] = []  # Descriptor, temporary and final name.

    def __len__(self) -> int:
        return len(self._pending)

    def write(self, path: os.PathLike, content: bytes) -> None:
        path = resolved_link(path)
        temporary = temporary_name(path)
        with name_path_in_errors(path, temporary):
            descriptor = _reserve(temporary)
            self._pending.append((descriptor, temporary, path))
            with open(descriptor, "wb", closefd=False) as stream:
                stream.write(content)

    def publish(self) -> None:
        """Returns when everything written is on disk under its final name."""
        try:
            publish([(temporary, path) for _, temporary, path in self._pending])
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes what was not published."""
        while self._pending:
            descriptor, temporary, _ = self._pending.pop()
            os.close(descriptor)
            with contextlib.suppress(OSError):  # The disk may be gone.
                temporary.unlink(missing_ok=True)


def resolved_link(path: os.PathLike) -> pathlib.Path:
    """The target of the link `path`, which need not exist; `path` itself if it is not a link."""
    check_local(path)
    return pathlib.Path(os.path.realpath(path) if os.path.islink(path) else path)


def temporary_name(path: pathlib.Path) -> pathlib.Path:
    """A new hidden name next to `path`, as a rename cannot cross file systems; it identifies this machine."""
    return path.with_name(f".{_prefix(path.name)}.{_machine()}{secrets.token_hex(4)}{_SUFFIX}")


def _prefix(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:200])  # A name has at most 255 bytes.


def is_temporary(path: pathlib.Path) -> bool:
    """Whether it has the name of a file that is being written, or was abandoned."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def publish(pairs: Sequence[tuple[os.PathLike, os.PathLike]]) -> None:
    """Syncs the first file of each pair, renames it to the second, then syncs the folders.

    The files are synced together: 256 small pictures take hardly longer than a few.
    """
    sync_files([temporary for temporary, _ in pairs])
    for temporary, path in pairs:
        os.replace(temporary, path)
    for folder in {os.path.dirname(os.path.abspath(path)) for _, path in pairs}:
        sync_folder(folder)


def sync_files(paths: Iterable[os.PathLike]) -> None:
    """Returns when the content of the files is on disk."""
    paths = list(paths)
    if len(paths) < 2:
        for path in paths:
            _sync(path)
        return
    with ThreadPoolExecutor(min(len(paths), 16)) as pool:  # The file system joins concurrent syncs.
        list(pool.map(_sync, paths))


def sync_folder(folder: os.PathLike) -> None:
    """Returns when the names in the folder are on the disk, where the file system supports that."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _SYNC_UNSUPPORTED:
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
    """Creates the folder and its parents, and syncs the new ones."""
    check_local(folder)
    folder = pathlib.Path(folder)
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for parent in new:
        sync_folder(parent.parent)
    return folder


def check_writable(folder: os.PathLike) -> None:
    """Creates the folder if there is none; OSError, which names it, if no file can be created in it."""
    folder = make_folder(folder)
    temporary = temporary_name(folder / "probe")
    with name_path_in_errors(folder, temporary):
        os.close(_reserve(temporary))
        temporary.unlink()


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
def name_path_in_errors(path: os.PathLike, temporary: os.PathLike = "") -> Iterator[None]:
    """Makes OSErrors of a full or failing disk that name no file, or the temporary one, name `path`."""
    try:
        yield
    except OSError as error:
        nameless = error.filename is None and error.errno in _DISK_ERRORS
        if nameless or (error.filename is not None and os.fspath(error.filename) == os.fspath(temporary)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _reserve(temporary: pathlib.Path, mode: int = 0o666) -> int:
    """Creates the file -> its descriptor, with a lock that shows other processes that it is being written."""
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    with contextlib.suppress(OSError):  # A file system without locks.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def open_temporary(temporary: pathlib.Path, mode: int = 0o666) -> BinaryIO:
    """A new file for writing; while it is open, `remove_leftovers` keeps it."""
    return os.fdopen(_reserve(temporary, mode), "wb")


def remove_leftovers(folder: os.PathLike) -> None:
    """Removes what killed processes were writing in the folder, under any name."""
    with contextlib.suppress(OSError):
        for path in pathlib.Path(folder).iterdir():
            if is_temporary(path) and is_abandoned(path):
                path.unlink(missing_ok=True)


def remove_leftovers_of(path: pathlib.Path, everywhere: bool = True) -> None:
    """Removes what killed processes were writing to `path`: those of all machines, or of this one."""
    machine = "[0-9a-f]{8}" if everywhere else _machine()
    name = re.compile(rf"\.+{re.escape(_prefix(path.name))}(?:(?:\.{machine}[0-9a-f]{{8}})?\.tmp)+")
    with contextlib.suppress(OSError):  # No such folder, or no access: writing will report it.
        for entry in os.scandir(path.parent):
            if name.fullmatch(entry.name) and is_abandoned(entry.path):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def is_abandoned(path: os.PathLike) -> bool:
    """Whether no process writes to this temporary file any more.

    On this machine the writer's lock tells; a file of another machine has to be unchanged for an hour.
    """
    try:
        with open(path, "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = re.search(rf"\.{_machine()}[0-9a-f]{{8}}\.tmp$", os.fspath(path)) is not None
            return ours or time.time() - os.fstat(stream.fileno()).st_mtime > _OLD
    except OSError:  # Locked, gone, or a file system without locks.
        return False


@functools.cache
def _machine() -> str:
    """8 hexadecimal digits that identify the running kernel."""
    return boot_id()[:8]
