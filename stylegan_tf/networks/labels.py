"""Labels by the names of classes."""

import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from stylegan_tf.config.errors import UserError

_LISTED = 20  # Names of classes in a message.


def class_labels(text: Optional[str], label_size: int, names: Sequence[str] = ()) -> list[tuple[str, Any]]:
    """The labels that a text describes, with their names: float32 [label_size]; None for a network without labels.

    "cat" or "3": 1 in the column of this name or number; "cat,dog": both labels; "all": those of all classes;
    "cat=0.3,dog=1": one label with these values, 0 elsewhere.
    names: of the columns, where the network file has them. What is both a name and a number is a name.
    """
    if not label_size:
        if text is not None:
            raise UserError("`class` was given, but the network has no labels.")
        return [("", None)]
    names = list(names) if len(names) == label_size else []
    known = _known_classes(names) if names else f"numbers from 0 to {label_size - 1}"
    if text is None:
        raise UserError(f"the network has labels: choose with `class=NAME` or =N; there are {known}.")
    if text == "all" and text not in names:
        return list(zip(names or map(str, range(label_size)), np.eye(label_size, dtype=np.float32)))
    parts = {}
    for part in [text] if text in names else map(str.strip, text.split(",")):
        column, value = _column(part, label_size, names), None
        if column is None and "=" in part:  # Names may also have it: glasses=round.
            name, _, number = part.rpartition("=")
            column, value = _column(name.strip(), label_size, names), _finite(number, part)
        if column is None:
            raise UserError(f"`class`: {part!r} is not one of the network's; there are {known}.")
        parts[part] = (column, value)
    columns, values = zip(*parts.values())
    if all(value is None for value in values):
        return list(zip(parts, np.eye(label_size, dtype=np.float32)[list(columns)]))
    if any(value is None for value in values):
        raise UserError(f"`class={text}`: a mixed label gives each of its classes a number, like a=1,b=1.")
    label = np.zeros([label_size], np.float32)
    label[list(columns)] = values
    return [(text, label)]


def class_label(text: Optional[str], label_size: int, names: Sequence[str] = ()):
    """The only one of `class_labels`, without its name."""
    labels = class_labels(text, label_size, names)
    if len(labels) > 1:
        raise UserError(f"`class={text}`: this takes one class; the label of several at once is like a=1,b=1.")
    return labels[0][1]


def _column(name: str, label_size: int, names: Sequence[str]) -> Optional[int]:
    if name in names:
        return names.index(name)
    if (all(known.isdecimal() for known in names) and names) or not name.isdecimal():
        return None  # Where names are numbers, other numbers are mistakes.
    return int(name) if int(name) < label_size else None


def _finite(text: str, part: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < 1e30:
        raise UserError(f"`class` takes NAME or NAME=NUMBER, got {part!r}.")
    return value


def _known_classes(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
