"""Frames of a walk through images: through w or z, closed or open, several walks side by side."""

import math
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.visualize.latent_paths import LatentPath
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import image_grid, resized
from stylegan_tf.visualize.sampling import batch_size


class StyleWalk:
    """Through w of every layer: `walk(times)` -> float32 [n, L, W] for keys [K, L, W], which are used as they are."""

    def __init__(self, keys: np.ndarray, smooth: bool = True, closed: bool = True):
        self._path = LatentPath(keys.reshape(len(keys), -1), smooth=smooth, closed=closed)
        self._shape = keys.shape[1:]
        self.length = self._path.length

    def __call__(self, times: np.ndarray) -> np.ndarray:
        return self._path(times).reshape(-1, *self._shape)


class LatentWalk:
    """Through z [K, Z], on the sphere of the latents, with psi [K] that changes evenly; None: the painter's."""

    def __init__(
        self, painter: Painter, keys: np.ndarray, psi: Optional[np.ndarray] = None, smooth=True, closed=True
    ):
        self._painter = painter
        self._path = LatentPath(keys, on_sphere=True, smooth=smooth, closed=closed)
        self._psi = None if psi is None else LatentPath(np.reshape(psi, [-1, 1]), smooth=False, closed=closed)
        self.length = self._path.length

    def __call__(self, times: np.ndarray) -> np.ndarray:
        psi = None if self._psi is None else self._psi(times)[:, 0]
        return self._painter.broadcast(self._painter.map(self._path(times)), psi)


class Interpolation:
    """The frames of walks of the same length.

    Args:
      walks: the upper left one, the one to its right, and so on.
      frames: of a closed walk the last one precedes the first; an open one ends at its last key.
      columns: of walks; scale: enlargement by repeated pixels.
      offset: what is added to w of every layer, [L, W].
    """

    def __init__(self, painter: Painter, walks: Sequence, frames: int, columns=1, scale=1, offset=0, closed=True):
        self.num_frames = frames
        self._painter, self._walks, self._columns, self._scale = painter, walks, columns, scale
        self._offset = offset
        self._step = walks[0].length / (frames if closed else frames - 1)

    def frames(self) -> Iterator[np.ndarray]:
        """Yields uint8 [H, W, 3]; only a few are in memory at a time."""
        count = max(1, batch_size(self._painter.resolutions[-1]) // len(self._walks))
        for start in range(0, self.num_frames, count):
            times = np.arange(start, min(start + count, self.num_frames)) * self._step
            ws = np.stack([walk(times) for walk in self._walks], axis=1)  # [n, walks, L, W]
            pictures = self._painter.pictures(ws.reshape(-1, *ws.shape[2:]) + self._offset)
            for frame in pictures.reshape(len(times), len(self._walks), *pictures.shape[1:]):
                yield resized(image_grid(frame, self._columns), self._scale)


def shared_out(keys: Sequence, walks: int) -> list[Sequence]:
    """The keys of each of several walks. UserError if they are too few, or not the same number for all."""
    count, rest = divmod(len(keys), walks)
    if rest or count < 2:
        raise UserError(
            f"{walks} walk(s) need the same number of images each, at least two: {len(keys)} cannot be shared out so."
        )
    return [keys[first : first + count] for first in range(0, len(keys), count)]


def frame_count(seconds: float, fps: float) -> int:
    """Frames of an animation. UserError if it would be fewer than two."""
    count = math.floor(seconds * fps + 0.5)
    if count < 2:
        raise UserError(f"{seconds:g} seconds at {fps:g} frames a second are no animation: raise --seconds or --fps.")
    return count
