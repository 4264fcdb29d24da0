"""TensorBoard's event file of a run."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from stylegan_tf.training.reports.disk import EVENT_IMAGE_SIDE, write_errors_named
from stylegan_tf.training.reports.log_backends import LogBackend


class TensorBoardLog(LogBackend):
    """Scalars and shrunk pictures, flushed at every tick."""

    def __init__(self, run_dir: os.PathLike, images_seen: int):
        """images_seen: where the run resumes; TensorBoard drops what was reported beyond that."""
        self._run_dir = Path(run_dir)
        with self._errors_named():
            _start_session(self._run_dir, images_seen + 1 if images_seen else 0)
            self._writer = tf.summary.create_file_writer(str(run_dir))

    def tick(self, record: Mapping[str, Any]) -> None:
        values = {name if "/" in name else f"progress/{name}": value for name, value in record.items()}
        del values["progress/images_seen"]
        self.scalars(values, record["images_seen"])
        with self._errors_named():
            self._writer.flush()

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        with self._errors_named(), self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=images_seen)

    def image(self, name: str, image: np.ndarray, images_seen: int) -> None:
        with self._errors_named(), self._writer.as_default():
            tf.summary.image(name, downscaled(image, EVENT_IMAGE_SIDE)[np.newaxis], step=images_seen)
            self._writer.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError, tf.errors.OpError):  # A write that failed was reported before.
            self._writer.close()

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        """TensorFlow's errors while it writes events become the UserErrors of any other file."""
        with write_errors_named(self._run_dir / "events.out.tfevents..."):
            try:
                yield
            except tf.errors.OpError as error:
                full = isinstance(error, tf.errors.ResourceExhaustedError)
                number = errno.ENOSPC if full else errno.EIO
                raise OSError(number, os.strerror(number) if full else error.message.splitlines()[0]) from error


def downscaled(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 [H, W, C], box-filtered by the smallest integer factor that makes it at most `side` high and wide."""
    factor = -(-max(image.shape[:2]) // side)
    if factor == 1:
        return image
    height, width, channels = image.shape
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image).reduce(factor)
    return np.asarray(picture).reshape(-(-height // factor), -(-width // factor), channels)


def _start_session(run_dir: Path, step: int) -> None:
    """Makes TensorBoard drop events from `step` on, which a run that was killed reports again.

    It heeds the second such start in a folder and all later ones, so the first one is needed, too. It reads the files
    of a folder in the order of their names, which begin with the time: the next file comes after this one.
    """
    writer = EventFileWriter(str(run_dir))
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, session_log=start))
    writer.close()
