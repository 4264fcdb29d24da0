"""What a run tells about itself: log.txt, stats.jsonl, TensorBoard, and a progress bar. Knows nothing of networks."""

import contextlib
import errno
import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import read_lines
from stylegan_tf.progress import ProgressBar, format_duration
from stylegan_tf.training.run.folder import write_errors_named
from stylegan_tf.training.schedule import Phase

_TENSORBOARD_SIDE = 2048  # A full grid at 1024x1024 would add 60 MB to the events at every tick.


class RunReport:
    """`with RunReport(run_dir, total_images, images_seen) as report:`; appends to what the run wrote before.

    `images_seen` is where the run goes on (0 at the start). What was reported beyond that, after the last
    checkpoint, is dropped from stats.jsonl, as those images are trained on again.
    """

    def __init__(self, run_dir: os.PathLike, total_images: int, images_seen: int = 0):
        run_dir = Path(run_dir)
        with write_errors_named(run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
            last = repair_stats(run_dir / "stats.jsonl", images_seen)
            self._log = open(run_dir / "log.txt", "a", encoding="utf-8", errors="backslashreplace")
            self._stats = open(run_dir / "stats.jsonl", "a", encoding="utf-8")
        self._earlier_seconds = last.get("total_seconds", 0.0)
        self._run_dir = run_dir
        with self._tensorboard():
            _start_session(run_dir, images_seen + 1 if images_seen else 0)
            self._writer = tf.summary.create_file_writer(str(run_dir))
        self._total_images = total_images
        self._bar = ProgressBar(total_images, "Training", "images")
        self._bar.start_at(images_seen)
        self._start = self._tick_start = time.monotonic()
        self._tick_images = images_seen

    def __enter__(self) -> "RunReport":
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    def close(self) -> None:
        self._bar.close()
        for file in (self._log, self._stats, self._writer):
            with contextlib.suppress(OSError, tf.errors.OpError):  # What could not be written has been told.
                file.close()

    def say(self, text: str) -> None:
        """A line for stdout and log.txt."""
        self._bar.clear()
        say_on_stdout(text)
        _append(self._log, text)

    def sync(self) -> None:
        """Returns when what was reported is on the disk; a checkpoint that goes on from it comes after that."""
        for file in (self._log, self._stats):
            with write_errors_named(file.name):
                os.fsync(file.fileno())

    def update(self, images_seen: int) -> None:
        """Moves the progress bar; the last iterations may go a little beyond the total."""
        self._bar.update(min(images_seen, self._total_images))

    def start_tick(self, images_seen: int) -> None:
        """Time and images count from here on, e.g. to leave a grid or a checkpoint out of the next tick's speed."""
        self._tick_start, self._tick_images = time.monotonic(), images_seen

    def tick(self, images_seen: int, phase: Phase, values: Mapping[str, float]) -> dict:
        """Reports the images since the last tick: a line, an object of stats.jsonl, TensorBoard scalars.

        `values` are the tick's losses and the like, in the order in which they are printed, e.g. {"loss/G": 0.7}.
        Returns the object. Starts the next tick.
        """
        now = time.monotonic()
        kimg = max(images_seen - self._tick_images, 1) / 1000
        record = {
            "images_seen": int(images_seen),
            "kimg": images_seen / 1000,
            "resolution": phase.resolution,
            "lod": phase.lod,
            "alpha": phase.alpha,
            "batch_size": phase.batch_size,
            "learning_rate": phase.learning_rate,
            "discriminator_learning_rate": phase.discriminator_learning_rate,
            "sec_per_kimg": (now - self._tick_start) / kimg,
            "total_seconds": self._earlier_seconds + now - self._start,
            **peak_memory(),
            **{name: float(value) for name, value in values.items()},
        }
        self.say(tick_line(record, values))
        _append(self._stats, json.dumps({name: _finite(value) for name, value in record.items()}))
        self._write_scalars(record)
        self.start_tick(images_seen)
        return record

    def images(self, name: str, images: np.ndarray, images_seen: int) -> None:
        """Shows uint8 images [N, H, W, C] in TensorBoard, e.g. one grid; shrunk to at most 2048 pixels a side."""
        images = np.stack([shrunk(image, _TENSORBOARD_SIDE) for image in images])
        with self._tensorboard(), self._writer.as_default():
            tf.summary.image(name, images, step=images_seen, max_outputs=len(images))
            self._writer.flush()

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        """Shows values by name in TensorBoard."""
        with self._tensorboard(), self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=images_seen)

    def _write_scalars(self, record: Mapping[str, Any]) -> None:
        with self._tensorboard(), self._writer.as_default():
            for name, value in record.items():
                if name != "images_seen":
                    tf.summary.scalar(name if "/" in name else f"progress/{name}", value, step=record["images_seen"])
            self._writer.flush()

    @contextlib.contextmanager
    def _tensorboard(self) -> Iterator[None]:
        """Around what writes events: TensorFlow's errors become what a full disk is elsewhere."""
        with write_errors_named(self._run_dir / "events.out.tfevents..."):
            try:
                yield
            except tf.errors.OpError as error:
                full = isinstance(error, tf.errors.ResourceExhaustedError)
                number = errno.ENOSPC if full else errno.EIO
                raise OSError(number, os.strerror(number) if full else error.message.splitlines()[0]) from error


