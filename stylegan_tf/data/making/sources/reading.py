"""What goes wrong while a source is read, in one place: which, why, what to do.

The libraries that read archives, arrays and pictures raise nearly every exception there is for damaged files (zlib,
lzma, struct, tokenize, csv, IndexError, RecursionError ...), so that no list of them would be complete.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import BinaryIO

from stylegan_tf.data.making.decoding import BadPicture
from stylegan_tf.errors import UserError
from stylegan_tf.files.file_errors import os_error_line, reason_of, short

MAX_FILE_BYTES = 2**29  # One picture; archives may claim to hold more than there is memory.
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
        raise UserError(f"{name} does not fit: {error}") from error
    except Exception as error:
        if not is_fault_of_the_machine(error):
            raise BadPicture(f"{name} cannot be read as an image ({reason(error)})") from error
        raise UserError(
            f"{name} cannot be read: {reason(error)}. That says nothing about the picture, so that it is not skipped: "
            "the same command goes on when it is mended."
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
        if not is_fault_of_the_machine(error):
            raise UserError(
                f"--source {source} cannot be read{kind}: {reason(error)}. Is it damaged, or another kind of file?"
            ) from error
        told = os_error_line(error) if isinstance(error, OSError) else f"{reason(error)}."
        raise UserError(f"--source {source} cannot be read{kind}: {told}") from error


def is_fault_of_the_machine(error: BaseException) -> bool:
    """Missing rights, a failing disk, a lack of memory: not what the bytes of a file say."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, OSError):
        return False
    told = re.search(r"errno = (\d+)", str(error))  # HDF5 writes the cause into its text.
    return bool(told and int(told[1])) or error.errno not in _FROM_CONTENT


def reason(error: BaseException) -> str:
    """One line of bounded length: some messages quote the file."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    return short(reason_of(error))


def limited(stream: BinaryIO, size: int) -> bytes:
    """A picture's file of about `size` bytes. Takes no more memory than that, whatever the size claims to be."""
    pieces, found = [], 0
    while found <= MAX_FILE_BYTES:
        piece = stream.read(min(max(size - found, 0) + 1, 2**20))
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        found += len(piece)
    raise BadPicture(f"has more than {MAX_FILE_BYTES:,} bytes, which no picture should")


def file_content(path: str) -> bytes:
    """A picture's file. Raises BadPicture for a pipe or a device, which might never end."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise BadPicture("is no file but a folder, a pipe or a device")
    with open(path, "rb") as stream:
        return limited(stream, status.st_size)


def fingerprint(path: str) -> str:
    """What changes when a file does."""
    status = os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns}"
