"""A progress bar on stderr: done / total, rate, time left."""

import contextlib
import sys
import time
from typing import Optional, TextIO

from stylegan_tf.config.callbacks import Progress, format_duration


class ProgressBar(Progress):
    """`with ProgressBar(total, "Converting", "images") as bar: ... bar.update(done)`.

    On a terminal one line is redrawn, at most ten times a second. Elsewhere (a log file, CI) a whole line is printed
    at most every `log_interval` seconds, so that logs stay short, and once at the end.
    """

    def __init__(self, total: int, label: str, unit: str, stream: Optional[TextIO] = None, log_interval: float = 30.0):
        self._total, self._label, self._unit = max(int(total), 0), label, unit
        self._stream = sys.stderr if stream is None else stream
        self._terminal = bool(getattr(self._stream, "isatty", lambda: False)())
        self._interval = 0.1 if self._terminal else log_interval
        self._start = self._shown_at = time.monotonic()
        self._first = self._done = 0
        self._width = 0

    def skip(self, count: int) -> None:
        self._first += count
        self.update(self._done + count)

    def update(self, done: int) -> None:
        """`done` units of `total` are finished; draws if it is time to."""
        self._done = done
        if time.monotonic() - self._shown_at >= self._interval:
            self._show()

    def close(self) -> None:
        """Draws the last state and ends the line. The bar can be updated again: a new line begins."""
        self._show()
        if self._terminal:
            self._write("\n")
            self._width = 0

    def clear(self) -> None:
        """Wipes the line, so that something else can be printed. The next `update` draws it again."""
        if self._terminal and self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def text(self) -> str:
        """The line, e.g. `Converting  1,024/4,096 images  25%  812 images/s  0:03 left`."""
        elapsed = max(time.monotonic() - self._start, 1e-9)
        rate = (self._done - self._first) / elapsed
        percent = 100 * self._done // self._total if self._total else 100
        line = f"{self._label}  {self._done:,}/{self._total:,} {self._unit}  {percent}%"
        if rate > 0:
            line += f"  {rate:,.0f} {self._unit}/s" if rate >= 10 else f"  {rate:.2f} {self._unit}/s"
            left = max(self._total - self._done, 0) / rate
            line += f"  {format_duration(left)} left" if left else f"  in {format_duration(elapsed)}"
        return line

    def _show(self) -> None:
        line = self.text()
        self._write("\r" + line.ljust(self._width) if self._terminal else line + "\n")
        self._width = len(line)
        self._shown_at = time.monotonic()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # A terminal that was closed does not end the work.
            self._stream.write(text)
            self._stream.flush()
