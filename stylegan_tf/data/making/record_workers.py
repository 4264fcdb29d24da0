"""Pictures -> framed records of every level, in worker processes: order and bytes do not depend on their number."""

import collections
import concurrent.futures
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.letterbox import Box, union
from stylegan_tf.data.sources.decoding import WIDEST, BadPicture
from stylegan_tf.errors import UserError

_CHUNK_BYTES = 2**21  # Full-size pixels of a chunk (as float32: four times as much).
_CHUNK_IMAGES = 64
_DARK = WIDEST / 8  # Peaks below come out darker than 32 of 255.
_GOES_ON = "the same command goes on from the last finished shard; fewer --workers than {} need less"
_CHUNKS_PER_WORKER = 3  # Under way or waiting to be written: what bounds the memory.


class Wide(NamedTuple):
    """Pictures of more than 8 bits: how many, how many of them come out dark, the largest value of all.

    colours: how many have several channels, for which there is no --white.
    """

    count: int = 0
    dark: int = 0
    peak: float = 0.0
    colours: int = 0

    @classmethod
    def of(cls, peaks: Iterable[Optional[float]], colours: int) -> "Wide":
        peaks = [peak for peak in peaks if peak is not None]
        return cls(len(peaks), sum(peak < _DARK for peak in peaks), max(peaks, default=0.0), colours)

    def joined(self, other: "Wide") -> "Wide":
        count, dark, colours = self.count + other.count, self.dark + other.dark, self.colours + other.colours
        return Wide(count, dark, max(self.peak, other.peak), colours)


class Stretched(NamedTuple):
    """Pictures that were stretched to squares: how many, and width by height: sum of the logarithms and range."""

    count: int = 0
    log_sum: float = 0.0
    lowest: float = 1e9
    highest: float = 0.0

    @classmethod
    def of(cls, ratios: Iterable[Optional[float]]) -> "Stretched":
        ratios = [ratio for ratio in ratios if ratio is not None]
        return cls(len(ratios), sum(map(math.log, ratios)), min(ratios, default=1e9), max(ratios, default=0.0))

    def joined(self, other: "Stretched") -> "Stretched":
        count, log_sum = self.count + other.count, self.log_sum + other.log_sum
        return Stretched(count, log_sum, min(self.lowest, other.lowest), max(self.highest, other.highest))

    @property
    def ratio(self) -> Optional[float]:
        """The geometric mean; None where nothing was distorted."""
        ratio = round(math.exp(self.log_sum / self.count), 4) if self.count else 1.0
        return None if abs(ratio - 1) < 0.002 else ratio


class Chunk(NamedTuple):
    """What has become of a few pictures."""

    levels: dict[int, bytes]  # Resolution -> records as they stand in a file.
    count: int
    bad: list[tuple[int, str]]  # (index in the source, reason) of those that cannot be read.
    box: Optional[Box]  # Around what is picture in any of them; None if there are no pictures.
    wide: Wide = Wide()
    stretched: Stretched = Stretched()


def chunks_of(source, indices: Sequence[int]) -> list[np.ndarray]:
    """Cuts a list of pictures into pieces of a bounded size."""
    image_bytes = source.resolution**2 * source.num_channels
    size = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // image_bytes))
    return [np.asarray(indices[start : start + size]) for start in range(0, len(indices), size)]


def converted(source, encoding: str, chunks: Iterable[np.ndarray], num_workers: int) -> Iterator[Chunk]:
    """Converts in the order of `chunks`. With one worker everything happens in this process."""
    if num_workers <= 1:
        for indices in chunks:
            yield convert_chunk(source, encoding, indices)
        return
    # "spawn": TensorFlow, where it is loaded already, does not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(num_workers, context, _start_worker, (source, encoding))
    waiting: collections.deque = collections.deque()
    try:
        for indices in chunks:
            waiting.append(pool.submit(_convert_in_worker, indices))
            if len(waiting) >= _CHUNKS_PER_WORKER * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except MemoryError as error:
        raise UserError(f"there is not enough memory: {_GOES_ON.format(num_workers)}.") from error
    except BrokenProcessPool as error:
        raise UserError(
            f"a worker process ended abruptly, perhaps for lack of memory: {_GOES_ON.format(num_workers)}."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def convert_chunk(source, encoding: str, indices: Iterable[int]) -> Chunk:
    """Reads pictures and makes the records of all levels. Unreadable ones are left out and listed."""
    images, files, bad, boxes, peaks, ratios, colours = [], [], [], [], [], [], 0
    for index in indices:
        try:
            square = source.read(int(index))
        except BadPicture as error:
            bad.append((int(index), " ".join(str(error).split())))
            continue
        images.append(square.image)
        files.append(square.file)
        peaks.append(square.peak)
        colours += square.is_wide_colour
        ratios.append(square.ratio)
        boxes.append(square.box or (0, 0, source.resolution, source.resolution))
    if not images:
        return Chunk({}, 0, bad, None)
    encoded = records.encoded_levels(np.stack(images), encoding, files)
    levels = {resolution: tfrecord_files.frame(examples) for resolution, examples in encoded.items()}
    return Chunk(levels, len(images), bad, union(boxes), Wide.of(peaks, colours), Stretched.of(ratios))


def available_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_job: Optional[tuple] = None  # (source, encoding) of a worker process.


def _start_worker(source, encoding: str) -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others.
    _job = (source, encoding)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next piece for ever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _convert_in_worker(indices: np.ndarray) -> Chunk:
    return convert_chunk(*_job, indices)
