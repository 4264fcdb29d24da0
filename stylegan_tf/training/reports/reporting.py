"""What a run reports, as lines and numbers, to any number of `LogBackend`s; what the numbers of a tick show."""

import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from stylegan_tf.config.callbacks import Note, Progress, StartProgress, format_duration, ignore
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.training.reports.disk import translate_write_errors
from stylegan_tf.training.reports.log_backends import LogBackend, RunFiles, TensorBoardLog
from stylegan_tf.training.schedule import Phase

_TICKS = 5  # In a row, before a symptom is reported: a rare one means nothing.
_COLLAPSED = 0.2  # Variety of generated images by that of reals.
_STANDSTILL = 0.5  # Change from grid to grid, rms of 255 levels.
_SCORE_GAP = 15.0  # Difference of the mean scores; under the logistic loss some 3 in a healthy run.


class RunReport:
    """`with RunReport(...) as report:`; without back ends (in a process that is not the chief) lines are notes only."""

    def __init__(
        self,
        total_images: int,
        images_seen: int = 0,
        backends: Sequence[LogBackend] = (),
        earlier_seconds: float = 0.0,
        note: Note = ignore,
        progress: StartProgress = Progress,
    ):
        """images_seen: where the run starts or resumes; earlier_seconds: its duration until then."""
        self._backends, self._note = backends, note
        self._total_images = total_images
        self._bar = progress(total_images, "Training", "images")
        self._bar.skip(images_seen)
        self._start = self._tick_start = time.monotonic()
        self._earlier_seconds = earlier_seconds
        self._tick_images = images_seen

    def __enter__(self) -> "RunReport":
        return self

    def __exit__(self, *_exception) -> None:
        self._bar.close()
        for backend in self._backends:
            backend.close()

    def log(self, text: str) -> None:
        self._bar.clear()
        self._note(text)
        for backend in self._backends:
            backend.line(text)

    def update(self, images_seen: int) -> None:
        """Moves the progress bar; the last iteration may exceed the total."""
        self._bar.update(min(images_seen, self._total_images))

    def start_tick(self, images_seen: int) -> None:
        """Time and images count from here on: the tick itself does not count towards the speed of the next one."""
        self._tick_start, self._tick_images = time.monotonic(), images_seen

    def tick(self, images_seen: int, phase: Phase, values: Mapping[str, float]) -> dict[str, Any]:
        """Reports the images since the last tick as a line and a record, which is returned. Starts the next tick.

        values: the tick's losses and the like, in the order in which they are printed.
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
        self.log(tick_line(record, values))
        for backend in self._backends:
            backend.tick(record)
        self.start_tick(images_seen)
        return record

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        for backend in self._backends:
            backend.scalars(values, images_seen)

    def image(self, name: str, image: np.ndarray, images_seen: int) -> None:
        for backend in self._backends:
            backend.image(name, image, images_seen)

    def sync(self) -> None:
        """Returns when what was reported is on disk."""
        for backend in self._backends:
            backend.sync()


def open_report(
    run_dir: os.PathLike,
    total_images: int,
    images_seen: int = 0,
    note: Note = ignore,
    progress: StartProgress = Progress,
    trackers: Sequence[LogBackend] = (),
) -> RunReport:
    """The chief's: appends to what the run wrote before it was at `images_seen`. UserError if it cannot."""
    with translate_write_errors(run_dir):
        make_folder(run_dir)
    files = RunFiles(run_dir, images_seen)
    backends = [files, TensorBoardLog(run_dir, images_seen), *trackers]
    return RunReport(total_images, images_seen, backends, files.earlier_seconds, note, progress)


