"""Many images in a folder or in a zip file, with a record of what made each: an interrupted command goes on."""

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside
from stylegan_tf.visualize.picture_files import save_image

RECORD = "images.jsonl"


class ImageFolder:
    """Images in a folder. `with ImageFolder(path, options) as images: ... images.add(names, pictures)`.

    The folder's images.jsonl says what made each image: after a line {"options": {...}} come lines {"file": NAME} for
    the images that these options made. An image that is there and was made by equal options need not be made again;
    others are replaced.
    """

    def __init__(self, path: os.PathLike, options: Mapping[str, Any]):
        """options: what the images depend on, as JSON has it."""
        self.path = Path(path)
        self._options = json.dumps(options, sort_keys=True)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UserError(f"{self.path} is a file: give the name of a folder, or of a new .zip.") from None
        record = self.path / RECORD
        text = record.read_text(encoding="utf-8", errors="replace") if record.is_file() else ""
        self.made_by = parse_record(text)
        self._record = open(record, "a", encoding="utf-8")
        if text and not text.endswith("\n"):
            self._record.write("\n")  # A line that was cut off.
        self._record.write(f'{{"options": {self._options}}}\n')
        self._pool = ThreadPoolExecutor()  # Compression leaves Python's lock.

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _traceback):
        self._pool.shutdown()
        self._record.close()

    def has(self, name: str) -> bool:
        """Whether these options made the image `name` before. Files are there as a whole or not at all."""
        return self.made_by.get(name) == self._options and (self.path / name).is_file()

    def add(self, names: Sequence[str], images: np.ndarray) -> None:
        """Writes uint8 images [n, H, W, 1 or 3] under n names; a name's suffix says how, see `save_image`."""
        list(self._pool.map(save_image, images, [self.path / name for name in names]))
        for name in names:
            self.made_by[name] = self._options
            self._record.write(json.dumps({"file": name}) + "\n")
        self._record.flush()


class ImageZip(ImageFolder):
    """Images in a zip file. Until all are there they are in a folder beside, NAME.zip.unfinished.

    Images that are in the zip file already stay there, unless they are replaced.
    """

    def __init__(self, path: os.PathLike, options: Mapping[str, Any]):
        self.archive = Path(path)
        self._archived = {}
        if self.archive.exists():
            self._archived = _archived_record(self.archive)
        super().__init__(self.archive.with_name(self.archive.name + ".unfinished"), options)

    def __exit__(self, kind, error, traceback):
        super().__exit__(kind, error, traceback)
        if kind is None:
            self._pack()

    def has(self, name: str) -> bool:
        return super().has(name) or self._archived.get(name) == self._options

    def _pack(self):
        new = {name: options for name, options in self.made_by.items() if (self.path / name).is_file()}
        if new or not self.archive.exists():
            with written_aside(self.archive) as temporary, zipfile.ZipFile(temporary, "w") as target:
                self._copy_archived(target, without=new)
                for name in new:
                    target.write(self.path / name, name)  # Images are compressed as they are.
                target.writestr(RECORD, _record_text({**self._archived, **new}))
        for name in [*new, RECORD]:
            (self.path / name).unlink()
        try:
            self.path.rmdir()
        except OSError:  # Somebody else's files are in it.
            pass

    def _copy_archived(self, target, without):
        if not self.archive.exists():
            return
        with zipfile.ZipFile(self.archive) as source:
            for name in source.namelist():
                if name not in without and name != RECORD:
                    target.writestr(source.getinfo(name), source.read(name))


def open_collection(path: os.PathLike, options: Mapping[str, Any]) -> ImageFolder:
    """A zip file if the path ends in .zip, else a folder."""
    is_zip = Path(path).suffix.lower() == ".zip"
    return ImageZip(path, options) if is_zip else ImageFolder(path, options)


def parse_record(text: str) -> dict[str, str]:
    """Name of an image -> the options that made it, as sorted JSON. Lines that are cut off are passed over."""
    made_by, options = {}, None
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "options" in entry:
            options = json.dumps(entry["options"], sort_keys=True)
        elif isinstance(entry, dict) and isinstance(entry.get("file"), str) and options is not None:
            made_by[entry["file"]] = options
    return made_by


def _record_text(made_by):
    lines, last = [], None
    for name, options in made_by.items():
        if options != last:
            lines.append(f'{{"options": {options}}}')
        lines.append(json.dumps({"file": name}))
        last = options
    return "".join(line + "\n" for line in lines)


def _archived_record(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            text = archive.read(RECORD).decode("utf-8", errors="replace") if RECORD in names else ""
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no readable zip file ({error}): remove it or give another name.") from None
    return {name: options for name, options in parse_record(text).items() if name in names}
