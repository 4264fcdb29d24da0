"""Frames of a loop through the images of some seeds."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.visualize.latent_paths import LatentPath
from stylegan_tf.visualize.picture_files import image_grid, resized
from stylegan_tf.visualize.picture_source import PictureSource
from stylegan_tf.visualize.sampling import batch_size


class Interpolation:
    """A loop through the images of seeds; several loops side by side if there are columns and rows.

    Args:
      seeds: those of the upper left loop, then those of the one to its right, and so on.
      space: "z" or "w".
      frames: length of the loop; after the last frame comes the first.
      smooth: see `LatentPath`.
      scale: enlargement by repeated pixels.
    """

    def __init__(
        self,
        source: PictureSource,
        seeds: Sequence[int],
        frames: int,
        space: str = "w",
        smooth: bool = True,
        columns: int = 1,
        rows: int = 1,
        scale: int = 1,
    ):
        keys, rest = divmod(len(seeds), columns * rows)
        if rest or keys < 2:
            raise UserError(
                f"a grid of {columns}x{rows} loops needs the same number of seeds for each, at least two: "
                f"{len(seeds)} seeds cannot be shared out so."
            )
        self.num_frames = frames
        self._source, self._space, self._columns, self._scale = source, space, columns, scale
        z = source.latents(seeds)
        points = z if space == "z" else source.map(z)
        on_sphere = space == "z"
        self._paths = [
            LatentPath(points[first : first + keys], on_sphere, smooth) for first in range(0, len(seeds), keys)
        ]
        self._step = keys / frames

    def frames(self) -> Iterator[np.ndarray]:
        """Yields uint8 [H, W, 3]; only a few are in memory at a time."""
        count = max(1, batch_size(self._source.resolutions[-1]) // len(self._paths))
        for start in range(0, self.num_frames, count):
            times = np.arange(start, min(start + count, self.num_frames)) * self._step
            points = np.stack([path(times) for path in self._paths], axis=1)  # [n, loops, D]
            flat = points.reshape(-1, points.shape[-1])
            ws = self._source.dlatents(flat) if self._space == "z" else self._source.broadcast(flat)
            pictures = self._source.pictures(ws)
            for frame in pictures.reshape(len(times), len(self._paths), *pictures.shape[1:]):
                yield resized(image_grid(frame, self._columns), self._scale)


def frame_count(seconds: float, fps: float) -> int:
    """Frames of a loop. UserError if it would be fewer than two."""
    count = math.floor(seconds * fps + 0.5)
    if count < 2:
        raise UserError(f"{seconds:g} seconds at {fps:g} frames a second are no animation: raise --seconds or --fps.")
    return count
