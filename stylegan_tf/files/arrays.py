"""Named arrays and a JSON entry in one `.npz`: data, not code. What is read has been compared with what was written.

The JSON entry lists every array with its type, shape and checksum. A file is read member by member, each to its end,
where its checksum is compared; a header that asks for more or less than its member holds is damage, found before any
memory is taken. NumPy itself stops where a header says, and never looks at a checksum behind that.
"""

import hashlib
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO, Optional, Union

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import ADVICE, DamagedFile, file_line, reading

_LIST = "arrays"  # In the JSON entry: name -> [type, shape, checksum].
_PIECE = 2**24  # Bytes that are read at once.
# Limits for a foreign file: times its size, or bytes, that it may decompress to.
_MAX_COMPRESSION, _ALWAYS_FITS = 20, 2**28
_MAX_TEXT = 2**24  # Bytes of a JSON entry, in UTF-32: parsed it takes many times as much.


def file_sha256(path: Union[str, os.PathLike]) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits. Reads it piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for piece in iter(lambda: stream.read(2**20), b""):
            digest.update(piece)
    return digest.hexdigest()


def write_arrays(path: os.PathLike, entry: str, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
    """Writes the arrays, and `description` as JSON under the name `entry`. The file appears when it is complete.

    In the format of `np.savez`, which leaves an open archive behind that complains later, when the disk is full.
    """
    listed = {}
    with atomic_write(path) as temporary, open(temporary, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            listed[name] = _write(archive, name, np.asanyarray(array))
        text = np.array(json.dumps({**description, _LIST: listed}, separators=(",", ":")))
        if text.nbytes > _MAX_TEXT:
            raise UserError(f"{path} was not written: its {entry} is longer than {_MAX_TEXT // 4:,} characters.")
        _write(archive, entry, text)


def write_plain_arrays(path: os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """The arrays alone, in place, for other programs: as `np.savez`, but nothing of it stays open on a full disk."""
    with open(path, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            _write(archive, name, np.asanyarray(array))


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> list:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)
    return _listed(array, archive.getinfo(f"{name}.npy"))


def _listed(array: np.ndarray, member: zipfile.ZipInfo) -> list:
    return [array.dtype.str, list(array.shape), f"{member.CRC:08x}"]


def read_arrays(
    path: os.PathLike, kind: str, only: Optional[Collection[str]] = None, advice: str = ADVICE
) -> dict[str, np.ndarray]:
    """All entries, or those of these names that are there. kind: like "network file"; it and `advice` are for messages.

    Raises DamagedFile for anything that is not such a complete file, with right checksums, and with the arrays that its
    JSON entry lists (files of earlier versions have no list).
    """
    path = pathlib.Path(path)
    with reading(path, kind, advice), open(path, "rb") as stream:
        if stream.read(6) == b"\x93NUMPY":
            raise ValueError(f"a single array, not a {kind}")
        stream.seek(0)
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, os.fstat(stream.fileno()).st_size, zip_entry_count(stream))
            found = {name: _read(archive, member) for name, member in members.items() if only is None or name in only}
        if only is None:
            _compare_with_list(found, members)
        return found


def read_array(path: os.PathLike, kind: str, advice: str = ADVICE) -> np.ndarray:
    """The array of an .npy. DamagedFile if it is none, or shorter or longer than its header says."""
    with reading(path, kind, advice), open(path, "rb") as stream:
        return read_array_stream(stream, os.fstat(stream.fileno()).st_size)


def read_array_stream(stream: BinaryIO, size: int) -> np.ndarray:
    """An array in NumPy's format, of `size` bytes. ValueError, before memory is taken, if its header says otherwise."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"format {version[0]}.{version[1]} of arrays")
    shape, is_fortran, dtype = readers[version](stream)
    if dtype.kind not in "biufcSU" or not dtype.itemsize:
        raise ValueError("it holds Python objects" if dtype.hasobject else f"the type {dtype}")
    count, left = math.prod(shape), size - stream.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != left:
        raise ValueError(f"{dtype} {list(shape)} does not fit into {left} bytes")
    if dtype.kind == "U" and not shape and left > _MAX_TEXT:
        raise ValueError(f"a text of {left} bytes")
    flat = np.empty(count, dtype)
    if left:
        _fill(stream, memoryview(flat.view(np.uint8)))
    if stream.read(1):  # At the end of a zip's member its checksum is compared.
        raise ValueError("it is longer than its header says")
    return flat.reshape(shape, order="F" if is_fortran else "C")


def read_described(
    path: os.PathLike, kind: str, entry: str, advice: str = ADVICE
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """-> (description, arrays) as `write_arrays` takes them. UserError if the file is damaged or has no such entry."""
    arrays = read_arrays(path, kind, advice=advice)
    if entry not in arrays:
        found = ", ".join(list(arrays)[:5]) or "nothing"
        problem = f"is not a {kind} of this program, it has no {entry} entry"
        raise DamagedFile(file_line(path, problem, f"it holds {found}", advice))
    with reading(path, kind, advice):
        description = json.loads(str(arrays.pop(entry)))
        if not isinstance(description, dict):
            raise ValueError("its description is not a JSON object")
    description.pop(_LIST, None)
    return description, arrays


def check_finite(path: os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """DamagedFile, naming the first array that holds NaN or infinity."""
    name = first_non_finite(arrays)
    if name is not None:
        raise DamagedFile(f"{path}: {name!r} holds NaN or infinity; take an earlier file.")


def first_non_finite(arrays: Mapping[str, np.ndarray]) -> Optional[str]:
    """Name of the first array that holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):
                total = array.sum(dtype=np.float64)
            if not np.isfinite(total) and not np.isfinite(array).all():
                return name
    return None


def _members(archive: zipfile.ZipFile, size: int, count: Optional[int]) -> dict[str, zipfile.ZipInfo]:
    """By the names of the arrays. ValueError for what no file of arrays contains."""
    members: dict[str, zipfile.ZipInfo] = {}
    found = len(archive.infolist())
    if not found or count not in (None, found):  # One bit in a length within the directory hides what comes after it.
        raise ValueError(f"its directory lists {found} members" + (f" of {count}" if count else ""))
    for member in archive.infolist():
        name = member.filename[:-4]
        if not member.filename.endswith(".npy"):
            archive.open(member).close()  # A note, or a damaged name: both places that have it are compared.
            continue
        if name in members:
            raise ValueError(f"it has two members {name}")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is compressed in a way that NumPy does not use")
        members[name] = member
    total = sum(member.file_size for member in members.values())
    if total > max(size * _MAX_COMPRESSION, _ALWAYS_FITS):
        raise ValueError(f"{size} bytes that claim to hold {total}")
    return members


def zip_entry_count(stream: BinaryIO) -> Optional[int]:
    """Members of a zip by its last record, which zipfile does not compare; None where that has no number."""
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - 2**16 - 22))
    end = stream.read()
    record = end.rfind(b"PK\x05\x06")
    count = int.from_bytes(end[record + 10 : record + 12], "little") if record >= 0 else 0xFFFF
    if count == 0xFFFF:  # The number is in the record of 64 bits, if there is one.
        record = end.rfind(b"PK\x06\x06")
        return int.from_bytes(end[record + 32 : record + 40], "little") if record >= 0 else None
    return count


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        return read_array_stream(stream, member.file_size)


def _fill(stream: BinaryIO, view: memoryview) -> None:
    while view:
        count = stream.readinto(view[:_PIECE])
        if not count:
            raise ValueError("it is cut off")
        view = view[count:]


def _compare_with_list(arrays: Mapping[str, np.ndarray], members: Mapping[str, zipfile.ZipInfo]) -> None:
    for entry, array in arrays.items():
        if array.dtype.kind == "U" and array.ndim == 0:
            description = json.loads(str(array))
            if isinstance(description, dict) and _LIST in description:
                expected = description[_LIST]
                found = {name: _listed(arrays[name], members[name]) for name in arrays if name != entry}
                different = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
                if different:
                    raise ValueError(f"{different[0]} is not what was written")
