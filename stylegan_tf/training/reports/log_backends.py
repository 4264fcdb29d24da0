"""The places that a run reports to: the files of its folder, TensorBoard, Weights & Biases. Each is a `LogBackend`."""

import contextlib
import errno
import json
import math
import os
import pathlib
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from stylegan_tf.config.errors import UserError, optional_module
from stylegan_tf.config.option import OptionError
from stylegan_tf.files.atomic_write import write_text
from stylegan_tf.files.file_errors import read_lines
from stylegan_tf.training.reports.disk import EVENT_IMAGE_SIDE, translate_write_errors


class LogBackend:
    """Receives all that a run reports, and ignores what it does not override. An error of its own is a UserError."""

    def line(self, text: str) -> None:
        """A line for people."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """The numbers of a tick by name, among them `images_seen`, losses, speed and memory; they may be NaN."""

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        """Numbers that do not belong to a tick, like results of metrics."""

    def image(self, name: str, image: np.ndarray, images_seen: int) -> None:
        """A picture, uint8 [H, W, C]."""

    def sync(self) -> None:
        """Returns when everything is on disk: a checkpoint is written after that."""

    def close(self) -> None:
        """The end of the run. Raises nothing."""


class RunFiles(LogBackend):
    """log.txt: the lines; stats.jsonl: one JSON object per tick, with null for what is not finite."""

    def __init__(self, run_dir: os.PathLike, images_seen: int):
        """Drops the records beyond `images_seen`, where the run resumes: those images are trained on again."""
        log, stats = Path(run_dir) / "log.txt", Path(run_dir) / "stats.jsonl"
        with translate_write_errors(log):
            self._log = open(log, "a", encoding="utf-8", errors="backslashreplace")
        with translate_write_errors(stats):
            last = repair_stats(stats, images_seen)
            self._stats = open(stats, "a", encoding="utf-8")
        self.earlier_seconds: float = last.get("total_seconds", 0.0)  # The duration of the run until then.

    def line(self, text: str) -> None:
        _append(self._log, text)

    def tick(self, record: Mapping[str, Any]) -> None:
        _append(self._stats, json.dumps({name: _finite(value) for name, value in record.items()}))

    def sync(self) -> None:
        for file in (self._log, self._stats):
            with _writing(file):
                os.fsync(file.fileno())

    def close(self) -> None:
        for file in (self._log, self._stats):
            with contextlib.suppress(OSError):  # A write that failed was reported before.
                file.close()


def _append(file: TextIO, line: str) -> None:
    with _writing(file):
        file.write(line + "\n")
        file.flush()


@contextlib.contextmanager
def _writing(file: TextIO) -> Iterator[None]:
    """UserError also if the folder was removed: the open file would not tell, and later writes would make a new one."""
    folder = os.path.dirname(file.name)
    if not os.path.isdir(folder):
        raise UserError(
            f"the run folder {folder} was removed or renamed while the run trained: put it back, and the same command "
            "resumes from its last checkpoint."
        )
    with translate_write_errors(file.name):
        yield


def repair_stats(path: os.PathLike, images_seen: int) -> dict:
    """Drops a truncated last line and all beyond `images_seen` from a .jsonl; returns the last record kept, or {}."""
    path = Path(path)
    kept = [(line, record) for line, record in read_lines(path) if record.get("images_seen", 0) <= images_seen]
    text = "".join(line for line, _ in kept)
    if path.exists() and text != path.read_text(encoding="utf-8", errors="replace"):
        write_text(path, text)
    return kept[-1][1] if kept else {}


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
        with translate_write_errors(self._run_dir / "events.out.tfevents..."):
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

    It honours only the second START event in a folder and later ones, so the first is needed as well. It reads the
    files of a folder in the order of their names, which begin with the time: the next file comes after this one.
    """
    writer = EventFileWriter(str(run_dir))
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, session_log=start))
    writer.close()


class WandbLog(LogBackend):
    """Scalars, grids and options, over `kimg`. The environment variables of wandb apply, e.g. WANDB_MODE=offline."""

    def __init__(self, run_dir: os.PathLike, options: Mapping[str, Any]):
        """A run folder that is resumed continues its W&B run, whose id is in `wandb_id`. UserError without wandb."""
        wandb = optional_module("wandb", "`track=wandb`", "wandb")
        run_dir = pathlib.Path(run_dir).absolute()
        id_file = run_dir / "wandb_id"
        if not id_file.exists():
            write_text(id_file, uuid.uuid4().hex)
        self._image = wandb.Image
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "stylegan_tf"),
                name=run_dir.name,
                id=id_file.read_text().strip(),
                resume="allow",
                dir=str(run_dir),
                config=dict(options),
                settings=wandb.Settings(console="off"),
            )
        except wandb.Error as error:
            raise OptionError(
                f"track wandb: {str(error).splitlines()[0]}: WANDB_MODE=offline needs no account."
            ) from None
        self._run.define_metric("*", step_metric="kimg")

    def tick(self, record: Mapping[str, Any]) -> None:
        self._run.log(dict(record))

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        if values:
            self._run.log({**values, "kimg": images_seen / 1000})

    def image(self, name: str, image: np.ndarray, images_seen: int) -> None:
        self._run.log({name: self._image(image.squeeze()), "kimg": images_seen / 1000})

    def close(self) -> None:
        self._run.finish()
