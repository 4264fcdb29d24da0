"""Cache files, each named after everything that its content depends on, and computations that resume from them."""

import hashlib
import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

import numpy as np

from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.arrays import read_arrays, write_arrays

_INTERVAL = 60.0  # Seconds.
_KEY = "key"  # A human-readable entry: what the file name is the hash of.


class CachedArrays:
    """One file. A key that differs in anything names another file, so a cache entry is never stale."""

    def __init__(self, folder: pathlib.Path, kind: str, key: Mapping[str, Any]):
        """kind: the file name's human-readable prefix. key: JSON values."""
        self._key = key
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.path = pathlib.Path(folder) / f"{kind}-{digest[:32]}.npz"
        self._saved_at = time.monotonic()

    def load(self) -> Optional[dict[str, np.ndarray]]:
        """None if the file is missing or damaged: it is then computed again."""
        try:
            arrays = read_arrays(self.path, "cache file")
        except UserError:
            return None
        arrays.pop(_KEY, None)
        return arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        write_arrays(self.path, _KEY, self._key, arrays)
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether an unfinished computation should save what it can resume from."""
        return time.monotonic() - self._saved_at >= _INTERVAL

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def resumable_rows(
    count: int,
    batch: int,
    compute: Callable[[int, int], np.ndarray],
    label: str,
    unit: str,
    partial: Optional[CachedArrays] = None,
    progress: StartProgress = Progress,
) -> np.ndarray:
    """`compute(first, n)`, the rows first to first + n - 1 (n <= batch), for all of them: float32 [count, ...].

    Args:
      label, unit: of the progress.
      partial: where the rows so far are saved periodically; a later call with the same file resumes from there. The
        caller removes it when it has no more use for it.
    Raises:
      UserError for rows that are not finite.
    """
    saved = partial.load() if partial else None
    blocks = [saved["rows"]] if saved and len(saved["rows"]) <= count else []
    done = sum(map(len, blocks))
    with progress(count, label, unit) as bar:
        bar.skip(done)
        while done < count:
            block = compute(done, min(batch, count - done)).astype(np.float32)
            if not np.isfinite(block).all():
                raise UserError(f"{label}: values that are not finite. Has the network diverged?")
            blocks.append(block)
            done += len(block)
            bar.update(done)
            if partial and partial.is_due():
                partial.save({"rows": np.concatenate(blocks)})
    return np.concatenate(blocks)
