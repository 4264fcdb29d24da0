"""The embedded demo set: 4,096 voxel figures of 64x64 pixels (DiceBear "Voxel Art", CC0 1.0). Needs no TensorFlow.

It is rendered by tools/render_demo_set.py; the licence is in DEMO_SET_LICENSE.txt next to the data.
"""

import importlib.resources
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from stylegan_tf.config.errors import UserError

_HATS = ("animalEars", "beanie", "bunnyEars", "cap")  # The values of `top` that are worn and not grown.


class Attribute(NamedTuple):
    """One attribute of every image: image i has `values[indices[i]]`."""

    values: tuple[str, ...]
    indices: np.ndarray  # uint8 [N]


def load_demo_images() -> np.ndarray:
    """-> uint8 [4096, 64, 64, 3], RGB."""
    with Image.open(io.BytesIO(_resource("demo_set.webp"))) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))  # [64 tiles * 64 px, 64 tiles * 64 px, 3]
    size = 64
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    tiles = pixels.reshape(rows, size, columns, size, 3).transpose(0, 2, 1, 3, 4)  # [rows, columns, size, size, 3]
    return np.ascontiguousarray(tiles).reshape(-1, size, size, 3)


def load_demo_attributes() -> dict[str, Attribute]:
    """Clothes and looks of the figures, e.g. `glasses`: none, round, ...; `skin_color`: #f5d0b0, ...

    Three yes/no attributes are derived from the renderer's own: `has_glasses`, `has_hat`, `has_beard`.
    """
    attributes = {}
    for name, packed in json.loads(_resource("demo_set.json"))["attributes"].items():
        indices = np.frombuffer(packed["indices"].encode("ascii"), np.uint8) - ord("A")
        attributes[name] = Attribute(tuple(packed["values"]), indices)
    attributes["has_glasses"] = _yes_no(attributes["glasses"], attributes["glasses"].values[1:])
    attributes["has_hat"] = _yes_no(attributes["top"], _HATS)
    attributes["has_beard"] = _yes_no(attributes["beard"], attributes["beard"].values[1:])
    return attributes


def one_hot_labels(attributes: dict[str, Attribute], names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """One-hot classes of the named attributes -> (float32 [N, L], label names such as "has_hat=yes").

    With several names the one-hot blocks stand next to each other. Raises UserError for an unknown name.
    """
    blocks, label_names = [], []
    for name in names:
        if name not in attributes:
            known = ", ".join(sorted(attributes))
            raise UserError(f"unknown attribute '{name}' for labels; the demo set has: {known}.")
        values, indices = attributes[name]
        blocks.append(np.eye(len(values), dtype=np.float32)[indices])
        label_names.extend(f"{name}={value}" for value in values)
    return np.concatenate(blocks, axis=1), tuple(label_names)


def _yes_no(attribute: Attribute, yes_values: Sequence[str]) -> Attribute:
    is_yes = np.array([value in yes_values for value in attribute.values], np.uint8)
    return Attribute(("no", "yes"), is_yes[attribute.indices])


def _resource(name: str) -> bytes:
    """A file of this package: works from a folder, a wheel and a zip alike."""
    return importlib.resources.files("stylegan_tf.data").joinpath(name).read_bytes()
