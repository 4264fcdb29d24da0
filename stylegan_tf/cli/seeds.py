"""Images specified on the command line by seeds or by files of dlatents, each with its psi, and their styles."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple, Optional

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.serving import MAX_PSI
from stylegan_tf.files.file_errors import short


def parse_seeds(text: str, flag: str = "seeds", limit: int = 65536) -> list[int]:
    """ "0-7,12" -> 0, 1, ..., 7, 12; NumPy takes seeds of 0 to 2^32 - 1. limit: maximum number of seeds."""
    ranges = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (_is_count(first) and (_is_count(last) or "-" not in part)):
            raise UserError(f"--{flag} takes numbers and ranges like 0-7,12; {short(part.strip(), 60)!r} is neither.")
        low, high = int(first), int(last or first)
        if low > high or high >= 2**32:
            raise UserError(f"--{flag}: {short(part.strip(), 60)!r} is not a range within 0 to {2**32 - 1}.")
        ranges.append(range(low, high + 1))
    if sum(map(len, ranges)) > limit:
        raise UserError(f"--{flag} names {sum(map(len, ranges)):,} seeds: the maximum here is {limit:,}.")
    return list(itertools.chain(*ranges))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 30


class Key(NamedTuple):
    """An image by its seed, or images by the file of their dlatents; psi None: as the command has it."""

    seed: Optional[int] = None
    file: Optional[str] = None
    indices: Optional[tuple] = None  # In the file; None: all.
    psi: Optional[float] = None


def parse_keys(text: str, flag: str) -> list[Key]:
    """Seeds, ranges, files of dlatents and images in them, each with its psi if wanted.

    "0-2,7@1,w.npz,w.npz:0-3@0.5" -> seeds 0 to 2, seed 7 with psi 1, all images of w.npz, its first four with psi 0.5.
    """
    keys = []
    for part in (part.strip() for part in text.split(",")):
        match = re.fullmatch(r"(?P<what>.+?)(?:@(?P<psi>[-+]?(?:\d+\.?\d*|\.\d+)))?", part)
        what, psi = (match["what"], match["psi"] and float(match["psi"])) if match else (part, None)
        if psi is not None and abs(psi) > MAX_PSI:
            raise UserError(f"--{flag}: psi must be from -{MAX_PSI:g} to {MAX_PSI:g}, got {short(part, 60)}.")
        file = re.fullmatch(r"(.+\.np[yz])(?::(\d+(?:-\d+)?))?", what, re.IGNORECASE)
        if file:
            indices = tuple(parse_seeds(file[2], flag)) if file[2] else None
            keys.append(Key(file=file[1], indices=indices, psi=psi))
        elif re.fullmatch(r"\d+(?:-\d+)?", what):
            keys += [Key(seed=seed, psi=psi) for seed in parse_seeds(what, flag)]
        else:
            raise UserError(f"--{flag} takes seeds like 0-3,7 and files of dlatents like w.npz:2; got {part!r}.")
    return keys


def styles_of(painter, keys: Sequence[Key], note: Note = ignore):
    """w of every layer, truncated as each key has it: float32 [N, L, W]. note: see `style_of`."""
    import numpy as np

    return np.concatenate([style_of(painter, key, note) for key in keys])


def style_of(painter, key: Key, note: Note = ignore):
    """w of the images of a key: float32 [n, L, W] for a `Painter`.

    A seed without a psi gets the painter's; dlatents without one are used as they are. `note` takes lines about how a
    file is read, for each of its keys.
    """
    if key.seed is not None:
        return painter.broadcast(painter.map(painter.latents([key.seed])), psi=key.psi)
    from stylegan_tf.files.dlatents import has_noise, load_dlatents

    ws = load_dlatents(key.file, *painter.dlatent_shape, note)
    if painter.noise_mode == "const" and has_noise(key.file):
        note(f"{key.file} also holds noise maps, which only generate uses: the noise here is the network's own")
    if key.indices is not None:
        if max(key.indices) >= len(ws):
            raise UserError(f"{key.file} has {len(ws)} images, counted from 0: there is no {max(key.indices)}.")
        ws = ws[list(key.indices)]
    return ws if key.psi is None else painter.truncate(ws, psi=key.psi)
