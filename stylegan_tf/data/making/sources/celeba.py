"""CelebA: `img_align_celeba/` with pictures of 178x218 pixels, and `list_attr_celeba.txt` beside it."""

import io
import pathlib
from typing import Optional

import numpy as np
from PIL import Image

from stylegan_tf.data.demo import Attribute
from stylegan_tf.data.making.decoding import BadPicture
from stylegan_tf.data.making.sources.collection import Collection
from stylegan_tf.data.making.sources.image_files import folder_collection
from stylegan_tf.errors import UserError

IMAGES, ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
_SIZE = (178, 218)
_LEFT, _TOP, _SIDE = 89 - 64, 121 - 64, 128  # The square around (89, 121) that the ProGAN paper uses.


class CelebACollection(Collection):
    """The central 128x128 pixels of the aligned faces."""

    def __init__(self, folder: pathlib.Path):
        images = folder if folder.name == IMAGES else folder / IMAGES
        self._files = folder_collection(images)
        near = (folder / ATTRIBUTES, images / ATTRIBUTES, images.parent / ATTRIBUTES)
        self._attributes_path = next((path for path in near if path.is_file()), None)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return self._files.name(index)

    def read(self, index: int) -> np.ndarray:
        data = self._files.read(index)
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.size != _SIZE:
                    raise BadPicture(f"has {image.width}x{image.height} pixels, expected {_SIZE[0]}x{_SIZE[1]}")
                return np.asarray(image.convert("RGB").crop((_LEFT, _TOP, _LEFT + _SIDE, _TOP + _SIDE)))
        except (OSError, SyntaxError, ValueError) as error:
            raise BadPicture(f"cannot be decoded: {error}") from error

    def attributes(self) -> Optional[dict[str, Attribute]]:
        """The 40 attributes, each "no" or "yes"."""
        if self._attributes_path is None:
            raise UserError(f"{ATTRIBUTES} is missing beside {IMAGES}: --labels needs it.")
        return _read_attributes(self._attributes_path, [self.name(index) for index in range(len(self))])


def _read_attributes(path: pathlib.Path, names: list[str]) -> dict[str, Attribute]:
    """A line with the number of pictures, one with the attributes' names, then a file name and -1 or 1 for each."""
    lines = path.read_text(encoding="utf-8").splitlines()
    attributes = lines[1].split() if len(lines) > 1 else []
    rows = {}
    for number, line in enumerate(lines[2:], start=3):
        name, *values = line.split() or [""]
        if not name:
            continue
        if len(values) != len(attributes) or not set(values) <= {"-1", "1"}:
            raise UserError(f"line {number} of {path} should have a name and {len(attributes)} values of -1 or 1.")
        rows[name] = [value == "1" for value in values]
    missing = [name for name in names if name not in rows]
    if missing or not attributes:
        raise UserError(f"{path} has no line for {missing[0] if missing else 'any picture'}.")
    table = np.array([rows[name] for name in names], np.uint8)  # [N, attributes]
    return {name: Attribute(("no", "yes"), table[:, column]) for column, name in enumerate(attributes)}
