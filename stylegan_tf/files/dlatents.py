"""Files of styles: w of every layer of many images.

A file may also hold the noise maps of its images, `noise00`, `noise01`, ... for the layers, [images, r, r, 1] each.
"""

import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.arrays import read_array, read_arrays
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import short

_KIND = "file of dlatents"
_KEY = "dlatents"
_NOISE = "noise{:02d}"  # By layer.


def save_dlatents(
    path: Union[str, os.PathLike], shape: tuple, parts: Iterable[np.ndarray], noise: Iterable[np.ndarray] = ()
) -> None:
    """Writes float32 [N, L, W] = `shape`, which comes in parts [n, L, W], to `dlatents` of an .npz, or to an .npy.

    No more than a part is held in memory. noise: maps [N, r, r, 1] for each layer, in an .npz only.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".npy"):
        raise UserError(f"{path}: the name of a dlatents file must end in .npz or .npy.")
    with atomic_write(path) as temporary:
        if suffix == ".npy":
            with open(temporary, "wb") as stream:
                _write(stream, shape, parts)
        else:
            with zipfile.ZipFile(temporary, "w") as archive:
                with archive.open(f"{_KEY}.npy", "w", force_zip64=True) as stream:
                    _write(stream, shape, parts)
                for layer, maps in enumerate(noise):
                    with archive.open(f"{_NOISE.format(layer)}.npy", "w", force_zip64=True) as stream:
                        _write(stream, maps.shape, [maps])


def _write(stream, shape, parts):
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)})
    for part in parts:
        stream.write(np.ascontiguousarray(part, "<f4").tobytes())


def load_dlatents(path: Union[str, os.PathLike], num_layers: int, w_size: int, note: Note = ignore) -> np.ndarray:
    """float32 [N, num_layers, w_size] from `dlatents` of an .npz or from an .npy.

    A file of [N, w_size] or [N, 1, w_size] gives every layer the same w; one of [num_layers, w_size] is taken as the
    layers of one image, which `note` takes a line about. UserError for anything else.
    """
    array = _read(Path(path), [_KEY]).get(_KEY)
    if array is None:
        found = ", ".join(list(read_arrays(path, _KIND))[:5]) or "nothing"
        raise UserError(f"{path} has no entry {_KEY!r}, it holds: {short(found)}.")
    shape = list(array.shape)
    if shape == [num_layers, w_size] and num_layers > 1:
        note(
            f"{path} holds {shape}: taken as the {num_layers} layers of one image; for w of {num_layers} images "
            f"save it as [{num_layers}, 1, {w_size}]."
        )
        array = array[None]
    elif array.ndim == 2:
        array = array[:, None]
    fits = array.ndim == 3 and len(array) and array.shape[1] in (1, num_layers) and array.shape[2] == w_size
    if not fits or array.dtype.kind != "f":
        raise UserError(
            f"{path} holds {array.dtype} {shape}; this network takes floats [N, {num_layers}, {w_size}] "
            f"or [N, {w_size}]."
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{path} holds values that are not finite in float32: create it again.")
    return np.broadcast_to(array, [len(array), num_layers, w_size])


def load_noise(path: Union[str, os.PathLike], count: int, shapes: Sequence[tuple]) -> Optional[list[np.ndarray]]:
    """The noise maps in the file, float32 [count, r, r, 1] for each of `shapes` = (r, r, 1); None if it has none."""
    names = [_NOISE.format(layer) for layer in range(len(shapes))]
    maps = _read(Path(path), names)
    if not names or not set(names) <= set(maps):
        return None
    for name, shape in zip(names, shapes):
        array = maps[name]
        if array.shape != (count, *shape) or array.dtype != np.float32 or not np.isfinite(array).all():
            raise UserError(
                f"{path} holds {name} {array.dtype} {list(array.shape)}; expected finite float32 {[count, *shape]}."
            )
    return [maps[name] for name in names]


def has_noise(path: Union[str, os.PathLike]) -> bool:
    """Whether the file has noise maps."""
    name = _NOISE.format(0)
    return name in _read(Path(path), [name])


def _read(path, names):
    """Those of these arrays that the file has, by name; an .npy holds the dlatents alone."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: `dlatents` takes an .npz with the entry {_KEY!r}, or an .npy.")
    with open(path, "rb") as stream:
        is_array = stream.read(6) == b"\x93NUMPY"
    return {_KEY: read_array(path, _KIND)} if is_array else read_arrays(path, _KIND, only=names)
