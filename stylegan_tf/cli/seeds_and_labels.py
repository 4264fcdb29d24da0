"""Seeds and labels as they are written on the command line."""

import math
from collections.abc import Sequence
from typing import Optional

import numpy as np

from stylegan_tf.errors import UserError

_LISTED = 20  # Names of classes in a message.


def parse_seeds(text: str, flag: str = "seeds") -> list[int]:
    """ "0-7,12" -> [0, 1, ..., 7, 12]; NumPy takes seeds of 0 to 2^32 - 1."""
    seeds = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or "-" not in part)):
            raise UserError(f"--{flag} takes numbers and ranges like 0-7,12; {part.strip()!r} is neither.")
        low, high = int(first), int(last or first)
        if low > high or high >= 2**32:
            raise UserError(f"--{flag}: {part.strip()!r} is not a range within 0 to {2**32 - 1}.")
        seeds.extend(range(low, high + 1))
    return seeds


def class_label(text: Optional[str], label_size: int, names: Sequence[str] = ()):
    """The label that --class describes: float32 [label_size], or None for a network without labels.

    "cat" or "3": 1 in the column of this name or number; "cat=0.3,dog=1": these values, 0 elsewhere.
    names: of the columns, where the network file has them. What is both a name and a number is a name.
    """
    if not label_size:
        if text is not None:
            raise UserError("--class was given, but the network has no labels.")
        return None
    names = list(names) if len(names) == label_size else []
    known = _known_classes(names) if names else f"numbers from 0 to {label_size - 1}"
    if text is None:
        raise UserError(f"the network has labels: choose with --class=NAME or =N; there are {known}.")
    label = np.zeros([label_size], np.float32)
    for part in [text] if text in names else map(str.strip, text.split(",")):
        column, value = _column(part, label_size, names), 1.0
        if column is None and "=" in part:  # Names may have it, too: glasses=round.
            name, _, number = part.rpartition("=")
            column, value = _column(name.strip(), label_size, names), _finite(number, part)
        if column is None:
            raise UserError(f"--class: {part!r} is none of the network's; there are {known}.")
        label[column] = value
    return label


def _column(name: str, label_size: int, names: Sequence[str]) -> Optional[int]:
    if name in names:
        return names.index(name)
    if all(known.isdecimal() for known in names) and names or not name.isdecimal():
        return None  # Where names are numbers, other numbers are mistakes.
    return int(name) if int(name) < label_size else None


def _finite(text: str, part: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < 1e30:
        raise UserError(f"--class takes NAME or NAME=NUMBER, got {part!r}.")
    return value


def _known_classes(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
