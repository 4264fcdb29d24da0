"""Downloads in a folder of bounded size."""

import threading
import time

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import remote_shards
from stylegan_tf.data.remote_shards import BlockCache


def _content(size):
    return lambda: b"x" * size


def _open(cache, name, size=10, **options):
    return cache.open(name, size, _content(size), lambda content: len(content) == size, **options)


def _names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".total")


def test_what_is_needed_latest_makes_room(tmp_path):
    cache = BlockCache(tmp_path, 40)
    for name in ("old", "a1", "a2", "a3"):
        _open(cache, name).close()
        time.sleep(0.01)
    cache.current = ("a",)
    _open(cache, "a4").close()  # Others go first.
    assert _names(tmp_path) == ["a1", "a2", "a3", "a4"]
    _open(cache, "a5").close()  # a4 was read last: it is needed again after all others.
    assert _names(tmp_path) == ["a1", "a2", "a3", "a5"]
    held = _open(cache, "a5")
    _open(cache, "b").close()
    assert _names(tmp_path) == ["a1", "a2", "a5", "b"]
    held.close()


def test_what_is_in_use_stays_and_what_a_killed_process_left_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_shards, "_PATIENCE", 0.1)
    (tmp_path / "b.partial").write_bytes(b"x" * 30)
    (tmp_path / ".total").write_bytes(b"")
    cache = BlockCache(tmp_path, 20)
    assert _names(tmp_path) == []
    files = [_open(cache, name) for name in "ab"]
    other = BlockCache(tmp_path, 20)  # Of another process.
    assert _open(other, "c", wait=False) is None
    with pytest.raises(UserError, match="limit of 1.86e-08 GiB is too low: give more `cache_gib`"):
        _open(other, "c")
    assert _names(tmp_path) == ["a", "b"]
    files[0].close()
    _open(other, "c").close()
    assert _names(tmp_path) == ["b", "c"]


def test_a_download_that_fails_leaves_its_room(tmp_path):
    def fail():
        raise UserError("no")

    cache = BlockCache(tmp_path, 10)
    for _ in range(2):
        with pytest.raises(UserError, match="no"):
            cache.open("a", 10, fail, lambda _: True)
    _open(cache, "b").close()
    assert _names(tmp_path) == ["b"]


def test_threads_that_want_the_same_download_it_once(tmp_path):
    cache, calls = BlockCache(tmp_path, 100), []

    def download():
        calls.append(1)
        time.sleep(0.1)
        return b"x" * 10

    threads = [threading.Thread(target=lambda: cache.open("a", 10, download, lambda _: True).close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and _names(tmp_path) == ["a"]
