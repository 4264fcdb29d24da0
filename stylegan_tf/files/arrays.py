"""Named arrays and a JSON entry in one `.npz`: data, not code. Every array has a checksum, which reading compares."""

import errno
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside

# What zipfile and NumPy raise for damage, found by damaging every byte; RuntimeError: "encrypted", "compressed".
_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
_NOT_DAMAGE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE)


class DamagedFile(UserError):
    """The file is there, but what it holds cannot be read."""


def write_arrays(path: os.PathLike, entry: str, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
    """Writes `description` as JSON under the name `entry`, and the arrays. The file appears when it is complete.

    It is what `np.savez` writes; that leaves an open archive behind, which complains later, when the disk is full.
    """
    with written_aside(path) as temporary, open(temporary, "wb") as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in {entry: np.array(json.dumps(description)), **arrays}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())  # Or a power failure leaves a file with its name and without its data.


def read_arrays(path: pathlib.Path, kind: str, only: Optional[str] = None) -> dict[str, np.ndarray]:
    """All entries, or one. `kind`, like "network file", is for the messages.

    Raises DamagedFile for anything that is not such a file, whole and with right checksums.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files if only in (None, name)}
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno in _NOT_DAMAGE:
            raise UserError(f"cannot read {path}: {error.strerror}.") from None
        raise DamagedFile(f"{path} is not a readable {kind} ({error}): copy it again or take another.") from None
    except (AttributeError, TypeError):  # An array, from a plain .npy, is no context manager.
        raise DamagedFile(f"{path} is a single array, not a {kind}.") from None
