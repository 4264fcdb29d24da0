"""Something computed for every number 0, ..., count - 1, batch after batch: goes on where it was interrupted."""

from typing import Callable, Optional

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.progress import ProgressBar


def numbered_rows(
    count: int,
    batch: int,
    compute: Callable[[int, int], np.ndarray],
    label: str,
    unit: str,
    unfinished: Optional[CachedArrays] = None,
) -> np.ndarray:
    """`compute(first, n)`, rows of numbers first to first + n - 1 (n <= batch), for all of them: float32 [count, ...].

    Args:
      label, unit: of the progress bar.
      unfinished: where the rows so far are kept now and then; a later call with the same file goes on from there.
    Raises:
      UserError for rows that are not finite.
    """
    kept = unfinished.load() if unfinished else None
    done = len(kept["rows"]) if kept and len(kept["rows"]) <= count else 0
    rows = kept["rows"] if done else None
    with ProgressBar(count, label, unit) as bar:
        bar.start_at(done)
        while done < count:
            found = compute(done, min(batch, count - done))
            if not np.isfinite(found).all():
                raise UserError(f"{label}: values that are not finite. Has the network diverged?")
            if rows is None or len(rows) < count:
                rows, earlier = np.empty([count, *found.shape[1:]], np.float32), rows
                rows[:done] = 0 if earlier is None else earlier
            rows[done : done + len(found)] = found
            done += len(found)
            bar.update(done)
            if unfinished and unfinished.is_due():
                unfinished.save_now_and_then({"rows": rows[:done]})
    if unfinished:
        unfinished.remove()
    return rows
