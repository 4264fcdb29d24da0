"""Measures the input pipeline of training: images per second for each level of one or more datasets.

    python -m stylegan_tf.benchmark.data --data_dir datasets/demo
    python -m stylegan_tf.benchmark.data --data_dir datasets/demo --data_dir datasets/demo_png --run_dir runs/demo

"cold": the files are dropped from the page cache first, and read in their order once, the opening included.
"shuffled": with the default shuffle buffer, after the first batch; the time that it takes to fill is next to it.
Of a bucket with --cache_gib, "cold" fetches what the cache does not have: all of it where --cache_dir is new.
With --run_dir, "share" is how much of a training step (as that run measured it) reading its images takes.
"""

import collections
import os
import statistics
import time

from stylegan_tf.cli import command_line, flags
from stylegan_tf.config import TrainConfig
from stylegan_tf.files.file_errors import read_lines

FLAGS = flags.FLAGS
flags.define("data_dir", None, "A folder of TFRecords.", tuple)
flags.must_exist("data_dir")
flags.define("batch_size", 32, "Images per batch.", lower_bound=1)
flags.define("seconds", 2.0, "Maximum seconds for each of the two measurements of a level.", lower_bound=0.001)
flags.define_options(TrainConfig, "cache_dir", "cache_gib")
flags.define("run_dir", None, "Folder of a run on a similar machine, to compare with.")


def main() -> None:
    flags.require("data_dir")
    training = seconds_per_image(FLAGS.run_dir) if FLAGS.run_dir else {}
    from stylegan_tf.data.dataset_files import find_dataset

    for folder in FLAGS.data_dir:
        info = find_dataset(folder, FLAGS.cache_dir, FLAGS.cache_gib)
        print(f"{info.name}: {info.count:,} images, {info.encoding}, batches of {FLAGS.batch_size}")
        print("   level        cold    shuffled   first batch   share")
        for resolution in sorted(info.levels):
            measure_level(info, resolution, training.get(resolution))


def measure_level(info, resolution: int, step_seconds) -> None:
    """Prints one line of the table."""
    from stylegan_tf.data.pipeline import training_dataset

    for path in info.shards(resolution) if info.remote is None else ():
        drop_from_cache(path)
    cold, _ = rate(training_dataset(info, resolution, FLAGS.batch_size, shuffle_images=0), 0, info.count)
    shuffled, first = rate(training_dataset(info, resolution, FLAGS.batch_size), 1, None)
    share = "" if step_seconds is None else f"{1 / shuffled / step_seconds:7.2%}"
    print(f"   {resolution:5}  {cold:8,.0f}/s  {shuffled:8,.0f}/s  {first:9.2f} s   {share}")


def rate(dataset, warm_up: int, limit) -> tuple[float, float]:
    """-> (images per second after `warm_up` batches, seconds until the first batch was there)."""
    start = time.perf_counter()
    batches = iter(dataset)
    first = None
    for _ in range(warm_up):
        next(batches)
        first = first or time.perf_counter() - start
    begin, images = (time.perf_counter() if warm_up else start), 0
    while True:
        next(batches)
        images += FLAGS.batch_size
        elapsed = time.perf_counter() - begin
        if elapsed > FLAGS.seconds or (limit is not None and images >= limit):
            return images / elapsed, first or 0.0


def drop_from_cache(path: str) -> None:
    """Where the operating system offers it."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())  # Only what is on disk already can be dropped.
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds_per_image(run_dir: str) -> dict[int, float]:
    """Resolution -> what training on one image took in that run, the median of its ticks."""
    found = collections.defaultdict(list)
    for _, tick in read_lines(os.path.join(run_dir, "stats.jsonl")):
        found[tick["resolution"]].append(tick["sec_per_kimg"] / 1000)
    if not found:
        flags.fail(f"--run_dir {run_dir}: cannot read stats.jsonl: give the folder of a training run.")
    return {resolution: statistics.median(values) for resolution, values in found.items()}


if __name__ == "__main__":
    command_line.run(main)