def tick_line(record: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """`kimg 12.3  16x16  alpha 0.25  batch 128  rate 0.001  8.1 s/kimg  memory 1.2 GiB  loss/G 0.712  time 12:05`."""
    resolution, rates = record["resolution"], (record["learning_rate"], record["discriminator_learning_rate"])
    parts = [
        f"kimg {record['kimg']:<8.1f}",
        f"{resolution}x{resolution}",
        f"alpha {record['alpha']:.2f}",
        f"batch {record['batch_size']}",
        f"rate {rates[0]:g}" if rates[0] == rates[1] else f"rates G {rates[0]:g} D {rates[1]:g}",
        f"{record['sec_per_kimg']:.1f} s/kimg",
        f"memory {record['memory_gib']:.1f} GiB",
    ]
    if "gpu_memory_gib" in record:
        parts.append(f"GPU {record['gpu_memory_gib']:.1f} GiB")
    parts += [f"{name} {record[name]:.4g}" for name in values]
    parts.append(f"time {format_duration(record['total_seconds'])}")
    return "  ".join(parts)


def peak_memory() -> dict[str, float]:
    """Peak memory so far in GiB: of this process, and of the GPU with the highest peak, if there is one."""
    memory = {"memory_gib": _peak_bytes() / 2**30}
    gpus = range(len(tf.config.list_logical_devices("GPU")))
    if gpus:
        memory["gpu_memory_gib"] = max(tf.config.experimental.get_memory_info(f"GPU:{i}")["peak"] for i in gpus) / 2**30
    return memory


def _peak_bytes() -> int:
    # On Linux ru_maxrss begins at the peak of the process that started this one; VmHWM is this program's own.
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Health:
    """Looks at the record of every tick; a symptom that lasts is reported once, and again if it returns."""

    def __init__(self, scores_are_logits: bool):
        """scores_are_logits: of the logistic loss; others' scores have no meaningful scale."""
        self._scores_are_logits = scores_are_logits
        self._ticks: dict[str, int] = {}  # With each symptom, in a row.

    def warnings(self, record: Mapping[str, Any]) -> list[str]:
        symptoms = self._symptoms(record)
        self._ticks.update({text: self._ticks.get(text, 0) + 1 if shows else 0 for text, shows in symptoms.items()})
        return [f"warning: {text}: see docs/troubleshooting.md" for text in symptoms if self._ticks[text] == _TICKS]

    def _symptoms(self, record: Mapping[str, Any]) -> dict[str, bool]:
        """Symptom -> whether the record shows it, for those whose numbers it has: not every tick draws a grid."""
        found = {}
        if "fake_variety" in record and "real_variety" in record:
            text = "looks collapsed: generated images differ less than a fifth as much as real ones do"
            found[text] = record["fake_variety"] < _COLLAPSED * record["real_variety"]
        if "grid_change" in record:
            found["generated images hardly change any more"] = record["grid_change"] < _STANDSTILL
        if self._scores_are_logits and "real_score" in record and "fake_score" in record:
            text = "the discriminator wins: it distinguishes every generated image from real ones, by far"
            found[text] = record["real_score"] - record["fake_score"] > _SCORE_GAP
        return found


class TickMetrics:
    """Collects tensors without waiting for the device; numbers are fetched on demand."""

    def __init__(self):
        self._pending: list[Mapping[str, tf.Tensor]] = []
        self._collected: list[dict[str, float]] = []

    def __bool__(self) -> bool:
        return bool(self._pending or self._collected)

    def add(self, metrics: Mapping[str, tf.Tensor]) -> None:
        self._pending.append(metrics)

    def collect(self) -> list[dict[str, float]]:
        """Waits for the iterations since the last call; returns their metrics."""
        new = [{name: float(value) for name, value in metrics.items()} for metrics in self._pending]
        self._pending = []
        self._collected += new
        return new

    def take_means(self) -> dict[str, float]:
        """Means over the finite values since the last tick, without names that have none; starts a new tick."""
        self.collect()
        values = {name: [metrics[name] for metrics in self._collected] for name in self._collected[0]}
        self._collected = []
        # With lazy R1 not every iteration computes it; it is NaN there.
        return {name: float(np.nanmean(calls)) for name, calls in values.items() if not np.isnan(calls).all()}
