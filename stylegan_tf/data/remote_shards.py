"""The shards of a dataset in a bucket, of which a bounded cache holds pieces: runs of whole records.

All processes of a machine share the cache. Locks of the kernel (flock) say what is in use and what is being written:
a killed process leaves nothing behind that is mistaken for a complete file, or stays forever.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Callable, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.files.arrays import read_array
from stylegan_tf.files.atomic_write import atomic_write, make_folder
from stylegan_tf.files.locks import is_in_place
from stylegan_tf.files.storage import Store, default_cache_folder, ensure_local

_LARGEST_BLOCK = 2**25  # Bytes: a request's latency is small in comparison.
_SCANNED_BLOCK = 2**23
_PATIENCE = 120.0  # Seconds that a file waits until others make room.
_PARTIAL = ".partial"
_BLOCKS = 256  # That fit into the cache, or more: several readers hold a dozen each.


class CachedFile:
    """A file that is not removed before it is closed."""

    def __init__(self, path: pathlib.Path, stream: BinaryIO):
        self.path, self._stream = path, stream

    def close(self) -> None:
        with self._stream:
            os.utime(self._stream.fileno())


class BlockCache:
    """`open` downloads what is missing, and removes what is needed latest to make room.

    current: prefixes of the names that are read in turn, again and again. Of these, what was just read is needed
    latest; before them, all other files go, the oldest first.
    """

    def __init__(self, folder: os.PathLike, limit: int):
        """limit: in bytes."""
        self._folder, self._limit = make_folder(folder), limit
        self._verified: set[str] = set()  # Names of files whose checksums this process has compared.
        self.current: tuple[str, ...] = ()
        with self._total() as total:
            total[0] = self._free_space(limit)

    def open(
        self, name: str, size: int, download: Callable[[], bytes], is_intact: Callable[[bytes], bool], wait: bool = True
    ) -> Optional[CachedFile]:
        """The file `name` of `size` bytes. download: called if it is not there, or is no longer intact.

        Raises UserError if nothing else can be removed for two minutes; None without `wait`.
        """
        path = self._folder / name
        while True:
            stream = _locked(path, fcntl.LOCK_SH)
            if stream is None:
                if not self._download(path, size, download, wait):
                    return None
                continue
            if name in self._verified or is_intact(path.read_bytes()):
                self._verified.add(name)
                return CachedFile(path, stream)
            stream.close()
            with self._total():
                _remove(path)

    def _download(self, path: pathlib.Path, size: int, download: Callable[[], bytes], wait: bool) -> bool:
        """Returns whether it is time to look again: it is there, or another process has been at it."""
        partial = path.with_name(path.name + _PARTIAL)
        with open(partial, "a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not is_in_place(partial, stream):  # Whoever had the lock has renamed or removed it.
                return True
            is_complete = False
            try:
                if path.exists():
                    return True
                if not self._reserve(stream, size, wait):
                    return False
                content = download()
                with open(partial, "r+b") as target:
                    target.write(content)
                with self._total():  # Nobody counts meanwhile.
                    os.replace(partial, path)
                is_complete = True
                self._verified.add(path.name)
                return True
            finally:
                if not is_complete:
                    with self._total() as total:
                        total[0] -= os.fstat(stream.fileno()).st_size
                        partial.unlink()

    def _reserve(self, stream: BinaryIO, size: int, wait: bool) -> bool:
        """Gives the file its size from the start, so that it counts."""
        until = time.monotonic() + _PATIENCE
        while True:
            with self._total() as total:
                more = size - os.fstat(stream.fileno()).st_size
                if total[0] + more > self._limit:
                    total[0] = self._free_space(self._limit - more)
                if total[0] + more <= self._limit:
                    stream.truncate(size)
                    total[0] += more
                    return True
            if not wait:
                return False
            if time.monotonic() > until:
                raise UserError(
                    f"{self._folder} is full of what is being read, its limit of {self._limit / 2**30:.3g} GiB is too "
                    "low: give more `cache_gib`, or each of the processes that share it a `cache_dir` of its own."
                )
            time.sleep(0.05)

    @contextlib.contextmanager
    def _total(self) -> Iterator[list[int]]:
        """[bytes of all files], for one at a time; a killed process may leave it too high until `_free_space`."""
        with open(self._folder / ".total", "a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            text = stream.read(32)
            total = [int(text) if text.isdigit() else self._limit + 1]
            try:
                yield total
            finally:
                stream.truncate(0)
                stream.write(b"%d" % total[0])
                stream.flush()

    def _free_space(self, limit: int) -> int:
        """Removes files until they have `limit` bytes, and a few more at once; returns how many they have."""
        files = []
        for entry in os.scandir(self._folder):
            if entry.name != ".total":
                state = entry.stat()
                is_current = entry.name.startswith(self.current) and not entry.name.endswith(_PARTIAL)
                age = -state.st_mtime if is_current else state.st_mtime
                files.append((is_current, age, entry.path, state.st_size))
        total = sum(size for *_, size in files)
        if total > limit:
            for *_, path, size in sorted(files):
                if total <= limit - self._limit // 64:
                    break
                total -= size if _remove(path) else 0
        return total


def _locked(path: os.PathLike, operation: int) -> Optional[BinaryIO]:
    """The open file; None if it is not there, was just removed, or (with LOCK_NB) is locked."""
    try:
        stream = open(path, "rb")
    except FileNotFoundError:
        return None
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(stream, operation)
        if is_in_place(path, stream):
            return stream
    stream.close()
    return None


def _remove(path: os.PathLike) -> bool:
    """Unless it is in use."""
    stream = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if stream is None:
        return False
    with stream:
        os.unlink(path)
    return True


class RemoteShards:
    """Reads the shards of a dataset, which are named by their addresses.

    folder: local copies of the set's other files. error: the last UserError of a reader, of which TensorFlow's
    pipeline passes on a text only.
    """

    def __init__(self, address: str, cache: Optional[os.PathLike], limit: int):
        """cache: a folder; None: the default. limit: of the pieces in it, in bytes."""
        folder = pathlib.Path(cache or default_cache_folder())
        self.folder = ensure_local(address, _beside_shards, folder)
        self.error: Optional[UserError] = None
        self._store = Store(address)
        self._objects = {
            f"{self._store.address}/{name}": (name, *facts)
            for name, facts in self._store.sizes().items()
            if _is_shard(name)
        }
        self._cache, self._limit = BlockCache(folder / "blocks", limit), limit
        self._indices = make_folder(folder / "indices")
        self._starts: dict[str, np.ndarray] = {}  # Path -> where records begin, and the end: [count + 1]
        self._pool = ThreadPoolExecutor(8, "fetch")

    @property
    def paths(self) -> list[str]:
        return sorted(self._objects)

    def size(self, path: str) -> int:
        """In bytes."""
        return self._objects[path][1]

    def read(self, path: str, start: int, end: int) -> bytes:
        """Bytes start, ..., end - 1, as far as there are any."""
        name, size, _ = self._objects[path]
        return self._store.read_range(name, start, min(end, size)) if start < size else b""

    def set_starts(self, path: str, count: int) -> None:
        """Sets the starts of records of one length."""
        self._starts[path] = np.arange(count + 1) * (self.size(path) // count)

    def count_records(self, path: str) -> int:
        """Reads the headers of all records; the next run finds their places in the cache."""
        index = self._indices / f"{self._prefix(path)}.npy"
        if index.exists():
            self._starts[path] = read_array(index, "index of a shard", "remove it")
        else:
            self._starts[path] = self._find_starts(path)
            with atomic_write(index) as temporary, open(temporary, "wb") as stream:
                np.save(stream, self._starts[path])
        return len(self._starts[path]) - 1

    def keep(self, paths: Sequence[str]) -> None:
        """Pieces of these are kept in the cache as far as it has room, others go first."""
        self._cache.current = tuple(map(self._prefix, paths))

    def pieces(self, path: str) -> Iterator[str]:
        """Local files with the records of a shard, in order. Each stays until the next one is asked for."""
        starts, blocks, first = self._starts[path], [], 0
        while first < len(starts) - 1:
            end = int(np.searchsorted(starts, starts[first] + min(_LARGEST_BLOCK, self._limit // _BLOCKS), "right")) - 1
            blocks.append((first, max(end, first + 1)))
            first = blocks[-1][1]
        ahead: Optional[Future] = None
        try:
            for number, block in enumerate(blocks):
                file = (ahead and ahead.result()) or self._open(path, *block)
                ahead = None
                with contextlib.closing(file):
                    if number + 1 < len(blocks):
                        ahead = self._pool.submit(self._open, path, *blocks[number + 1], wait=False)
                    yield str(file.path)
        finally:
            if ahead is not None:
                ahead.add_done_callback(lambda done: done.exception() or (done.result() and done.result().close()))

    def record(self, path: str, index: int) -> bytes:
        """One serialised Example."""
        with contextlib.closing(self._open(path, index, index + 1)) as file:
            return file.path.read_bytes()[tfrecord_files.HEADER.size : -tfrecord_files.CRC.size]

    def _open(self, path: str, first: int, end: int, wait: bool = True) -> Optional[CachedFile]:
        """The piece with records first, ..., end - 1."""
        start, stop = int(self._starts[path][first]), int(self._starts[path][end])

        def is_intact(content: bytes) -> bool:
            return len(content) == stop - start and not any(
                record.damage for record in tfrecord_files.walk(content, verify=True)
            )

        def download() -> bytes:
            for _ in range(2):
                content = self._store.read_range(self._objects[path][0], start, stop)
                if is_intact(content):
                    return content
            raise UserError(f"{path} is damaged between records {first} and {end - 1}: write the dataset again.")

        try:
            return self._cache.open(f"{self._prefix(path)}-{start}-{stop}", stop - start, download, is_intact, wait)
        except UserError as error:
            self.error = error
            raise

    def _prefix(self, path: str) -> str:
        """Prefix of the names of pieces, which changes with the object."""
        _, size, version = self._objects[path]
        return hashlib.sha256(f"{path} {size} {version}".encode()).hexdigest()[:24]

    def _find_starts(self, path: str) -> np.ndarray:
        size, starts, head = self.size(path), [0], tfrecord_files.HEADER.size
        block, offset = b"", 0
        while starts[-1] < size:
            begin = starts[-1] - offset
            if begin + head > len(block):
                begin, offset = 0, starts[-1]
                block = self.read(path, offset, offset + _SCANNED_BLOCK)
            header = block[begin : begin + head]
            if len(header) < head or not tfrecord_files.length_matches_checksum(header):
                raise UserError(f"the length of record {len(starts) - 1} of {path} is damaged: write it again.")
            starts.append(starts[-1] + tfrecord_files.OVERHEAD + tfrecord_files.HEADER.unpack(header)[0])
        if starts[-1] > size:
            raise UserError(f"{path} is cut off at record {len(starts) - 2}: write it again.")
        return np.array(starts)


def _is_shard(name: str) -> bool:
    """Those in subfolders are other sets'."""
    return "/" not in name and records.parse_shard_file_name(name) is not None


def _beside_shards(names: Iterable[str]) -> list[str]:
    return [name for name in names if "/" not in name and not _is_shard(name)]
