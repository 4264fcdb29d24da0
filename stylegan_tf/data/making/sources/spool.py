"""Temporary files for sources that can only be read from front to back, or only as a whole.

Workers then read them at random and share the page cache, instead of each holding a copy in memory.
"""

import bz2
import contextlib
import errno
import gzip
import lzma
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator

import numpy as np

from stylegan_tf.errors import UserError

_MAGIC = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class SpooledFile:
    """A path. A temporary file is deleted with the object that made it, and not with its copies in workers."""

    def __init__(self, path: str, temporary: bool):
        self.path = path
        if temporary:
            self._finalizer = weakref.finalize(self, _delete, path)

    def __getstate__(self):
        return {"path": self.path}


class SpooledArray:
    """An array in a `.npy` file, mapped into memory where it is used."""

    def __init__(self, file: SpooledFile):
        self._file, self._array = file, None

    def __getstate__(self):
        return {**self.__dict__, "_array": None}

    def get(self) -> np.ndarray:
        if self._array is None:
            self._array = np.load(self._file.path, mmap_mode="r", allow_pickle=False)
        return self._array


def uncompressed(path) -> SpooledFile:
    """The file itself, or what is in it if it is compressed (gzip, bzip2, xz)."""
    opener = decompressor(path)
    if opener is None:
        return SpooledFile(str(path), temporary=False)
    with opener(path, "rb") as source:
        return copied(source)


def decompressor(path):
    """The function that opens a compressed file, by its first bytes; None for other files."""
    with open(path, "rb") as stream:
        head = stream.read(8)
    return next((opener for magic, opener in _MAGIC.items() if head.startswith(magic)), None)


def copied(stream) -> SpooledFile:
    """What a stream has left, in a temporary file."""
    with _temporary_file() as (file, path):
        shutil.copyfileobj(stream, file, 2**20)
    return SpooledFile(path, temporary=True)


def saved(array: np.ndarray) -> SpooledArray:
    """An array, in a temporary file."""
    with _temporary_file() as (file, path):
        np.save(file, array, allow_pickle=False)
    return SpooledArray(SpooledFile(path, temporary=True))


@contextlib.contextmanager
def _temporary_file() -> Iterator[tuple]:
    handle, path = tempfile.mkstemp(prefix="stylegan_tf-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, path
    except BaseException as error:
        _delete(path)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            folder = os.path.dirname(path)
            raise UserError(f"no space left in {folder} to unpack the source: set TMPDIR to another disk.") from error
        raise


def _delete(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
