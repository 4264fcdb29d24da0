"""A dataset as large as FFHQ, of a hundred pictures: conversion; start, speed and order of what training reads.

    python tools/data_at_scale.py FOLDER [--records 70000] [--pictures 100] [--seconds 3]

The shards of a small set are linked as often as it takes, so the disk holds one copy, which stays in memory: how fast
the disk must be is said, not measured. Labels number the records, and show the order in which they come.
"""

import argparse
import os
import time
from pathlib import Path

import checkout
import numpy as np
from grow_to_1024 import measured, write_pictures

BATCH = 32
RESOLUTION = 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=70000)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3, help="of reading, for each level")
    options = parser.parse_args()
    folder = options.folder
    write_pictures(folder / "pictures", RESOLUTION, options.pictures)
    print("| encoding | CPU hours for all records on one core | GB |\n|---|---|---|")
    for encoding in ("png", "raw"):
        print(conversion_row(folder, encoding, options), flush=True)
    link_records(folder / "raw", folder / "linked", options.records // options.pictures, options.pictures)
    read_levels(folder / "linked", options.seconds)


def conversion_row(folder: Path, encoding: str, options) -> str:
    arguments = ("--workers=1", "--shards=1", f"--encoding={encoding}", "--overwrite")

    def converted(source, dest):
        return measured("create_tfrecords", "--source", source, "--dest", folder / dest, *arguments)

    start = converted(folder / "pictures" / "0.png", "one")  # What starting takes does not grow with the set.
    every = converted(folder / "pictures", encoding)
    times = options.records / (options.pictures - 1)
    size = sum(path.stat().st_size for path in (folder / encoding).iterdir()) * options.records / options.pictures
    return f"| {encoding} | {(every['cpu'] - start['cpu']) * times / 3600:.1f} | {size / 1e9:.0f} |"


def link_records(source: Path, dest: Path, shards: int, records: int) -> None:
    dest.mkdir(exist_ok=True)
    for path in source.glob("*.tfrecords"):
        for shard in range(shards):
            link = dest / f"{path.stem}-{shard:05d}-of-{shards:05d}.tfrecords"
            if not link.exists():
                os.link(path, link)
    with (dest / f"{source.name}-rxx.labels").open("wb") as stream:
        np.save(stream, np.arange(shards * records, dtype=np.float32)[:, None])


def read_levels(folder: Path, seconds: float) -> None:
    from stylegan_tf.benchmark.planning import device_named, plan_run
    from stylegan_tf.config import TrainConfig
    from stylegan_tf.data.dataset_files import find_dataset
    from stylegan_tf.data.pipeline import default_shuffle_images, training_dataset
    from stylegan_tf.training.reports.reporting import peak_memory

    start = time.monotonic()
    info = find_dataset(folder)
    print(f"{info.count:,} records in {len(info.shard_counts)} shards found in {time.monotonic() - start:.1f} s\n")
    config = TrainConfig(data_dir="none", run_dir="none", resolution=RESOLUTION)
    eight = {level.resolution: level for level in plan_run(config, device_named("V100", "float32"), 8).levels}
    columns = ("level", "shuffle buffer", "s to the first batch", "images/s", "images per CPU second")
    columns += ("twice what 8 V100s take", "MB/s for that", "peak GiB", "correlation of neighbours' places")
    print(_row(*columns, "pairs of a batch from one shard") + "\n" + _row(*["---"] * 10))
    for resolution in sorted(info.levels):
        start = time.monotonic()
        batches = iter(training_dataset(info, resolution, BATCH, mirror=True))
        places = [next(batches)["labels"].numpy()]
        first = time.monotonic() - start
        start, cpu = time.monotonic(), time.process_time()
        while time.monotonic() - start < seconds or len(places) < 40:
            places.append(next(batches)["labels"].numpy())
        images = BATCH * (len(places) - 1)
        speeds = images / (time.monotonic() - start), images / (time.process_time() - cpu)
        needed = 2 * 1000 / eight[resolution].seconds_per_kimg if resolution in eight else 0
        megabytes = needed * resolution**2 * 3 / 1e6
        order = np.concatenate(places)[:, 0]
        correlation = np.corrcoef(order[:-1], order[1:])[0, 1]
        numbers = (f"{default_shuffle_images(info, resolution):,}", f"{first:.1f}")
        numbers += tuple(f"{speed:,.0f}" for speed in speeds)
        numbers += (f"{needed:,.0f}", f"{megabytes:,.0f}", f"{peak_memory()['memory_gib']:.2f}", f"{correlation:.3f}")
        print(_row(resolution, *numbers, f"{share_of_pairs(order, info.shard_counts[0]):.1%}"), flush=True)


def _row(*cells) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def share_of_pairs(order: np.ndarray, records: int) -> float:
    """Fraction of the pairs of a batch whose records are in one shard."""
    shards = order.reshape(-1, BATCH) // records
    same = (shards[:, :, None] == shards[:, None]).sum() - shards.size
    return same / (shards.size * (BATCH - 1))


if __name__ == "__main__":
    checkout.run(main)
