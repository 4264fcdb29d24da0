"""Ctrl-C and SIGTERM: a run ends after its current iteration, and saves."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Optional

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Raised by the signal within `StopSignal.at_once`. No Exception: nothing on the way may take it for an error."""


class StopSignal:
    """`with StopSignal() as stop:`; true once SIGINT (Ctrl-C), SIGTERM or SIGHUP has come. The loop looks at it.

    A second Ctrl-C is not caught. SIGHUP stays ignored where it was (nohup).
    """

    def __init__(self):
        self.number: Optional[int] = None
        self._at_once = False
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

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Put it around long work that changes nothing: the signal, also an earlier one, raises Stopped there."""
        if self:
            raise Stopped
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _receive(self, number, _frame):
        first, self.number = not self, self.number or number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if first:
            with contextlib.suppress(OSError):  # The terminal may be gone.
                print("\nstopping: the iteration under way is finished and saved first", file=sys.stderr, flush=True)
        if self._at_once:
            self._at_once = False
            raise Stopped
