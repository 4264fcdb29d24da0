"""Collections of image files: a folder tree, a list of files, a zip or a tar archive."""

import os
import pathlib
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from typing import Optional

from stylegan_tf.data.making.decoding import BadPicture
from stylegan_tf.data.making.sources import spool
from stylegan_tf.data.making.sources.collection import Collection
from stylegan_tf.errors import UserError

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tga", ".tif", ".tiff", ".webp"),
)
MAX_FILE_BYTES = 2**29  # One picture; archives may claim to hold more than there is memory.


class NamedCollection(Collection):
    """Pictures that go by the names of their files."""

    _names: list[str]

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[index]


class FileCollection(NamedCollection):
    """Files below `root`; names are their paths from there, with forward slashes."""

    def __init__(self, root: str, names: Sequence[str]):
        self._root, self._names = root, list(names)

    def read(self, index: int) -> bytes:
        try:
            with open(os.path.join(self._root, self._names[index]), "rb") as stream:
                return _limited(stream)
        except OSError as error:
            raise BadPicture(f"cannot be opened: {error.strerror}") from error

    def read_other(self, name: str) -> Optional[bytes]:
        """A file that is no picture, such as dataset.json; None if it is not there."""
        path = pathlib.Path(self._root, name)
        return path.read_bytes() if path.is_file() else None


class ZipCollection(NamedCollection):
    """The pictures in a zip archive."""

    def __init__(self, path: str):
        self._path, self._archive = path, None
        try:
            self._names = sorted(info.filename for info in self._open().infolist() if is_picture(info.filename))
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"--source {path} cannot be read as a zip archive: {error}.") from error
        _check_found(self._names, path)

    def __getstate__(self):
        return {**self.__dict__, "_archive": None}

    def read(self, index: int) -> bytes:
        return self._read(self._names[index])

    def read_other(self, name: str) -> Optional[bytes]:
        return self._read(name) if name in self._open().NameToInfo else None

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None:
            self._archive = zipfile.ZipFile(self._path)
        return self._archive

    def _read(self, name: str) -> bytes:
        try:
            with self._open().open(name) as stream:
                return _limited(stream)
        # Encryption and unknown compression are RuntimeError and NotImplementedError; zlib has an error of its own.
        except Exception as error:
            raise BadPicture(f"cannot be read from the archive: {error}") from error


class TarCollection(NamedCollection):
    """The pictures in a tar archive; a compressed one is unpacked to a temporary tar file first."""

    def __init__(self, path: str):
        try:
            # Compressed streams cannot be read out of order, and training sets are shuffled.
            self._file = spool.uncompressed(path)
            with tarfile.open(self._file.path, "r:") as archive:
                # isreg() is false for links and devices; sparse files would need their map to be read.
                members = [member for member in archive if member.isreg() and not member.issparse()]
        except (OSError, EOFError, tarfile.TarError) as error:
            raise UserError(f"--source {path} cannot be read as a tar archive: {error}.") from error
        self._places = {member.name.removeprefix("./"): (member.offset_data, member.size) for member in members}
        self._names = sorted(name for name in self._places if is_picture(name))
        self._stream = None
        _check_found(self._names, path)

    def __getstate__(self):
        return {**self.__dict__, "_stream": None}

    def read(self, index: int) -> bytes:
        return self._read(self._names[index])

    def read_other(self, name: str) -> Optional[bytes]:
        return self._read(name) if name in self._places else None

    def _read(self, name: str) -> bytes:
        if self._stream is None:
            self._stream = open(self._file.path, "rb")
        offset, size = self._places[name]
        if size > MAX_FILE_BYTES:
            raise BadPicture(f"has {size:,} bytes, more than a picture may have ({MAX_FILE_BYTES:,})")
        self._stream.seek(offset)
        data = self._stream.read(size)
        if len(data) != size:
            raise BadPicture("is cut off: the archive ends before it")
        return data


def folder_collection(folder: pathlib.Path) -> FileCollection:
    """All images in a folder and the folders inside it, in the order of their paths. Raises UserError if none."""
    names = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        inside = os.path.relpath(where, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else inside + "/"
        names += [prefix + name for name in files if is_picture(name)]
    _check_found(names, folder)
    return FileCollection(str(folder), sorted(names, key=lambda name: name.split("/")))


def list_collection(path: pathlib.Path) -> FileCollection:
    """A text file with one path a line, from the folder of the list; `#` begins a comment line."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--source {path} cannot be read as a list of images: {error}.") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise UserError(f"--source {path} names no images: expected one path a line.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"--source {path} names {twice} twice.")
    return FileCollection(str(path.parent), names)


def is_picture(name: str) -> bool:
    """By the suffix; hidden files, and what macOS puts beside the real ones in archives, are none."""
    parts = name.split("/")
    return parts[-1].lower().endswith(IMAGE_SUFFIXES) and not any(_is_hidden(part) for part in parts)


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part not in (".", "..") or part == "__MACOSX"


def _limited(stream) -> bytes:
    data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadPicture(f"has more than {MAX_FILE_BYTES:,} bytes, which no picture should")
    return data


def _check_found(names: Iterable[str], where) -> None:
    if not names:
        raise UserError(f"--source {where} has no images in it (looked for {', '.join(IMAGE_SUFFIXES)}).")
