"""Videos of key frames: views, with everything that they say."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.explorer.jobs import Job, Stopped
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import View
from stylegan_tf.visualize.animation import write_animation
from stylegan_tf.visualize.interpolation import StyleWalk, frame_count
from stylegan_tf.visualize.picture_files import resized
from stylegan_tf.visualize.tile_table import scale_for

FPS = 24
MAX_KEYS = 32


class Film:
    """The way from view to view: w on a smooth curve, noise maps and their strengths evenly.

    Args:
      seconds: from one view to the next.
      loop: from the last one back to the first.
    """

    def __init__(self, renderer: Renderer, views: Sequence[View], seconds: float, loop: bool):
        if not 2 <= len(views) <= MAX_KEYS:
            raise UserError(f"a video takes 2 to {MAX_KEYS} key frames, there are {len(views)}.")
        self._renderer, self._views = renderer, views
        self._walk = StyleWalk(np.stack([renderer.render(view).ws for view in views]), closed=loop)
        self.num_frames = frame_count(seconds * self._walk.length, FPS)
        self._step = self._walk.length / (self.num_frames if loop else self.num_frames - 1)
        self._noise = functools.lru_cache(maxsize=2)(lambda key: renderer.render(views[key]).noise)

    def frames(self) -> Iterator[np.ndarray]:
        """Yields uint8 [h, w, 3]."""
        for time in np.arange(self.num_frames) * self._step:
            key = min(int(time), len(self._views) - 1)
            first, second = self._noise(key), self._noise((key + 1) % len(self._views))
            noise = [a + np.float32(time - key) * (b - a) for a, b in zip(first, second)]
            picture = self._renderer.render_styles(self._walk([time])[0], noise).picture
            yield resized(picture, scale_for(picture.shape))

    def write(self, path: Path, job: Job) -> None:
        """To a .webp or .mp4 file."""

        def reported():
            for index, frame in enumerate(self.frames()):
                if job.is_stopping:
                    raise Stopped
                job.report(index + 1, self.num_frames, f"frame {index + 1} of {self.num_frames}")
                yield frame

        write_animation(reported(), self.num_frames, path, FPS)
