"""Paths through latents, for interpolations: closed ones, that loop, and open ones."""

import numpy as np
from scipy.interpolate import CubicSpline

_LINE = 1e-4  # Radians; directions closer than this, or as close to opposite, have no arc to speak of.


class LatentPath:
    """A path through keys [K, D] (K >= 2): `path([t, ...])` -> float32 [n, D]; key k is at t = k.

    Args:
      on_sphere: the path of Gaussian latents: lengths are those of the keys, not the shorter ones that
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
        second, part = (first + 1) % len(self._keys), (times - first)[:, None]
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
