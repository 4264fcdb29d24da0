"""Files of arrays in the cache folder, each named after everything that its content depends on."""

import hashlib
import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.files.arrays import read_arrays, write_arrays
from stylegan_tf.files.atomic_write import make_folder

_KEY = "key"  # An entry for people: what the file's name was made of.


class CachedArrays:
    """One file. A key with any difference is another file, so that nothing stale is ever found."""

    def __init__(self, folder: pathlib.Path, kind: str, key: Mapping[str, Any]):
        """kind: start of the file's name, for people. key: JSON values."""
        self._key = key
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.path = pathlib.Path(folder) / f"{kind}-{digest[:32]}.npz"
        self._saved_at = time.monotonic()
        self._interval = 60.0

    def load(self) -> Optional[dict[str, np.ndarray]]:
        """None if the file is not there, or damaged: then it is made again."""
        try:
            arrays = read_arrays(self.path, "cache file")
        except UserError:
            return None
        arrays.pop(_KEY, None)
        return arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        make_folder(self.path.parent)
        write_arrays(self.path, _KEY, self._key, arrays)

    def is_due(self) -> bool:
        """Whether a minute has passed since the last `save_now_and_then`, or twenty times as long as that took."""
        return time.monotonic() - self._saved_at >= self._interval

    def save_now_and_then(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Saves what an interrupted computation could go on from."""
        start = time.monotonic()
        self.save(arrays)
        self._saved_at = time.monotonic()
        self._interval = max(60.0, 20 * (self._saved_at - start))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
