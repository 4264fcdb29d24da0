"""How library functions report progress and notes. They print nothing; the caller decides what is shown.

`format_duration` gives durations the same format in logs and progress bars.
"""

from typing import Callable

Note = Callable[[str], None]  # Takes one line that a user should read.


class Progress:
    """The progress of one long piece of work, shown nowhere; `cli` has a subclass that draws a bar.

    with progress(total, "Converting", "images") as bar:
        bar.update(done)

    Library functions take the class (or any callable with its arguments) as `progress=Progress`.
    """

    def __init__(self, total: int, label: str, unit: str):
        """total: how many `unit`s there are to do; label: what is being done."""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def skip(self, count: int) -> None:
        """Counts the next `count` units as done, but not for the rate: an earlier run has finished them."""

    def update(self, done: int) -> None:
        """`done` units are finished."""

    def close(self) -> None:
        """Shows the last state."""

    def clear(self) -> None:
        """Makes room for something else to be printed."""


StartProgress = Callable[[int, str, str], Progress]


def ignore(note: str) -> None:
    """A `Note` that goes nowhere."""


def format_duration(seconds: float) -> str:
    """`0:42`, `12:05`, `3:07:09`, `2d 03:07:09`: seconds rounded to whole ones."""
    total = round(seconds)
    minutes, second = divmod(total, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02d}:{minute:02d}:{second:02d}"
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"
