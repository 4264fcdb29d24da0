"""Long work for the page, one piece after the other: projections and videos of key frames."""

import functools
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import Blend, View
from stylegan_tf.files.file_errors import os_error_line
from stylegan_tf.visualize.animation import write_animation
from stylegan_tf.visualize.interpolation import LatentPath, frame_count
from stylegan_tf.visualize.picture_files import resized
from stylegan_tf.visualize.tile_table import scale_for

_MAX_WAITING = 16
_KEPT, _KEPT_SECONDS = 32, 3600.0
_ABANDONED_SECONDS = 90.0  # Without a question about it: its window is closed. Hidden ones ask once a minute.
FPS = 24  # Frames per second of videos.
MAX_KEYS = 32  # Key frames of a video.


class Stopped(Exception):
    """Raised in the work of a job that is to end."""


class Job:
    """One piece of work, and what its window may know of it."""

    def __init__(self, what: str, work: Callable[["Job"], Any]):
        """
        Args:
          what: for others who wait for it.
          work: gets the job and returns its result; a file is deleted with the job.
        """
        self.id, self.what, self._work = secrets.token_urlsafe(16), what, work
        self.state = "waiting"  # Then "running", and in the end "done", "stopped" or "failed".
        self.text, self.done, self.total = "", 0, 0
        self.pictures: dict[str, bytes] = {}  # PNG files by name.
        self.result: Any = None
        self.last_asked = time.monotonic()
        self._stop = ""  # Why it is to end.

    def stop(self, why: str = "Stopped.") -> None:
        self._stop = self._stop or why

    @property
    def is_stopping(self) -> bool:
        if time.monotonic() - self.last_asked > _ABANDONED_SECONDS:
            self.stop(f"Stopped: its window was silent for {_ABANDONED_SECONDS:.0f} seconds.")
        return bool(self._stop)

    def report(self, done: int, total: int, text: str, **pictures: bytes) -> None:
        self.done, self.total, self.text = done, total, text
        self.pictures.update(pictures)

    def run(self) -> None:
        work, self._work = self._work, None  # What it holds on to, such as an upload, is not kept.
        self.state = "running"
        try:
            if self.is_stopping:
                raise Stopped
            self.result = work(self)
            if self._stop:
                self.text = f"{self.text}. {self._stop}"
            self.state = "stopped" if self._stop else "done"
        except Stopped:
            self.text, self.state = self._stop or "Stopped.", "stopped"
        except (UserError, ValueError) as error:
            self.text, self.state = str(error), "failed"
        except OSError as error:
            self.text, self.state = os_error_line(error), "failed"
        except Exception:
            self.text, self.state = "The program failed: its terminal says how.", "failed"
            logging.getLogger(__name__).exception(self.what)


class Jobs:
    """Runs jobs in one thread, in their order. Finished ones are kept for a while."""

    def __init__(self):
        self._jobs, self._lock, self._pool = OrderedDict(), threading.Lock(), ThreadPoolExecutor(1)

    def start(self, what: str, work: Callable[[Job], Any]) -> Job:
        job = Job(what, work)
        with self._lock:
            self._forget()
            if sum(other.state == "waiting" for other in self._jobs.values()) >= _MAX_WAITING:
                raise UserError("too many others are waiting: try again in some minutes.")
            self._jobs[job.id] = job
        self._pool.submit(job.run)
        return job

    def get(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise UserError("this work is no longer known: start it again.")
        job.last_asked = time.monotonic()
        return job

    def waits_for(self, job: Job) -> str:
        """What comes before a waiting job, in a sentence."""
        with self._lock:
            running = [one for one in self._jobs.values() if one.state == "running"]
            waiting = [one for one in self._jobs.values() if one.state == "waiting"]
        ahead = waiting.index(job) if job in waiting else 0
        parts = [f"{one.what} that is running ({one.text or 'preparing'})" for one in running]
        parts += [f"{ahead} that came before"] if ahead else []
        return f"Waiting for {' and '.join(parts) or 'its turn'}."

    def close(self) -> None:
        for job in list(self._jobs.values()):
            job.stop()

    def _forget(self):
        """Jobs that ended long ago, and the oldest of many."""
        ended = [job for job in self._jobs.values() if job.state not in ("waiting", "running")]
        for index, job in enumerate(ended):
            if index < len(ended) - _KEPT or time.monotonic() - job.last_asked > _KEPT_SECONDS:
                del self._jobs[job.id]
                if isinstance(job.result, Path):
                    job.result.unlink(missing_ok=True)


class Video:
    """The way from view to view: w on a smooth curve, noise maps, their strengths and shares of a blend evenly.

    A swap of layers holds until the next view.

    Args:
      seconds: from one view to the next.
      loop: from the last one back to the first.
    """

    def __init__(self, renderer: Renderer, views: Sequence[View], seconds: float, loop: bool):
        self._renderer, self._views = renderer, views
        self._walk = LatentPath(np.stack([renderer.render(view).ws for view in views]), closed=loop)
        self.num_frames = frame_count(seconds * self._walk.length, FPS)
        self._step = self._walk.length / (self.num_frames if loop else self.num_frames - 1)
        self._noise = functools.lru_cache(maxsize=2)(lambda key: renderer.render(views[key]).noise)

    def frames(self) -> Iterator[np.ndarray]:
        """Yields uint8 [h, w, 3]."""
        for moment in np.arange(self.num_frames) * self._step:
            key = min(int(moment), len(self._views) - 1)
            following = (key + 1) % len(self._views)
            first, second = self._noise(key), self._noise(following)
            noise = [a + np.float32(moment - key) * (b - a) for a, b in zip(first, second)]
            blend = _between(self._views[key].blend, self._views[following].blend, moment - key)
            picture = self._renderer.render_styles(self._walk([moment])[0], noise, blend).picture
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


def _between(first: Optional[Blend], second: Optional[Blend], moment: float) -> Optional[Blend]:
    """At a moment from 0 to 1; none is a share of 0."""
    if first == second or any(blend and blend.swap for blend in (first, second)):
        return first
    start = first.share if first else 0.0
    end = second.share if second else 0.0
    return Blend((first or second).network, start + moment * (end - start))
