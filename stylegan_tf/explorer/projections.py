"""Projection of uploaded pictures: the search as a job, and what was found."""

import functools
import secrets
import time
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from stylegan_tf.config import PictureOptions, ProjectionConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box, unstretched
from stylegan_tf.data.sources.fitted import to_square
from stylegan_tf.data.sources.opening import picture_size
from stylegan_tf.editing.projecting import fit_as_trained
from stylegan_tf.editing.projection import Projector
from stylegan_tf.explorer.jobs import Job, Stopped
from stylegan_tf.explorer.renderer import as_png
from stylegan_tf.files.file_errors import short
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import as_rgb

MAX_BYTES, MAX_PIXELS = 20 * 2**20, 64 * 10**6  # Limits for an upload.
MAX_STEPS = 1000
_PICTURES = 40  # Shown on the way.
_KEPT, _KEPT_SECONDS = 64, 24 * 3600.0


class _Found(NamedTuple):
    network: str
    ws: np.ndarray
    target: bytes
    time: float


class FoundPictures:
    """w [L, W] of projected pictures, by names that nobody can guess. The newest ones are kept, for a day."""

    def __init__(self):
        self._found: OrderedDict[str, _Found] = OrderedDict()

    def add(self, network: str, ws: np.ndarray, target: bytes) -> str:
        """network: its name in the list; target: the picture that was searched for, a PNG file."""
        name = secrets.token_urlsafe(12)
        self._found[name] = _Found(network, ws, target, time.monotonic())
        while len(self._found) > _KEPT or time.monotonic() - next(iter(self._found.values())).time > _KEPT_SECONDS:
            self._found.popitem(last=False)
        return name

    def __getitem__(self, key: tuple[str, str]) -> np.ndarray:
        """key: (network, name)."""
        network, name = key
        found = self._get(name)
        if found.network != network:
            raise UserError("the image that was found belongs to another network: find it again with this one.")
        return found.ws

    def target(self, name: str) -> bytes:
        return self._get(name).target

    def _get(self, name):
        if name not in self._found:
            raise UserError("the image that was found is no longer kept here: find it again, or show the seed.")
        return self._found[name]


class Projections:
    """Searches for all windows. Keeps the traced steps of the last few kinds of search."""

    def __init__(self, distance):
        self._distance = distance
        self._projector = functools.lru_cache(maxsize=4)(self._new_projector)

    @staticmethod
    def spaces(painter: Painter) -> list[str]:
        return ["w+", "w"] if painter.config.use_styles else ["z"]

    def find(
        self, job: Job, painter: Painter, upload: bytes, name: str, space: str, steps: int, label: tuple[float, ...]
    ) -> tuple[np.ndarray, bytes]:
        """Searches until the last step or until the job is stopped: w [L, W] by then, and the picture searched for.

        name: of the uploaded file, for messages; label: [label_size].
        """
        job.report(0, steps, "preparing")
        try:
            target = uploaded_target(upload, painter)
        except (UserError, ValueError) as error:
            raise UserError(f"{short(name, 100)}: {error}") from None
        shown = as_png(_in_shape(target[None], painter))
        job.report(0, steps, "preparing", target=shown)
        every, ws = max(1, steps // _PICTURES), None
        projector = self._projector(painter, space, steps, label)
        for step in projector.find(target[None]):
            ws = step.ws.numpy()[0]
            if step.step in (1, steps) or step.step % every == 0 or job.is_stopping:
                picture = as_png(_in_shape(projector.pictures(step.ws), painter))
                text = f"step {step.step} of {steps}, distance {float(step.distances[0]):.4g}"
                job.report(step.step, steps, text, now=picture)
            if job.is_stopping:
                break
        if ws is None:
            raise Stopped
        return ws, shown

    def _new_projector(self, painter, space, steps, label):
        one_hot = np.float32(label) if label else None
        config = ProjectionConfig(space=space, steps=steps)
        return Projector(painter.generator, self._distance, config, one_hot, painter.content_box)


def uploaded_target(upload: bytes, painter: Painter) -> np.ndarray:
    """uint8 [h, w, C], as large as the network's images. UserError or ValueError for what is none, or too large."""
    check_upload(upload)
    box, size = painter.content_box, painter.resolutions[-1]
    options = PictureOptions(size, painter.config.num_channels, fit_as_trained(box, painter.aspect_ratio))
    return crop_to_box(to_square(upload, options).image[None], box)[0]


def check_upload(upload: bytes) -> None:
    """UserError for what is not a picture, or too large; its pixels are not read yet."""
    try:
        width, height = picture_size(upload)
    except ValueError:
        raise UserError("this is not a readable image.") from None
    if width * height > MAX_PIXELS:
        raise UserError(f"the image has {width}x{height} pixels; the limit is {MAX_PIXELS:,}.")


def _in_shape(images, painter):
    return as_rgb(unstretched(images, painter.aspect_ratio))[0]
