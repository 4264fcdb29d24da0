"""Collections of image files: a folder tree, or a list of files. Archives are in `archives`."""

import collections
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, Optional

from stylegan_tf.config.callbacks import Note
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.collection import Collection, Skipped
from stylegan_tf.data.sources.opening import is_picture_content
from stylegan_tf.files.file_errors import short

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx", ".pgm", ".png"),
    *(".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp"),
)
HEAD_BYTES = 32  # First bytes of a file, which identify a picture where its name says nothing.
DEAD_LINK, NO_FILE, LOOP = "broken links", "pipes, sockets or devices", "links that form a cycle"


class NamedCollection(Collection):
    """Pictures that go by the names of their files."""

    _names: list[str]

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[index]


class FileCollection(NamedCollection):
    """Files below `root`; names are their paths from there, with forward slashes."""

    def __init__(self, root: str, names: Sequence[str], skipped: Sequence[Skipped] = ()):
        self._root, self._names, self.skipped = root, list(names), skipped

    def read(self, index: int) -> bytes:
        return reading.file_content(self._path(index))

    def read_other(self, name: str) -> Optional[bytes]:
        path = pathlib.Path(self._root, name)
        return path.read_bytes() if path.is_file() else None

    def fingerprint(self, index: int) -> str:
        return reading.fingerprint(self._path(index))

    def _path(self, index: int) -> str:
        return os.path.join(self._root, self._names[index])


def folder_collection(folder: pathlib.Path) -> FileCollection:
    """All images in a folder and the folders inside it, in the order of their paths. Raises UserError if none.

    Links are followed. A folder that cannot be read is an error: nobody knows what is in it.
    """
    files, skipped = [], []
    for name, kind in _walk(str(folder)):
        if kind is None:
            files.append(name)
        else:
            skipped.append(Skipped(name, kind))
    names, others = split_pictures(files, lambda name: _head(os.path.join(folder, name)))
    skipped += others
    check_found(names, folder, skipped)
    return FileCollection(str(folder), sorted(names, key=lambda name: name.split("/")), skipped)


def list_collection(path: pathlib.Path) -> FileCollection:
    """A text file with one path a line, from the folder of the list; `#` begins a comment line.

    Names are bytes to the system: those that are not UTF-8 stay what they are.
    """
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise UserError(f"`source` {path} cannot be read as a list of images: it should be plain text, in UTF-8.")
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines()
    names = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    names = [pathlib.PurePath(name).as_posix() for name in names]  # ./a.png is a.png.
    if not names:
        raise UserError(f"`source` {path} names no images: expected one path a line.")
    ((most, times),) = collections.Counter(names).most_common(1)
    if times > 1:
        raise UserError(f"`source` {path} names {short(most, 200)} twice.")
    found = FileCollection(str(path.parent), names)
    with reading.reading_picture(f"a file in {path}"):
        missing = [name for name in names if not os.path.lexists(os.path.join(path.parent, name))]
    if missing:
        raise UserError(
            f"`source` {path} names {len(missing)} of {len(names)} files that are not there, such as "
            f"{short(missing[0], 200)} (looked for in {path.parent})."
        )
    return found


def split_pictures(names: Iterable[str], head: Callable[[str], bytes]) -> tuple[list[str], list[Skipped]]:
    """-> the pictures, and the others. `head(name)`: the first bytes, for names without a known suffix."""
    pictures, others = [], []
    for name in names:
        if is_hidden(name):
            others.append(Skipped(name, "hidden"))
            continue
        try:
            is_picture = name.lower().endswith(IMAGE_SUFFIXES) or is_picture_content(head(name))
        except Exception as error:
            if reading.is_system_error(error):
                raise
            others.append(Skipped(name, "damaged and of unknown kind"))
            continue
        if is_picture:
            pictures.append(name)
        else:
            others.append(Skipped(name, kind_of(name)))
    return pictures, others


def kind_of(name: str) -> str:
    """ "a/b.HEIC" -> ".heic"."""
    return os.path.splitext(name)[1].lower() or "without suffix"


def is_hidden(name: str) -> bool:
    """Hidden files and folders, and what macOS puts next to the real ones in archives."""
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in name.split("/"))


def check_found(names: Sequence[str], where, skipped: Sequence[Skipped]) -> None:
    """Raises UserError if there are no pictures."""
    if not names:
        seen = f", there are {summary(skipped)}" if skipped else ""
        raise UserError(f"`source` {where} has no images in it (looked for {', '.join(IMAGE_SUFFIXES)}{seen}).")


def summary(skipped: Iterable[Skipped]) -> str:
    """ "50 .heic, 2 hidden": the most frequent first."""
    counts = collections.Counter(entry.kind for entry in skipped)
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())


def note_skipped(source: str, skipped: Sequence[Skipped], note: Note) -> None:
    """For commands that write no list of what they skipped."""
    if skipped:
        note(f"{source}: skipped {summary(skipped)}, such as {short(skipped[0].name, 100)}")


def other_entries(folder: pathlib.Path, used: Iterable[str]) -> list[Skipped]:
    """The entries of a folder other than the files of a dataset that is read as a whole."""
    used = set(used)
    return [
        Skipped(entry.name, "hidden" if is_hidden(entry.name) else "folders" if entry.is_dir() else kind_of(entry.name))
        for entry in sorted(folder.iterdir())
        if entry.name not in used
    ]


def _walk(root: str) -> Iterator[tuple[str, Optional[str]]]:
    """(path from `root`, None for a file or why it is skipped) of every entry; links are followed."""
    waiting = [("", (_identity(root),))]
    while waiting:
        inside, above = waiting.pop()
        with os.scandir(os.path.join(root, inside)) as entries:
            for entry in entries:
                name = inside + entry.name
                if is_hidden(entry.name):
                    yield name, "hidden"
                elif entry.is_dir():
                    identity = _identity(entry.path)
                    if identity in above:
                        yield name, LOOP
                    else:
                        waiting.append((name + "/", (*above, identity)))
                elif entry.is_file():
                    yield name, None
                else:
                    yield name, DEAD_LINK if entry.is_symlink() else NO_FILE


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _head(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(HEAD_BYTES)
