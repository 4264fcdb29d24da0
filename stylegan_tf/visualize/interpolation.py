"""Frames of a walk through images: through w or z, closed or open, several walks side by side."""

import math
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np
from scipy.interpolate import CubicSpline

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.painter import Painter, batch_size
from stylegan_tf.visualize.picture_files import as_rgb, image_grid, resized

_LINE = 1e-4  # Radians; directions closer than this, or as close to opposite, have no arc to speak of.


class LatentPath:
    """A path through keys [K, ...] (K >= 2): `path([t, ...])` -> float32 [n, ...]; key k is at t = k.

    Args:
      on_sphere: the path of Gaussian latents [K, D]: lengths are those of the keys, not the shorter ones that
        lie between them.
      smooth: a cubic spline, without a jerk at the keys. Else the paper's interpolations (Sec. 4.1):
        straight lines, or arcs on the sphere.
      closed: from the last key it goes on to the first, which is at t = K again. Else it ends at K - 1.
    """

    def __init__(self, keys: np.ndarray, on_sphere: bool = False, smooth: bool = True, closed: bool = True):
        if len(keys) < 2:
            raise ValueError(f"expected at least two keys, got {len(keys)}.")
        self._keys = np.asarray(keys, np.float64)
        self._on_sphere, self._closed = on_sphere, closed
        self._spline = None
        if smooth:
            points = np.concatenate([self._keys, self._keys[:1]]) if closed else self._keys
            self._spline = CubicSpline(np.arange(len(points)), points, bc_type="periodic" if closed else "natural")

    @property
    def length(self) -> int:
        """t at the end."""
        return len(self._keys) - (not self._closed)

    def __call__(self, times: np.ndarray) -> np.ndarray:
        times = np.asarray(times, np.float64)
        times = times % len(self._keys) if self._closed else np.clip(times, 0, self.length)
        first = np.minimum(times.astype(int), self.length - 1)
        second = (first + 1) % len(self._keys)
        part = (times - first).reshape(-1, *[1] * (self._keys.ndim - 1))
        a, b = self._keys[first], self._keys[second]
        if self._spline is not None:
            points = self._spline(times)
        else:
            points = slerp(a, b, part) if self._on_sphere else a + part * (b - a)
        if self._on_sphere:
            length = _norm(a) + part * (_norm(b) - _norm(a))
            points = points / np.maximum(_norm(points), 1e-12) * length
        return points.astype(np.float32)


def slerp(a: np.ndarray, b: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Unit vectors [N, D] on the arcs from the directions of a to those of b, both [N, D], at `part` [N, 1]."""
    a, b = a / _norm(a), b / _norm(b)
    angle = np.arccos(np.clip(np.sum(a * b, axis=-1, keepdims=True), -1.0, 1.0))
    safe = np.where(np.sin(angle) < _LINE, 1.0, angle)
    arc = (np.sin((1 - part) * safe) * a + np.sin(part * safe) * b) / np.sin(safe)
    line = a + part * (b - a)
    return np.where(np.sin(angle) < _LINE, line / np.maximum(_norm(line), 1e-12), arc)


def _norm(x):
    return np.linalg.norm(x, axis=-1, keepdims=True)


class LatentWalk:
    """The styles [n, L, W] on a path through z [K, Z] on their sphere; psi [K] changes evenly, None: the painter's."""

    def __init__(self, painter: Painter, keys: np.ndarray, psi: Optional[np.ndarray] = None, smooth=True, closed=True):
        self._painter = painter
        self._path = LatentPath(keys, on_sphere=True, smooth=smooth, closed=closed)
        self._psi = None if psi is None else LatentPath(psi, smooth=False, closed=closed)
        self.length = self._path.length

    def __call__(self, times: np.ndarray) -> np.ndarray:
        psi = None if self._psi is None else self._psi(times)
        return self._painter.broadcast(self._painter.map(self._path(times)), psi=psi)


def walk_frames(
    painter: Painter, walks: Sequence, frames: int, columns=1, scale=1, offset=0, closed=True
) -> Iterator[np.ndarray]:
    """Yields uint8 [H, W, 3], or [H, W, 4] of a network with transparency; only a few are in memory at a time.

    Args:
      walks: `LatentPath`s through w [K, L, W] or `LatentWalk`s of the same length:
        the upper left one, the one to its right, and so on.
      frames: of a closed walk the last one precedes the first; an open one ends at its last key.
      columns: of walks; scale: enlargement by repeated pixels.
      offset: what is added to w of every layer, [L, W].
    """
    step = walks[0].length / (frames if closed else frames - 1)
    count = max(1, batch_size(painter.resolutions[-1]) // len(walks))
    for start in range(0, frames, count):
        times = np.arange(start, min(start + count, frames)) * step
        ws = np.stack([walk(times) for walk in walks], axis=1)  # [n, walks, L, W]
        images = np.concatenate(list(painter.image_batches(ws.reshape(-1, *ws.shape[2:]) + offset)))
        images = images if images.shape[-1] == 4 else as_rgb(images)
        for frame in images.reshape(len(times), len(walks), *images.shape[1:]):
            yield resized(image_grid(frame, columns), scale)


def split_keys(keys: Sequence, walks: int) -> list[Sequence]:
    """The keys of each of several walks. UserError if they are too few, or not the same number for all."""
    count, rest = divmod(len(keys), walks)
    if rest or count < 2:
        raise UserError(
            f"{walks} walk(s) need the same number of images each, at least two: {len(keys)} cannot be split so."
        )
    return [keys[first : first + count] for first in range(0, len(keys), count)]


def frame_count(seconds: float, fps: float) -> int:
    """Frames of an animation. UserError if it would be fewer than two."""
    count = math.floor(seconds * fps + 0.5)
    if count < 2:
        raise UserError(
            f"{seconds:g} s at {fps:g} frames a second give fewer than two frames: raise `seconds` or `fps`."
        )
    return count
