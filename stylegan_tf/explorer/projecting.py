"""Projection of uploaded pictures, step by step."""

import functools
from collections.abc import Iterator
from typing import Optional

import numpy as np

from stylegan_tf.config import PictureOptions, ProjectionConfig
from stylegan_tf.data.letterbox import crop_to_box, unstretched
from stylegan_tf.data.sources.decoding import to_square
from stylegan_tf.editing.projection import Projector
from stylegan_tf.editing.projection_results import fit_as_trained
from stylegan_tf.errors import UserError
from stylegan_tf.explorer.pictures import check_upload
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import as_rgb

_PICTURES = 40  # Shown on the way.


class ProjectionDesk:
    """Finds pictures for all users, one at a time. Keeps the traced steps of the last few kinds of search."""

    def __init__(self, painter: Painter, distance):
        self._painter, self._distance = painter, distance
        self._projector = functools.lru_cache(maxsize=4)(self._new_projector)
        self.spaces = ["w+", "w"] if painter.config.use_styles else ["z"]

    def find(self, upload: bytes, space: str, steps: int, label) -> Iterator[tuple]:
        """Yields (picture uint8 [h, w, 3] or None, text, w of every layer [L, W] or None, whether it is the last)."""
        try:
            target = self._target(upload)
        except (UserError, ValueError) as error:
            yield None, f"{error}", None, False
            return
        yield None, "Preparing", None, False
        projector = self._projector(space, steps, int(label or 0) if self._painter.config.label_size else None)
        every = max(1, steps // _PICTURES)
        for found in projector.find(target[None]):
            is_last = found.step == steps
            if is_last or found.step % every == 1 % every:
                images = unstretched(projector.pictures(found.ws), self._painter.aspect_ratio)
                picture = as_rgb(images)[0]
                distance = float(found.distances[0])
                ws = found.ws.numpy()[0]
                yield picture, f"Step {found.step} of {steps}, distance {distance:.4g}", ws, is_last

    def _target(self, upload):
        """uint8 [h, w, C], as large as the network's images."""
        check_upload(upload)
        box = self._painter.content_box
        size = self._painter.resolutions[-1]
        fit = fit_as_trained(box, self._painter.aspect_ratio)
        options = PictureOptions(size, self._painter.config.num_channels, fit)
        return crop_to_box(to_square(upload, options).image[None], box)[0]

    def _new_projector(self, space: str, steps: int, label: Optional[int]) -> Projector:
        one_hot = None
        if label is not None:
            one_hot = np.eye(self._painter.config.label_size, dtype=np.float32)[label]
        config = ProjectionConfig(space=space, steps=steps)
        return Projector(self._painter.generator, self._distance, config, one_hot, self._painter.content_box)
