"""Directions in w, and their files (`directions.npz` of the command `directions`).

A direction has a name, a unit vector, the layers that it applies to, and the length of a step along it: usually the
standard deviation of w along the vector. A move of +2 adds two steps.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.arrays import read_arrays, write_arrays

_ENTRY, _VERSION = "directions", 1


@dataclasses.dataclass(frozen=True)
class Directions:
    """K directions in a w of W numbers."""

    names: tuple[str, ...]
    vectors: np.ndarray  # float32 [K, W], of length 1.
    deviations: np.ndarray  # float32 [K]: the length of a step along each.
    layers: np.ndarray  # int32 [K, 2]: the first layer, and the one after the last.

    @classmethod
    def from_vectors(
        cls, names: Sequence[str], vectors: np.ndarray, w: np.ndarray, layers: tuple[int, int]
    ) -> "Directions":
        """vectors: [K, W] of any length; w: [N, W], samples for the deviations."""
        vectors = np.asarray(vectors, np.float64)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        deviations = (np.asarray(w, np.float64) @ vectors.T).std(axis=0)
        numbers = np.tile(np.int32(layers), [len(names), 1])
        return cls(tuple(names), vectors.astype(np.float32), deviations.astype(np.float32), numbers)

    def __add__(self, other: "Directions") -> "Directions":
        parts = [np.concatenate([getattr(each, part) for each in (self, other)]) for part in _ARRAYS]
        return Directions(self.names + other.names, *parts)

    def offset(self, moves: Mapping[str, float], num_layers: int) -> np.ndarray:
        """The offset to w of every layer for moves like {"glasses": 2, "pca3": -1}: float32 [num_layers, W]."""
        offset = np.zeros([num_layers, self.vectors.shape[1]], np.float32)
        for name, amount in moves.items():
            if name not in self.names:
                raise UserError(f"there is no direction {name!r}; the file has: {', '.join(self.names)}.")
            index = self.names.index(name)
            first, end = self.layers[index]
            offset[first:end] += np.float32(amount) * self.deviations[index] * self.vectors[index]
        return offset


_ARRAYS = ("vectors", "deviations", "layers")


def save_directions(path: os.PathLike, directions: Directions, made_with: Mapping) -> None:
    """made_with: JSON values on the origin of the directions, for human readers."""
    description = {"version": _VERSION, "made_with": dict(made_with)}
    arrays = {name: getattr(directions, name) for name in _ARRAYS}
    write_arrays(path, _ENTRY, description, {"names": np.array(directions.names), **arrays})


def load_directions(path: os.PathLike, num_layers: int, w_size: int) -> Directions:
    """UserError for a file of another kind, or for a network with other layers or another w."""
    path = pathlib.Path(path)
    arrays = read_arrays(path, "file of directions")
    missing = {_ENTRY, "names", *_ARRAYS} - set(arrays)
    if missing:
        raise UserError(f"{path} is not a file of stylegan_tf.directions: it lacks the entry {min(missing)!r}.")
    names = tuple(str(name) for name in arrays["names"].reshape(-1))
    count = len(names)
    shapes = {"vectors": (count, w_size), "deviations": (count,), "layers": (count, 2)}
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or not np.isfinite(array).all():
            raise UserError(
                f"{path}: {name} are {array.dtype} {list(array.shape)}, this network takes finite numbers "
                f"{list(shape)}: make the directions with this network."
            )
    last = int(arrays["layers"].max(initial=0))
    if last > num_layers:
        raise UserError(
            f"{path} has directions for {last} layers, this network has {num_layers}: make them with this network."
        )
    return Directions(names, *(arrays[name] for name in _ARRAYS))


def parse_moves(text: str) -> dict[str, float]:
    """ "glasses=2,pca3=-1" -> {"glasses": 2.0, "pca3": -1.0}."""
    moves = {}
    for part in text.split(","):
        name, _, amount = part.strip().rpartition("=")
        try:
            value = float(amount)
        except ValueError:
            value = np.nan
        if not name or not np.isfinite(value):
            raise UserError(f"`move` takes names and amounts like glasses=2,pca3=-1; {part.strip()!r} is not one.")
        moves[name] = moves.get(name, 0.0) + value
    return moves
