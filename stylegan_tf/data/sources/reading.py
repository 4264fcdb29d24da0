"""Reading sources: whose fault an error is, bounded reads, and temporary files.

What can only be read from front to back, or as a whole, goes to a temporary file: workers read it at random and share
the page cache, instead of each holding a copy in memory.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any, BinaryIO, Callable, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources.opening import BadPicture, NeedsOption
from stylegan_tf.files.atomic_write import open_temporary, remove_leftovers_of, temporary_name
from stylegan_tf.files.file_errors import os_error_line, reason_of, short

MAX_FILE_BYTES = 2**29  # One picture; archives may claim to hold more than there is memory.
_TEMPORARY = "stylegan_tf-source"
# What positions and sizes out of a damaged file lead to, as opposed to a failing disk.
_FROM_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW)


@contextlib.contextmanager
def reading_picture(name: str) -> Iterator[None]:
    """Around code that reads and decodes one picture: `BadPicture` for what its bytes say, UserError for all else.

    Only the former may be skipped: the disk that fails today will have the picture tomorrow.
    """
    try:
        yield
    except BadPicture as error:
        raise BadPicture(f"{name} {error}") from error
    except UserError as error:
        kind = NeedsOption if isinstance(error, NeedsOption) else UserError
        raise kind(f"{name} does not fit: {error}") from error
    except Exception as error:
        if not is_system_error(error):
            raise BadPicture(f"{name} cannot be read as an image ({reason(error)})") from error
        raise UserError(
            f"{name} cannot be read: {reason(error)}. That says nothing about the picture, so that it is not skipped: "
            "repair the cause and run the same command again."
        ) from error


@contextlib.contextmanager
def reading_source(source: str, what: str = "") -> Iterator[None]:
    """Around code that opens a source or reads it as a whole. `what`: the kind that it was taken for."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        source, kind = short(source), f" as {what}" if what else ""
        if not is_system_error(error):
            raise UserError(
                f"`source` {source} cannot be read{kind}: {reason(error)}. Is it damaged, or another kind of file?"
            ) from error
        line = os_error_line(error) if isinstance(error, OSError) else f"{reason(error)}."
        raise UserError(f"`source` {source} cannot be read{kind}: {line}") from error


def is_system_error(error: BaseException) -> bool:
    """Missing permissions, a failing disk, a lack of memory: nothing that the bytes of a file cause."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, OSError):
        return False
    number = re.search(r"errno = (\d+)", str(error))  # HDF5 writes the cause into its text.
    return bool(number and int(number[1])) or error.errno not in _FROM_CONTENT


def reason(error: BaseException) -> str:
    """One line of bounded length: some messages quote the file."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    return short(reason_of(error))


def limited(stream: BinaryIO) -> bytes:
    """A picture's file. Takes hardly more memory than that, whatever an archive says about its size."""
    pieces, found = [], 0
    while found <= MAX_FILE_BYTES:
        piece = stream.read(2**20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        found += len(piece)
    raise BadPicture(f"has more than {MAX_FILE_BYTES:,} bytes, which no picture should")


def check_size(size: int) -> None:
    """Raises BadPicture for a file of more bytes than a picture may have."""
    if size > MAX_FILE_BYTES:
        raise BadPicture(f"has {size:,} bytes, more than a picture may have ({MAX_FILE_BYTES:,})")


def file_content(path: str) -> bytes:
    """A picture's file. Raises BadPicture for a pipe or a device, which might never end."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise BadPicture("is not a file but a folder, a pipe or a device")
    with open(path, "rb") as stream:
        return limited(stream)


def fingerprint(path: str) -> str:
    """Changes when a file does."""
    status = os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns}"


class SpooledFile:
    """A file that every process opens for itself.

    A temporary one is deleted with the object that made it, and not with its copies in workers.
    """

    def __init__(self, path: str, written: Optional[BinaryIO] = None):
        """written: what a temporary one was written by; while it is open, other processes keep the file."""
        self.path, self._stream = path, None
        if written is not None:
            self.delete = weakref.finalize(self, _delete, path, written)

    def __getstate__(self):
        return {"path": self.path, "_stream": None}

    def read(self, offset: int, size: int) -> bytes:
        if self._stream is None:
            self._stream = open(self.path, "rb")
        self._stream.seek(offset)
        return self._stream.read(size)


class LazyArray:
    """`make(*arguments)`, an array or what is indexed like one, which every process makes for itself."""

    def __init__(self, make: Callable[..., Any], *arguments):
        self._make, self._arguments, self._array = make, arguments, None

    def __getstate__(self):
        return {**self.__dict__, "_array": None}

    def get(self):
        if self._array is None:
            self._array = self._make(*self._arguments)
        return self._array


def mapped(file: SpooledFile) -> LazyArray:
    """The array in a `.npy` file, mapped into memory."""
    return LazyArray(_map, file)


def _map(file: SpooledFile) -> np.ndarray:
    return np.load(file.path, mmap_mode="r", allow_pickle=False)


def copied(stream) -> SpooledFile:
    """What a stream has left, in a temporary file."""
    with temporary_file() as (file, spooled):
        shutil.copyfileobj(stream, file, 2**20)
    return spooled


def saved(array: np.ndarray) -> LazyArray:
    """An array, in a temporary file."""
    with temporary_file() as (file, spooled):
        np.save(file, array, allow_pickle=False)
    return mapped(spooled)


@contextlib.contextmanager
def temporary_file() -> Iterator[tuple[BinaryIO, SpooledFile]]:
    """What to write by, and what to read afterwards. What killed processes have left goes first."""
    folder = tempfile.gettempdir()
    remove_leftovers_of(pathlib.Path(folder, _TEMPORARY), everywhere=False)  # What is only read looks abandoned.
    path = temporary_name(pathlib.Path(folder, _TEMPORARY))
    file = open_temporary(path, 0o600)
    spooled = SpooledFile(str(path), file)
    try:
        yield file, spooled
        file.flush()
    except BaseException as error:
        spooled.delete()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise UserError(f"no space left in {folder} to unpack the source: set TMPDIR to another disk.") from error
        raise


def _delete(path: str, written: BinaryIO) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
    with contextlib.suppress(OSError):  # A full disk does not take what is buffered.
        written.close()
