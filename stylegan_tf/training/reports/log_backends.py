"""The places that a run reports to. Each is a `LogBackend`; these are the files of the run folder."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import read_lines
from stylegan_tf.training.reports.disk import write_errors_named


class LogBackend:
    """Receives all that a run reports, and ignores what it does not override. An error of its own is a UserError."""

    def line(self, text: str) -> None:
        """A line for people."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """The numbers of a tick by name, among them `images_seen`, losses, speed and memory; they may be NaN."""

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        """Numbers that are no part of a tick, like results of metrics."""

    def image(self, name: str, image: np.ndarray, images_seen: int) -> None:
        """A picture, uint8 [H, W, C]."""

    def sync(self) -> None:
        """Returns when everything is on the disk: a checkpoint is written after that."""

    def close(self) -> None:
        """The end of the run. Raises nothing."""


class _LineFile(LogBackend):
    """A text file in the run folder that lines are appended to."""

    def __init__(self, path: Path, **options: str):
        with write_errors_named(path):
            self._file = open(path, "a", encoding="utf-8", **options)

    def _append(self, line: str) -> None:
        with write_errors_named(self._file.name):
            self._file.write(line + "\n")
            self._file.flush()

    def sync(self) -> None:
        with write_errors_named(self._file.name):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with contextlib.suppress(OSError):  # A write that failed was reported before.
            self._file.close()


class TextLog(_LineFile):
    """log.txt: the lines."""

    def __init__(self, run_dir: os.PathLike):
        super().__init__(Path(run_dir) / "log.txt", errors="backslashreplace")

    def line(self, text: str) -> None:
        self._append(text)


class StatsLog(_LineFile):
    """stats.jsonl: one JSON object per tick; null for what is not finite."""

    def __init__(self, run_dir: os.PathLike, images_seen: int):
        """Drops the records beyond `images_seen`, where the run resumes: those images are trained on again."""
        path = Path(run_dir) / "stats.jsonl"
        with write_errors_named(path):
            last = repair_stats(path, images_seen)
        self.earlier_seconds: float = last.get("total_seconds", 0.0)  # The duration of the run until then.
        super().__init__(path)

    def tick(self, record: Mapping[str, Any]) -> None:
        self._append(json.dumps({name: _finite(value) for name, value in record.items()}))


def repair_stats(path: os.PathLike, images_seen: int) -> dict:
    """Drops a truncated last line and all beyond `images_seen` from a .jsonl; returns the last record kept, or {}."""
    path = Path(path)
    kept = [(line, record) for line, record in read_lines(path) if record.get("images_seen", 0) <= images_seen]
    text = "".join(line for line, _ in kept)
    if path.exists() and text != path.read_text(encoding="utf-8", errors="replace"):
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return kept[-1][1] if kept else {}


def _finite(value):
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
