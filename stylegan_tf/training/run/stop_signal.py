"""Ctrl-C and SIGTERM: a run saves and ends at the next moment at which it can."""

import contextlib
import signal
from typing import Optional

from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Raised by `StopSignal.check`. No Exception: nobody on the way may handle it as an error."""


class StopSignal:
    """`with StopSignal() as stop:`; true once SIGINT (Ctrl-C), SIGTERM or SIGHUP has arrived.

    The handler only takes note: raising there would unwind TensorFlow at any point of it. A second Ctrl-C ends the
    process at once, by the system's default action: whatever it writes, it writes atomically. SIGHUP stays ignored if
    it was (nohup).
    """

    def __init__(self, note: Note = ignore):
        """note: called once, from the handler, with a line for the user."""
        self.number: Optional[int] = None
        self._note = note
        self._previous = {}

    def __bool__(self) -> bool:
        return self.number is not None

    def __enter__(self) -> "StopSignal":
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_exception) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Stopped if the run is to stop. For work of which nothing is lost when it is abandoned."""
        if self:
            raise Stopped

    def interrupting(self, progress: StartProgress) -> StartProgress:
        """Like `progress`, but an update of it checks: long work that reports its progress ends in between."""

        def start(total: int, label: str, unit: str) -> Progress:
            bar = progress(total, label, unit)
            update = bar.update

            def checked_update(done: int) -> None:
                self.check()
                update(done)

            bar.update = checked_update
            return bar

        return start

    def _receive(self, number, _frame):
        first, self.number = not self, self.number or number
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if first:
            with contextlib.suppress(OSError, RuntimeError):  # No terminal any more; interrupted while it printed.
                self._note("stopping after the work under way; a second Ctrl-C ends the process at once")
