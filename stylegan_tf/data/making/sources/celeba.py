"""CelebA: pictures of 178x218 pixels in `img_align_celeba`, and `list_attr_celeba` near it.

As its page has it (Img/ and Anno/, or the zip of the pictures), as torchvision has it (both in one folder), and as
Kaggle has it (a folder in a folder of that name, attributes as .csv).
"""

import pathlib
import zipfile
from collections.abc import Iterable
from typing import Optional

import numpy as np

from stylegan_tf.data.demo import Attribute
from stylegan_tf.data.making.decoding import BadPicture, open_picture
from stylegan_tf.data.making.sources import reading
from stylegan_tf.data.making.sources.archives import ZipCollection
from stylegan_tf.data.making.sources.collection import Collection
from stylegan_tf.data.making.sources.image_files import NamedCollection, folder_collection, others_in
from stylegan_tf.errors import UserError

IMAGES, ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
_BESIDE = ("Img", IMAGES, "Anno", "Eval", ATTRIBUTES, ATTRIBUTES.replace(".txt", ".csv"))
_SIZE = (178, 218)
_LEFT, _TOP, _SIDE = 89 - 64, 121 - 64, 128  # The square around (89, 121) that the ProGAN paper uses.


class CelebACollection(Collection):
    """The central 128x128 pixels of the aligned faces."""

    def __init__(self, files: NamedCollection, near: Iterable[pathlib.Path]):
        """near: folders in which the attributes may be."""
        self._files, self.left_out = files, files.left_out
        names = (ATTRIBUTES, ATTRIBUTES.replace(".txt", ".csv"))
        places = (folder / inside / name for folder in near for inside in ("", "Anno") for name in names)
        self._attributes_path = next((path for path in places if path.is_file()), None)

    def __getstate__(self):
        return {**self.__dict__, "left_out": ()}

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return self._files.name(index)

    def fingerprint(self, index: int) -> str:
        return self._files.fingerprint(index)

    def read_other(self, name: str) -> Optional[bytes]:
        return self._files.read_other(name)

    def read(self, index: int) -> np.ndarray:
        with open_picture(self._files.read(index)) as image:
            if image.size != _SIZE:
                raise BadPicture(f"has {image.width}x{image.height} pixels, expected {_SIZE[0]}x{_SIZE[1]}")
            return np.asarray(image.convert("RGB").crop((_LEFT, _TOP, _LEFT + _SIDE, _TOP + _SIDE)))

    def attributes(self) -> Optional[dict[str, Attribute]]:
        """The 40 attributes, each "no" or "yes"."""
        if self._attributes_path is None:
            raise UserError(f"{ATTRIBUTES} is missing beside {IMAGES}: --labels needs it.")
        with reading.reading_source(str(self._attributes_path), "CelebA's attributes"):
            return _read_attributes(
                self._attributes_path, [self.name(index).rpartition("/")[2] for index in range(len(self))]
            )


def celeba_folder(folder: pathlib.Path) -> Optional[CelebACollection]:
    """None for other folders."""
    for images in (folder / IMAGES, folder / "Img" / IMAGES, folder):
        if images.name == IMAGES and images.is_dir():
            inner = images / IMAGES
            images = inner if inner.is_dir() else images
            above = [images, *list(images.parents)[:3]]
            found = CelebACollection(folder_collection(images), [folder, *above])
            if images.parent == folder or images.parent.parent == folder:
                found.left_out = [*found.left_out, *others_in(folder, _BESIDE)]
            return found
    return None


def celeba_zip(path: pathlib.Path) -> Optional[CelebACollection]:
    """`img_align_celeba.zip`; None for other archives."""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith(".jpg")), "")
    if not name.startswith(IMAGES + "/"):
        return None
    return CelebACollection(ZipCollection(str(path)), (path.parent, path.parent.parent))


def _read_attributes(path: pathlib.Path, names: list[str]) -> dict[str, Attribute]:
    """A line with the number of pictures, one with the attributes' names, then a file name and -1 or 1 for each.

    As .csv there is no first line, and the column of the files has a name, too.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if path.suffix == ".csv":
        lines = [line.replace(",", " ") for line in lines]
        lines = ["", (lines or [""])[0].partition(" ")[2], *lines[1:]]
    attributes = lines[1].split() if len(lines) > 1 else []
    rows = {}
    for number, line in enumerate(lines[2:], start=2 if path.suffix == ".csv" else 3):
        name, *values = line.split() or [""]
        if not name:
            continue
        if len(values) != len(attributes) or not set(values) <= {"-1", "1"}:
            raise UserError(f"line {number} of {path} should have a name and {len(attributes)} values of -1 or 1.")
        if name in rows:
            raise UserError(f"line {number} of {path} names {name} for a second time.")
        rows[name] = [value == "1" for value in values]
    missing = [name for name in names if name not in rows]
    if missing or not attributes:
        raise UserError(f"{path} has no line for {missing[0] if missing else 'any picture'}.")
    table = np.array([rows[name] for name in names], np.uint8)  # [N, attributes]
    return {name: Attribute(("no", "yes"), table[:, column]) for column, name in enumerate(attributes)}
