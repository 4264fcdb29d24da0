"""Files of arrays in the cache folder."""

import json

import numpy as np

from stylegan_tf.metrics.cache import CachedArrays

KEY = {"network": "a", "count": 3}
ARRAYS = {"done": np.int64(3), "moments/mean": np.arange(4.0)}


def test_what_was_saved_is_loaded_and_the_file_says_what_it_is_of(tmp_path):
    cached = CachedArrays(tmp_path / "cache", "rows", KEY)
    assert cached.load() is None
    cached.save(ARRAYS)
    assert CachedArrays(tmp_path / "cache", "rows", {**KEY, "count": 4}).load() is None
    found = CachedArrays(tmp_path / "cache", "rows", KEY).load()
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    with np.load(cached.path, allow_pickle=False) as data:
        described = json.loads(str(data["key"]))
    assert described.pop("arrays").keys() == ARRAYS.keys() and described == KEY
    cached.remove()
    assert list(cached.path.parent.iterdir()) == []


def test_files_without_their_key_are_read_too(tmp_path):
    cached = CachedArrays(tmp_path, "rows", KEY)
    np.savez(cached.path, **ARRAYS)
    assert cached.load().keys() == ARRAYS.keys()


def test_a_file_cut_anywhere_counts_as_missing(tmp_path):
    cached = CachedArrays(tmp_path, "rows", KEY)
    cached.save(ARRAYS)
    content = cached.path.read_bytes()
    for length in range(0, len(content), 7):
        cached.path.write_bytes(content[:length])
        assert cached.load() is None
