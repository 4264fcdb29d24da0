"""The shards of a dataset in a bucket, of which a bounded cache holds pieces: runs of whole records."""

import hashlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.block_cache import BlockCache, CachedFile
from stylegan_tf.files.arrays import read_array
from stylegan_tf.files.atomic_write import atomic_write, make_folder
from stylegan_tf.files.storage import Store, default_cache_folder, fetched

_LARGEST_BLOCK = 2**25  # Bytes: a request's latency is small beside it.
_BLOCKS = 256  # That fit into the cache, or more: several readers hold a dozen each.


class RemoteShards:
    """Reads the shards of a dataset, which are named by their addresses.

    folder: local copies of the set's other files. error: the last UserError of a reader, of which TensorFlow's
    pipeline passes on a text only.
    """

    def __init__(self, address: str, cache: Optional[os.PathLike], limit: int):
        """cache: a folder; None: the default. limit: of the pieces in it, in bytes."""
        folder = pathlib.Path(cache or default_cache_folder())
        self.folder = fetched(address, lambda names: [name for name in names if not _is_shard(name)], folder)
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

    def open(self, path: str) -> BinaryIO:
        """For a look at the first record."""
        return self._store.open(self._objects[path][0], 2**16)

    def set_starts(self, path: str, count: int) -> None:
        """Of records of one length."""
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
                try:
                    if number + 1 < len(blocks):
                        ahead = self._pool.submit(self._open, path, *blocks[number + 1], wait=False)
                    yield str(file.path)
                finally:
                    file.close()
        finally:
            if ahead is not None:
                ahead.add_done_callback(lambda done: done.exception() or (done.result() and done.result().close()))

    def record(self, path: str, index: int) -> bytes:
        """One serialised Example."""
        file = self._open(path, index, index + 1)
        try:
            return file.path.read_bytes()[tfrecord_files.HEADER.size : -tfrecord_files.CRC.size]
        finally:
            file.close()

    def _open(self, path: str, first: int, end: int, wait: bool = True) -> Optional[CachedFile]:
        """The piece with records first, ..., end - 1."""
        start, stop = int(self._starts[path][first]), int(self._starts[path][end])

        def is_sound(content: bytes) -> bool:
            return len(content) == stop - start and not any(
                record.damage for record in tfrecord_files.walk(content, verify=True)
            )

        def download() -> bytes:
            for _ in range(2):
                content = self._store.read_range(self._objects[path][0], start, stop)
                if is_sound(content):
                    return content
            raise UserError(f"{path} is damaged between records {first} and {end - 1}: write the dataset again.")

        try:
            return self._cache.open(f"{self._prefix(path)}-{start}-{stop}", stop - start, download, is_sound, wait)
        except UserError as error:
            self.error = error
            raise

    def _prefix(self, path: str) -> str:
        """Of the names of pieces: another one once the object changes."""
        _, size, version = self._objects[path]
        return hashlib.sha256(f"{path} {size} {version}".encode()).hexdigest()[:24]

    def _find_starts(self, path: str) -> np.ndarray:
        name, size, _ = self._objects[path]
        starts = [0]
        with self._store.open(name, 2**23) as stream:
            while starts[-1] < size:
                header = stream.read(tfrecord_files.HEADER.size)
                if len(header) < tfrecord_files.HEADER.size or not tfrecord_files.is_sound_length(header):
                    raise UserError(f"the length of record {len(starts) - 1} of {path} is damaged: write it again.")
                starts.append(starts[-1] + tfrecord_files.OVERHEAD + tfrecord_files.HEADER.unpack(header)[0])
                stream.seek(starts[-1])
        if starts[-1] > size:
            raise UserError(f"{path} is cut off at record {len(starts) - 2}: write it again.")
        return np.array(starts)


def _is_shard(name: str) -> bool:
    return records.parse_shard_file_name(name) is not None
