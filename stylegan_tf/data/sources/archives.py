"""Collections of image files in a zip or a tar archive. Nothing is ever extracted to a path that an archive names."""

import contextlib
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Sequence
from typing import Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.collection import Skipped
from stylegan_tf.data.sources.image_files import (
    DEAD_LINK,
    HEAD_BYTES,
    NO_FILE,
    NamedCollection,
    check_found,
    split_pictures,
)
from stylegan_tf.data.sources.opening import BadPicture
from stylegan_tf.files.arrays import zip_entry_count

_LINKS_IN_A_ROW = 40  # As many as Linux follows.
_REPLACED = "replaced by later ones of the same name"


class ArchiveCollection(NamedCollection):
    """What zip and tar have in common. `_members`: name -> what is needed to read it."""

    def __init__(self, path: str):
        self._path = path
        self._members: dict[str, object] = {}
        skipped: list[Skipped] = []
        links = self._look(skipped)
        for name, target in links.items():
            found = _followed(target, links, self._members)
            if found is None:
                skipped.append(Skipped(name, DEAD_LINK))
            else:
                self._members[name] = found
        names, others = split_pictures(self._members, self._head)
        self._names = sorted(names)
        self.skipped = skipped + others
        self._fingerprint = reading.fingerprint(path)
        check_found(self._names, path, self.skipped)

    def read(self, index: int) -> bytes:
        return self._read(self._names[index])

    def read_other(self, name: str) -> Optional[bytes]:
        return self._read(name) if name in self._members else None

    def _look(self, skipped: list[Skipped]) -> dict[str, str]:
        """Fills `_members` -> links and the names that they lead to."""
        raise NotImplementedError

    def _read(self, name: str) -> bytes:
        raise NotImplementedError

    def _head(self, name: str) -> bytes:
        raise NotImplementedError

    def _add(self, name: str, member, skipped: list[Skipped]) -> None:
        if name in self._members:
            skipped.append(Skipped(name, _REPLACED))
        self._members[name] = member


class ZipCollection(ArchiveCollection):
    """The pictures in a zip archive; a member goes by its name in the directory."""

    _archive: Optional[zipfile.ZipFile] = None
    _opened = ("_archive",)

    def _look(self, skipped: list[Skipped]) -> dict[str, str]:
        links, entries = {}, self._open().infolist()
        check_zip_directory(self._path, entries)
        for info in entries:
            if info.is_dir():
                skipped += [Skipped(info.filename, "folders that hold bytes")] if info.file_size else []
                continue
            if info.flag_bits & 1:
                raise UserError(f"`source` {self._path} is encrypted ({info.filename}): unpack it first.")
            name, kind = _zip_name(info), info.external_attr >> 16
            if stat.S_ISLNK(kind) and info.file_size < 4096:
                target = self._open().read(info).decode("utf-8", "surrogateescape")
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            elif kind and stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                skipped.append(Skipped(name, NO_FILE))
            else:
                self._add(name, info.filename, skipped)
        return links

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None:
            self._archive = zipfile.ZipFile(self._path)
        return self._archive

    def _read(self, name: str) -> bytes:
        with self._open().open(self._members[name]) as stream:
            return reading.limited(stream)

    def _head(self, name: str) -> bytes:
        with self._open().open(self._members[name]) as stream:
            return stream.read(HEAD_BYTES)


class TarCollection(ArchiveCollection):
    """The pictures in a tar archive; a compressed one is unpacked to a temporary tar file first."""

    def _look(self, skipped: list[Skipped]) -> dict[str, str]:
        self._file, links = _uncompressed(self._path), {}
        with tarfile.open(self._file.path, "r:") as archive:
            for member in archive:
                name = posixpath.normpath(member.name).lstrip("/")
                if member.islnk():
                    links[name] = posixpath.normpath(member.linkname).lstrip("/")
                elif member.issym():
                    target = posixpath.join(posixpath.dirname(name), member.linkname)
                    links[name] = posixpath.normpath(target)
                elif member.issparse():
                    skipped.append(Skipped(name, "sparse"))
                elif member.isreg():
                    self._add(name, (member.offset_data, member.size), skipped)
                elif not member.isdir():
                    skipped.append(Skipped(name, NO_FILE))
            check_tar_end(archive)
        return links

    def _read(self, name: str) -> bytes:
        return self._bytes(name, self._members[name][1])

    def _head(self, name: str) -> bytes:
        return self._bytes(name, min(HEAD_BYTES, self._members[name][1]))

    def _bytes(self, name: str, size: int) -> bytes:
        reading.check_size(size)
        data = self._file.read(self._members[name][0], size)
        if len(data) != size:
            raise BadPicture("is cut off: the archive ends before it")
        return data


def _uncompressed(path: str) -> reading.SpooledFile:
    """Compressed archives are copied: they cannot be read out of order, and training sets are shuffled."""
    try:
        tarfile.open(path, "r:").close()
        return reading.SpooledFile(path)
    except tarfile.ReadError:
        with tarfile.open(path, "r:*") as archive:
            archive.fileobj.seek(0)
            return reading.copied(archive.fileobj)


def _followed(target: str, links: dict[str, str], members: dict) -> Optional[object]:
    """The member that a link leads to, over other links perhaps; None if there is none."""
    for _ in range(_LINKS_IN_A_ROW):
        if target in members:
            return members[target]
        if target not in links:
            return None
        target = links[target]
    return None


def check_tar_end(archive: tarfile.TarFile) -> None:
    """Python's reader takes a damaged header for the end of the archive: what follows would be lost silently.

    It also stops before the end of a compressed file, where the checksum is: reading on compares it.
    """
    archive.fileobj.seek(archive.offset)
    block = archive.fileobj.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise ValueError("it is cut off: there is no mark at its end")
    while not block.strip(b"\0"):
        block = archive.fileobj.read(2**20)
        if not block:
            return
    raise ValueError(f"it is damaged at byte {archive.offset:,}: more follows, but no header of a file")


def check_zip_directory(path: str, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Python's reader silently stops at a directory that is shorter than the archive's end says.

    It also takes another archive in front of this one for the program of a self-extracting one.
    """
    found, first = len(entries), min((entry.header_offset for entry in entries), default=0)
    with open(path, "rb") as stream:
        expected = zip_entry_count(stream)
        stream.seek(max(0, first - zipfile.sizeEndCentDir))
        if first and stream.read(4) == zipfile.stringEndArchive:
            raise ValueError("another archive is in front of it in the same file: unpack both")
    if expected not in (None, found, found % 2**16):
        raise ValueError(f"its directory has {found} entries, its end says {expected}")


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Names are UTF-8 where a flag says so; many tools write UTF-8 and no flag, and some backslashes."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = info.orig_filename.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")
