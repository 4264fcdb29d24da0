"""Seeds and labels as they are written on the command line."""

from typing import Optional

import numpy as np

from stylegan_tf.errors import UserError


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


def class_label(text: Optional[str], label_size: int):
    """The label that --class describes: float32 [label_size], or None for a network without labels."""
    if not label_size:
        if text is not None:
            raise UserError("--class was given, but the network has no labels.")
        return None
    if text is None:
        raise UserError(f"the network has labels: choose with --class=N, N from 0 to {label_size - 1}.")
    label = np.zeros([label_size], np.float32)
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) >= label_size:
            raise UserError(f"--class takes numbers from 0 to {label_size - 1}, got {part.strip()!r}.")
        label[int(part)] = 1
    return label
