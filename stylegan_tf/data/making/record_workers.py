"""Pictures -> framed records of every level, in worker processes: order and bytes do not depend on their number."""

import collections
import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.letterbox import union
from stylegan_tf.data.making.report import ImageStatistics, Report
from stylegan_tf.data.sources.fitted import DecodedImage
from stylegan_tf.data.sources.opening import BadPicture

_CHUNK_BYTES = 2**21  # Full-size pixels of a chunk (as float32: four times as much).
_CHUNK_IMAGES = 64
_CHUNKS_PER_WORKER = 3  # In flight or waiting to be written: this bounds the memory.
_ADVICE = "the same command resumes after the last finished shard; fewer `workers` than {} need less memory"


class Chunk(NamedTuple):
    """The records of a few pictures."""

    levels: dict[int, bytes]  # Resolution -> records as they stand in a file.
    report: Report


def chunks_of(source, indices: Sequence[int]) -> list[np.ndarray]:
    """Cuts a list of pictures into chunks of bounded size."""
    image_bytes = source.resolution**2 * source.num_channels
    size = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // image_bytes))
    return [np.asarray(indices[start : start + size]) for start in range(0, len(indices), size)]


def map_chunks(
    function: Callable[..., Any], arguments: tuple, chunks: Iterable[np.ndarray], num_workers: int
) -> Iterator[Any]:
    """`function(*arguments, chunk)` for every chunk, in their order. With one worker it is called in this process."""
    if num_workers <= 1:
        for indices in chunks:
            yield function(*arguments, indices)
        return
    # "spawn": TensorFlow, where it is loaded already, does not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(num_workers, context, _start_worker, (function, arguments))
    pending: collections.deque = collections.deque()
    try:
        for indices in chunks:
            pending.append(pool.submit(_run_in_worker, indices))
            if len(pending) >= _CHUNKS_PER_WORKER * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except MemoryError as error:
        raise UserError(f"there is not enough memory: {_ADVICE.format(num_workers)}.") from error
    except BrokenProcessPool as error:
        raise UserError(
            f"a worker process ended abruptly, perhaps for lack of memory: {_ADVICE.format(num_workers)}."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def convert_chunk(source, encoding: str, indices: Iterable[int]) -> Chunk:
    """Reads pictures and makes the records of all levels. Unreadable ones are skipped and listed."""
    decoded: list[DecodedImage] = []
    bad = []
    for index in indices:
        try:
            decoded.append(source.read(int(index)))
        except BadPicture as error:
            bad.append((int(index), " ".join(str(error).split())))
    if not decoded:
        return Chunk({}, Report(0, bad))
    images, files = np.stack([image.image for image in decoded]), [image.file for image in decoded]
    encoded = records.encoded_levels(images, encoding, files)
    levels = {resolution: tfrecord_files.frame(examples) for resolution, examples in encoded.items()}
    whole = (0, 0, source.resolution, source.resolution)
    box = union(image.box or whole for image in decoded)
    digests = [image.digest for image in decoded if image.digest]
    return Chunk(levels, Report(len(decoded), bad, box, ImageStatistics.of(decoded), digests))


def digests_of(source, indices: Iterable[int]) -> list[str]:
    """Digests of decoded pictures; "" for those that cannot be read."""
    digests = []
    for index in indices:
        try:
            digests.append(source.read(int(index)).digest)
        except BadPicture:
            digests.append("")
    return digests


def available_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_job: Optional[tuple] = None  # (function, arguments) of a worker process.


def _start_worker(function, arguments: tuple) -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends the workers.
    _job = (function, arguments)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """A worker whose parent was killed would wait for its next chunk forever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _run_in_worker(indices: np.ndarray) -> Any:
    function, arguments = _job
    return function(*arguments, indices)
