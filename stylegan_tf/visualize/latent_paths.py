"""Closed paths through latents, for interpolations that loop."""

import numpy as np
from scipy.interpolate import CubicSpline

_LINE = 1e-4  # Radians; directions closer than this, or as close to opposite, have no arc to speak of.


class LatentPath:
    """A closed path through keys [K, D] (K >= 2): `path([t, ...])` -> float32 [n, D]; key k is at t = k, and at k + K.

    Args:
      on_sphere: the path of Gaussian latents: lengths are those of the keys, not the shorter ones that
        lie between them.
      smooth: a periodic cubic spline, without a jerk at the keys. Else the paper's interpolations (Sec. 4.1):
        straight lines, or arcs on the sphere.
    """

    def __init__(self, keys: np.ndarray, on_sphere: bool = False, smooth: bool = True):
        if len(keys) < 2:
            raise ValueError(f"expected at least two keys, got {len(keys)}.")
        self._keys = np.asarray(keys, np.float64)
        self._on_sphere = on_sphere
        self._spline = None
        if smooth:
            closed = np.concatenate([self._keys, self._keys[:1]])
            self._spline = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")

    def __call__(self, times: np.ndarray) -> np.ndarray:
        times = np.asarray(times, np.float64) % len(self._keys)
        first = times.astype(int)
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
