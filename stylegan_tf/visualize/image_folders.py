"""Many images in a folder or in a zip file, with a record of what made each, so that an interrupted command resumes."""

import contextlib
import io
import json
import os
import time
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import AtomicBatch, atomic_write, make_folder, remove_leftovers
from stylegan_tf.files.file_errors import parse_line, reading
from stylegan_tf.files.locks import locked
from stylegan_tf.visualize.picture_files import as_shown, encoded

RECORD = "images.jsonl"
_MAX_PENDING, _MAX_WAIT = 256, 5.0  # Pictures, seconds: until they get their names.


class ImageRecord(NamedTuple):
    """What made an image."""

    options: str  # As sorted JSON.
    size: Optional[int]  # Size of its file in bytes; records of earlier versions do not have it.


class ImageFolder:
    """Images in a folder. `with ImageFolder(path, options) as images: ... images.add(names, pictures)`.

    The folder's images.jsonl says what made each image: after a line {"options": {...}} come lines {"file": NAME,
    "size": BYTES} for the images that these options made. An existing image of equal options need not be made
    again; others are replaced. What the record names is on disk: pictures get their names and their lines in
    groups, every few seconds. Several processes may fill one folder.
    """

    def __init__(self, path: os.PathLike, options: Mapping[str, Any]):
        """options: what the images depend on, as JSON has it."""
        self.path = Path(path)
        self._options = json.dumps(options, sort_keys=True)
        try:
            make_folder(self.path)
        except FileExistsError:
            raise UserError(f"{self.path} is a file: give the name of a folder, or of a new .zip.") from None
        remove_leftovers(self.path)
        record = self.path / RECORD
        self.records = parse_record(_text(record))
        self._written, self._names = AtomicBatch(), []
        self._published_at = time.monotonic()
        self._pool = ThreadPoolExecutor()  # Compression leaves Python's lock.

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _traceback):
        self._pool.shutdown()
        if kind is None or not issubclass(kind, OSError):  # What was made before an interruption stays.
            self._publish()
        else:
            self._written.discard()

    def has(self, name: str) -> bool:
        """Whether these options made the image `name` before, and its file is as it was."""
        made = self.records.get(name)
        return made is not None and made.options == self._options and (name in self._names or self._is_whole(name))

    def add(self, names: Sequence[str], images: np.ndarray) -> None:
        """Writes uint8 images [n, H, W, C] under n names; a name's suffix says how, see `save_image`.

        Beside the picture of an image of planes is an .npy file with all of them.
        """
        if images.shape[-1] not in (1, 3, 4):
            names, images = [*names, *(f"{os.path.splitext(name)[0]}.npy" for name in names)], [*images, *images]
        sizes = list(self._pool.map(self._write, names, images))
        self.records.update({name: ImageRecord(self._options, size) for name, size in zip(names, sizes)})
        self._names += names
        if len(self._written) >= _MAX_PENDING or time.monotonic() - self._published_at > _MAX_WAIT:
            self._publish()

    def _write(self, name: str, image: np.ndarray) -> int:
        if name.endswith(".npy"):
            stream = io.BytesIO()
            np.save(stream, image, allow_pickle=False)
            content = stream.getvalue()
        else:
            content = encoded(as_shown(image), name)
        self._written.write(self.path / name, content)
        return len(content)

    def images(self, names: Sequence[str], channels: int) -> Iterator[np.ndarray]:
        """Those that were there before: uint8 [H, W, channels] of each name."""
        for name, content in zip(names, self._contents(names)):
            with reading(self.path / name, "picture", "remove it"), Image.open(io.BytesIO(content)) as picture:
                pixels = np.asarray(picture.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
            yield pixels.reshape(*pixels.shape[:2], channels)

    def _contents(self, names: Sequence[str]) -> Iterator[bytes]:
        return ((self.path / name).read_bytes() for name in names)

    def _publish(self) -> None:
        """The images first, then their lines in the record."""
        if self._names:
            self._written.publish()
            lines = _record_lines({name: self.records[name] for name in self._names})
            with locked(self.path / f".{RECORD}.lock", f"the record of {self.path}", wait=60):
                _append(self.path / RECORD, lines)
            self._names = []
        self._published_at = time.monotonic()

    def _is_whole(self, name: str) -> bool:
        """Whether the file exists at its recorded size; without one, whether it is not empty."""
        path, expected = self.path / name, self.records[name].size
        size = path.stat().st_size if path.is_file() else 0
        return size > 0 and expected in (None, size)


class ImageZip(ImageFolder):
    """Images in a zip file. Until all are there they are in a folder next to it, NAME.zip.unfinished.

    Images that are in the zip file already stay there, unless they are replaced. It is for one process at a time.
    """

    def __init__(self, path: os.PathLike, options: Mapping[str, Any]):
        self.archive = Path(path)
        make_folder(self.archive.parent)
        with contextlib.ExitStack() as stack:
            lock = self.archive.with_name(f".{self.archive.name}.lock")
            stack.enter_context(locked(lock, str(self.archive), "wait for it, or give another `outdir`"))
            self._archived = _archived_record(self.archive) if self.archive.exists() else {}
            super().__init__(self.archive.with_name(self.archive.name + ".unfinished"), options)
            self._until_the_end = stack.pop_all()

    def __exit__(self, kind, error, traceback):
        with self._until_the_end:
            super().__exit__(kind, error, traceback)
            if kind is None:
                self._pack()

    def has(self, name: str) -> bool:
        made = self._archived.get(name)
        return super().has(name) or (made is not None and made.options == self._options)

    def _contents(self, names: Sequence[str]) -> Iterator[bytes]:
        archived = {name for name in names if not ImageFolder.has(self, name)}
        with _opened(self.archive) if archived else contextlib.nullcontext() as archive:
            for name in names:
                yield archive.read(name) if name in archived else (self.path / name).read_bytes()

    def _pack(self):
        new = {name: made for name, made in self.records.items() if self._is_whole(name)}
        if new or not self.archive.exists():
            with atomic_write(self.archive) as temporary, zipfile.ZipFile(temporary, "w") as target:
                if self.archive.exists():
                    _copy_archived(self.archive, target, {*new, RECORD})
                for name in new:
                    target.write(self.path / name, name)  # Images are compressed as they are.
                lines = _record_lines({**self._archived, **new})
                target.writestr(RECORD, "".join(f"{line}\n" for line in lines))
        for name in [*self.records, RECORD]:
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Somebody else's files are in it.
            self.path.rmdir()


def open_image_folder(path: os.PathLike, options: Mapping[str, Any]) -> ImageFolder:
    """A zip file if the path ends in .zip, else a folder."""
    return ImageZip(path, options) if Path(path).suffix.lower() == ".zip" else ImageFolder(path, options)


def parse_record(text: str) -> dict[str, ImageRecord]:
    """Records by the names of the images. Lines that are cut off or damaged are skipped."""
    records, options = {}, None
    for entry in map(parse_line, text.splitlines()):
        if entry is None:
            continue
        if "options" in entry:
            options = json.dumps(entry["options"], sort_keys=True)
        elif isinstance(entry.get("file"), str) and options is not None:
            size = entry.get("size")
            records[entry["file"]] = ImageRecord(options, size if isinstance(size, int) else None)
    return records


def _text(record: Path) -> str:
    return record.read_text(encoding="utf-8", errors="replace") if record.is_file() else ""


def _append(record: Path, lines: Sequence[str]) -> None:
    """Appends complete lines and syncs them to disk."""
    with open(record, "ab+") as stream:
        if stream.seek(0, os.SEEK_END) and stream.seek(-1, os.SEEK_END) >= 0 and stream.read(1) != b"\n":
            stream.write(b"\n")  # After a line that was cut off.
        stream.write("".join(f"{line}\n" for line in lines).encode())
        stream.flush()
        os.fsync(stream.fileno())


def _record_lines(records: Mapping[str, ImageRecord]) -> list[str]:
    lines, last = [], None
    for name, record in records.items():
        if record.options != last:
            lines.append(f'{{"options": {record.options}}}')
        lines.append(json.dumps({"file": name, "size": record.size}))
        last = record.options
    return lines


def _archived_record(path: Path) -> dict[str, ImageRecord]:
    """Record of the images in the zip file, with their original sizes."""
    with _opened(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        record = parse_record(archive.read(RECORD).decode("utf-8", errors="replace") if RECORD in sizes else "")
    return {name: made for name, made in record.items() if name in sizes and made.size in (None, sizes[name])}


def _copy_archived(path: Path, target: zipfile.ZipFile, without: Collection[str]) -> None:
    with _opened(path) as source:
        for entry in source.infolist():
            if entry.filename not in without:
                target.writestr(entry, source.read(entry))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with reading(path, "zip file", "remove it or give another name"), zipfile.ZipFile(path) as archive:
        yield archive
