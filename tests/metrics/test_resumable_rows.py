"""Rows by number: batches, interruption, and values that are not finite."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.cache import CachedArrays, resumable_rows


def squares(calls=None, stop_at=None):
    def compute(first, count):
        if calls is not None:
            calls.append((first, count))
        if stop_at is not None and first >= stop_at:
            raise KeyboardInterrupt
        numbers = np.arange(first, first + count)
        return np.stack([numbers, numbers**2], axis=1)

    return compute


def cached(folder, monkeypatch):
    """A file that is due after every batch."""
    partial = CachedArrays(folder, "rows", {"what": "squares"})
    monkeypatch.setattr(partial, "is_due", lambda: True)
    return partial


def test_rows_come_in_order_whatever_the_batch():
    calls = []
    rows = resumable_rows(10, 4, squares(calls), "Squares", "numbers")
    assert calls == [(0, 4), (4, 4), (8, 2)] and rows.dtype == np.float32
    np.testing.assert_array_equal(rows, squares()(0, 10))
    np.testing.assert_array_equal(resumable_rows(10, 100, squares(), "Squares", "numbers"), rows)


def test_an_interrupted_call_goes_on_where_it_was(tmp_path, monkeypatch):
    partial = cached(tmp_path, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        resumable_rows(10, 3, squares(stop_at=6), "Squares", "numbers", partial)
    calls = []
    rows = resumable_rows(10, 4, squares(calls), "Squares", "numbers", cached(tmp_path, monkeypatch))
    assert calls == [(6, 4)]
    np.testing.assert_array_equal(rows, squares()(0, 10))
    calls.clear()
    again = resumable_rows(10, 4, squares(calls), "Squares", "numbers", cached(tmp_path, monkeypatch))
    assert calls == []  # The file is the caller's to remove: until then nothing is computed twice.
    np.testing.assert_array_equal(again, rows)


def test_a_damaged_file_is_as_good_as_none(tmp_path, monkeypatch):
    partial = cached(tmp_path, monkeypatch)
    partial.path.write_bytes(b"PK\x03\x04")
    calls = []
    resumable_rows(4, 4, squares(calls), "Squares", "numbers", partial)
    assert calls == [(0, 4)]


def test_values_that_are_not_finite_are_an_error():
    with pytest.raises(UserError, match="Path length: values that are not finite"):
        resumable_rows(4, 4, lambda first, count: np.full([count], np.nan), "Path length", "pairs")
