"""Data that is larger than the cache on this machine: the same batches as from a local folder, within the limit."""

import fcntl
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import pipeline, remote_shards
from stylegan_tf.data.dataset_files import find_dataset, translate_data_errors
from stylegan_tf.data.inspection import dataset_facts, records_digest
from stylegan_tf.data.pipeline import level_records, training_dataset
from stylegan_tf.files.storage import Store
from tests.helpers.array_source import write_numbered
from tests.helpers.object_store import BUCKET

COUNT, SHARDS = 96, 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    parent = tmp_path_factory.mktemp("data")
    return {
        encoding: write_numbered(parent / encoding, COUNT, shards=SHARDS, encoding=encoding)
        for encoding in ("raw", "png")
    }


@pytest.fixture
def uploaded(bucket, folders, tmp_path):
    def upload(encoding):
        address = f"s3://{BUCKET}/{tmp_path.name}-{encoding}"
        for path in Path(folders[encoding]).iterdir():
            Store(address).put(path, path.name)
        return folders[encoding], address

    return upload


class Sizes:
    """`with Sizes(folder) as sizes`: looks all the time how many bytes it holds."""

    def __init__(self, folder):
        self._folder, self.most, self._end = folder, 0, threading.Event()

    def now(self):
        with open(self._folder / ".total", "rb") as stream:  # Files come and go meanwhile, unless it is locked.
            fcntl.flock(stream, fcntl.LOCK_EX)
            return sum(path.stat().st_size for path in self._folder.iterdir() if path.name != ".total")

    def _run(self):
        while not self._end.is_set():
            self.most = max(self.most, self.now())
            time.sleep(0.002)

    def __enter__(self):
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def first_batches(info, count, **options):
    dataset = training_dataset(info, 8, 8, seed=3, shuffle_images=20, **options)
    with translate_data_errors(info, 8):
        return [batch["images"] for batch in dataset.take(count).as_numpy_iterator()]


@pytest.mark.parametrize(("encoding", "first"), [("raw", 0), ("png", 40)])  # A new run, a resumed one.
def test_a_set_larger_than_the_cache_gives_the_batches_of_a_folder(uploaded, tmp_path, encoding, first, monkeypatch):
    monkeypatch.setattr(remote_shards, "_BLOCKS", 20)
    folder, address = uploaded(encoding)
    local = find_dataset(folder)
    level = sum(os.path.getsize(path) for path in local.shards(8))
    limit = level * 2 // 3
    remote = find_dataset(address, str(tmp_path / "cache"), limit / 2**30)
    assert (remote.count, remote.levels.keys(), remote.shard_counts) == (COUNT, local.levels.keys(), local.shard_counts)
    with Sizes(tmp_path / "cache" / "blocks") as sizes:
        expected = first_batches(local, 18, first_image=first)
        np.testing.assert_array_equal(first_batches(remote, 18, first_image=first), expected)
        assert dataset_facts(remote) == dataset_facts(local)
        assert records_digest(remote, 8) == records_digest(local, 8)
        records = [list(level_records(info, 8).as_numpy_iterator()) for info in (local, remote)]
        assert records[0] == records[1]
    assert limit * 3 // 4 < sizes.most <= limit


def test_hosts_fetch_their_own_records_of_a_large_level(uploaded, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_READ_BY_ALL_BYTES", 0)
    folder, address = uploaded("png")
    local = find_dataset(folder)
    remotes = [find_dataset(address, str(tmp_path / f"cache{host}"), 1.0) for host in range(2)]
    fetched = []
    original = Store.read_range
    monkeypatch.setattr(Store, "read_range", lambda *args: fetched.append(args[1:]) or original(*args))
    for host, remote in enumerate(remotes):
        share = {"num_input_pipelines": 2, "input_pipeline_index": host}
        np.testing.assert_array_equal(first_batches(remote, 1, **share), first_batches(local, 1, **share))
    assert len(set(fetched)) == len(fetched) >= 16  # None of them for both, although they read ahead.


def test_a_second_run_fetches_nothing_and_mends_what_was_damaged(uploaded, tmp_path, monkeypatch):
    folder, address = uploaded("raw")
    expected = first_batches(find_dataset(folder), 12)
    np.testing.assert_array_equal(first_batches(find_dataset(address, str(tmp_path), 1.0), 12), expected)
    blocks = [path for path in (tmp_path / "blocks").iterdir() if path.name != ".total"]
    assert len(blocks) == SHARDS
    damaged = bytearray(blocks[0].read_bytes())
    damaged[100] ^= 1
    blocks[0].write_bytes(damaged)
    blocks[1].write_bytes(blocks[1].read_bytes()[:-1])
    again = find_dataset(address, str(tmp_path), 1.0)
    fetched = []
    original = Store.read_range
    monkeypatch.setattr(Store, "read_range", lambda *args: fetched.append(args[1:]) or original(*args))
    np.testing.assert_array_equal(first_batches(again, 12), expected)
    assert len(fetched) == 2


@pytest.mark.parametrize("cache_gib", [None, 1.0])
def test_shards_in_subfolders_belong_to_other_sets(uploaded, tmp_path, cache_gib):
    folder, address = uploaded("png")
    for path in Path(uploaded("raw")[0]).iterdir():
        Store(address).put(path, f"old/{path.name}")
    info = find_dataset(address, str(tmp_path), cache_gib)
    assert info.encoding == "png" and dataset_facts(info) == dataset_facts(find_dataset(folder))
    assert cache_gib is None or not [path for path in tmp_path.rglob("old") if "versions" not in str(path)]


def test_a_store_that_fails_at_the_first_look_is_one_line(folders, tmp_path, monkeypatch):
    address = f"memory://{tmp_path.name}"
    for path in Path(folders["png"]).iterdir():
        Store(address).put(path, path.name)
    monkeypatch.setattr(remote_shards, "_SCANNED_BLOCK", 1000)
    assert find_dataset(address, str(tmp_path), 1.0).count == COUNT

    def fail(*_, **__):
        raise OSError("no route")

    for name in ("MemoryFile.read", "MemoryFileSystem.cat_file"):
        monkeypatch.setattr(f"fsspec.implementations.memory.{name}", fail)
    with pytest.raises(UserError, match=rf"cannot access {address} \(no route\): check"):
        find_dataset(address, str(tmp_path), 1.0)


def test_damage_in_the_bucket_is_one_line(uploaded, tmp_path):
    folder, address = uploaded("raw")
    info = find_dataset(address, str(tmp_path), 1.0)
    name = os.path.basename(info.shards(8)[2])
    content = bytearray((Path(folder) / name).read_bytes())
    content[-30] ^= 1
    Store(address).write(name, bytes(content))
    with pytest.raises(UserError, match=f"{name} is damaged between records 0 and 15: write the dataset again"):
        first_batches(info, 12)