class WorkerReport:
    """What a process that is not the chief reports: lines on stdout, and nothing in the run folder."""

    def __enter__(self) -> "WorkerReport":
        return self

    def __exit__(self, *_exception) -> None:
        pass

    def say(self, text: str) -> None:
        say_on_stdout(text)

    def update(self, images_seen: int) -> None:
        pass

    def start_tick(self, images_seen: int) -> None:
        pass

    def tick(self, images_seen: int, phase: Phase, values: Mapping[str, float]) -> None:
        pass


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 [H, W, C] by the smallest whole factor that makes it at most `side` high and wide: means of squares."""
    factor = -(-max(image.shape[:2]) // side)
    if factor == 1:
        return image
    height, width, channels = image.shape
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image).reduce(factor)
    return np.asarray(picture).reshape(-(-height // factor), -(-width // factor), channels)


def say_on_stdout(text: str) -> None:
    """Prints a line. When stdout is gone (its reader ended, the disk of its file is full) the run goes on without."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _append(file: TextIO, line: str) -> None:
    with write_errors_named(file.name):
        file.write(line + "\n")
        file.flush()


def tick_line(record: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """`kimg 12.3  16x16  alpha 0.25  batch 128  rate 0.001  8.1 s/kimg  memory 1.2 GiB  loss/G 0.712  time 12:05`."""
    resolution = record["resolution"]
    parts = [
        f"kimg {record['kimg']:<8.1f}",
        f"{resolution}x{resolution}",
        f"alpha {record['alpha']:.2f}",
        f"batch {record['batch_size']}",
        _rates(record["learning_rate"], record["discriminator_learning_rate"]),
        f"{record['sec_per_kimg']:.1f} s/kimg",
        f"memory {record['memory_gib']:.1f} GiB",
    ]
    if "gpu_memory_gib" in record:
        parts.append(f"GPU {record['gpu_memory_gib']:.1f} GiB")
    parts += [f"{name} {record[name]:.4g}" for name in values]
    parts.append(f"time {format_duration(record['total_seconds'])}")
    return "  ".join(parts)


def _start_session(run_dir: Path, step: int) -> None:
    """Tells TensorBoard to forget what it was told from `step` on: a run that was killed trains on those images again.

    It heeds the second such start in a folder and all later ones, so that the first one is needed, too. It reads the
    files of a folder in the order of their names, which begin with the time: the next one comes after.
    """
    writer = EventFileWriter(str(run_dir))
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, session_log=start))
    writer.close()


def _rates(generator: float, discriminator: float) -> str:
    """The learning rates of both networks."""
    return f"rate {generator:g}" if generator == discriminator else f"rates G {generator:g} D {discriminator:g}"


def peak_memory() -> dict:
    """Peak memory so far in GiB: of this process, and of the GPU that needed most, if there is one."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB.
    memory = {"memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30}
    gpus = range(len(tf.config.list_logical_devices("GPU")))
    if gpus:
        memory["gpu_memory_gib"] = max(tf.config.experimental.get_memory_info(f"GPU:{i}")["peak"] for i in gpus) / 2**30
    return memory


def repair_stats(path: os.PathLike, images_seen: int) -> dict:
    """Drops a cut last line and all beyond `images_seen` from stats.jsonl; returns the last record kept, or {}."""
    path = Path(path)
    if not path.exists():
        return {}
    kept = [(line, record) for line, record in read_lines(path) if record.get("images_seen", 0) <= images_seen]
    text = "".join(line for line, _ in kept)
    if text != path.read_text(encoding="utf-8", errors="replace"):
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return kept[-1][1] if kept else {}


def _finite(value):
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
