"""Why a run ends early: a signal, after which it saves, or symptoms of divergence."""

import contextlib
import dataclasses
import math
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Optional

from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.training.state import TrainState

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_SKIPPED = 100  # Steps in a row: a single one is an accident; with this many, a network no longer learns.


class Stopped(BaseException):
    """Raised by `StopSignal.check`. No Exception: no caller may handle it as an error."""


class StopSignal:
    """`with StopSignal() as stop:`; true once SIGINT (Ctrl-C), SIGTERM or SIGHUP has arrived.

    The handler only takes note: raising there would unwind TensorFlow at any point of it. A second Ctrl-C ends the
    process at once, by the system's default action: whatever it writes, it writes atomically. SIGHUP stays ignored if
    it was (nohup). Python handles signals in the main thread alone: in another one, they do what they did before.
    """

    def __init__(self, note: Note = ignore):
        """note: called once, from the handler, with a line for the user."""
        self.number: Optional[int] = None
        self._note = note
        self._previous = {}

    def __bool__(self) -> bool:
        return self.number is not None

    def __enter__(self) -> "StopSignal":
        for number in _SIGNALS if threading.current_thread() is threading.main_thread() else ():
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


@dataclasses.dataclass(frozen=True)
class Symptom:
    """What shows that a run diverged, and in which network."""

    text: str
    of_discriminator: bool = False  # Else of the generator, or of both.


def symptom_of_losses(iterations: Sequence[Mapping[str, float]]) -> Optional[Symptom]:
    """A step with a loss that is not finite is skipped; if all of several are, nothing is learnt any more."""
    for name in ("d_loss", "g_loss") if len(iterations) > 1 else ():
        if not any(math.isfinite(metrics[name]) for metrics in iterations):
            return Symptom(f"{name} is not finite", name == "d_loss")
    return None


def symptom_of_steps(state: TrainState) -> Optional[Symptom]:
    for name, adam in state.optimizers.items():
        if adam.skipped_in_a_row >= MAX_SKIPPED:
            text = f"the last {adam.skipped_in_a_row} gradients of the {name} are not finite"
            return Symptom(text, name == "discriminator")
    return None


def symptom_of_weights(state: TrainState) -> Optional[Symptom]:
    """NaN or infinity must not replace a good checkpoint."""
    name = state.first_non_finite()
    return None if name is None else Symptom(f"{name} is not finite", "discriminator" in name)
