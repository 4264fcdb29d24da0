"""Grows the networks of configs/ffhq.cfg from 8x8 to 1024x1024 on a few random pictures: does all of it work there?

    python tools/grow_to_1024.py FOLDER [--batch 4] [--precision bfloat16] [--max_replica_batch 512:2,1024:1]

Every level has one iteration of fading in and two at full weight: about half an hour on two cores. The run is killed
once and resumed; then come a metric, an export, and generated pictures. FOLDER/report.md gets time, memory and file
sizes by level and by command. Needs 4 GB of disk.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import checkout
import numpy as np
from PIL import Image

from stylegan_tf.files.file_errors import read_lines

KILLED_AT = 64  # Pixels.


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--max_replica_batch", default="512:2,1024:1")
    options = parser.parse_args()
    folder = options.folder
    run, data = folder / "run", folder / "data"
    if run.exists():
        parser.error(f"{run} exists, and would only be resumed: give another folder")
    write_pictures(folder / "pictures", options.resolution)
    train = training_command(options, run, data)
    grids = {}

    def watch():
        note_grid(run, grids)
        return has_reached(run, KILLED_AT)

    commands = [
        measured("create_tfrecords", "--source", folder / "pictures", "--dest", data, "--shards=2"),
        measured(*train, label=f"train, killed at {KILLED_AT}x{KILLED_AT}", watch=watch, kill=True),
        measured(*train, label="train, resumed to the end", watch=watch),
        measured(
            *("evaluate", "--network", run, "--data_dir", data, "--metrics=fid8"),
            *("--feature_extractor=efficientnet_lite0", "--cache_dir", folder / "cache"),
        ),
        measured("export", "--network", run, "--saved_model_dir", folder / "saved_model"),
        measured("generate", "--network", run, "--seeds=0-63", "--outdir", folder / "generated"),
    ]
    commands[1]["size"] = sum(path.stat().st_size for path in run.glob("checkpoints/*"))
    for command, made in zip((0, 4, 5), ("data", "saved_model", "generated")):
        commands[command]["size"] = sum(path.stat().st_size for path in (folder / made).rglob("*") if path.is_file())
    report = "\n\n".join([levels_table(run, grids), commands_table(commands)])
    (folder / "report.md").write_text(report + "\n")
    print(report)


def training_command(options, run: Path, data: Path) -> list:
    level = options.batch / 1000
    return [
        *("train", "--flagfile", checkout.ROOT / "configs/ffhq.cfg", "--data_dir", data, "--run_dir", run),
        *(f"--precision={options.precision}", f"--batch_sizes={options.batch}", "--strategy=one"),
        *(f"--max_replica_batch={options.max_replica_batch}", f"--resolution={options.resolution}"),
        *(f"--training_kimg={level}", f"--transition_kimg={2 * level}", "--iterations_per_update=1"),
        *(f"--total_kimg={level * (3 * int(np.log2(options.resolution // 8)) + 2)}", f"--tick_kimg={level}"),
        *("--image_ticks=3", "--checkpoint_ticks=3", "--network_ticks=3", "--keep_networks=1", "--keep_checkpoints=1"),
        *("--grid_columns=4", "--grid_rows=2", "--shuffle_images=8"),
    ]


def write_pictures(folder: Path, resolution: int, count: int = 8) -> None:
    """Clouds of all sizes, so that every level has something to learn."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for number in range(count):
        cloud = np.zeros([resolution, resolution, 3])
        for size in (2**power for power in range(2, int(np.log2(resolution)) + 1)):
            noise = Image.fromarray(random.randint(0, 256, [size, size, 3]).astype(np.uint8))
            cloud += np.asarray(noise.resize([resolution, resolution], Image.Resampling.BICUBIC), float) / size**0.5
        cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min()) * 255
        Image.fromarray(cloud.astype(np.uint8)).save(folder / f"{number}.png")


def measured(*command, label=None, watch=lambda: False, kill=False) -> dict:
    """Runs a command of the package, calls `watch` now and then and, with `kill`, kills it as soon as that is true."""
    start = time.monotonic()
    arguments = [sys.executable, "-m", f"stylegan_tf.{command[0]}", *map(str, command[1:])]
    process = subprocess.Popen(arguments, env=checkout.environment())
    killed = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if watch() and kill and not killed:
            process.send_signal(signal.SIGKILL)
            killed = True
        time.sleep(0.2)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != (-signal.SIGKILL if kill else 0):
        sys.exit(f"{' '.join(arguments)} ended with {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    seconds = time.monotonic() - start
    return {"what": label or command[0], "seconds": seconds, "cpu": cpu, "gib": usage.ru_maxrss / 2**20}


def ticks(run: Path) -> list[dict]:
    return [record for _, record in read_lines(run / "stats.jsonl")]


def has_reached(run: Path, resolution: int) -> bool:
    return any(tick["resolution"] >= resolution for tick in ticks(run))


def note_grid(run: Path, grids: dict) -> None:
    """The size of the last grid of every level: they have one name, as the run is shorter than a thousand images."""
    path, done = run / "fakes000000.png", ticks(run)
    if done and path.exists():
        grids[done[-1]["resolution"]] = path.stat().st_size / 1e6


def levels_table(run: Path, grids: dict) -> str:
    prepared = {}
    for line in (run / "log.txt").read_text().splitlines():
        found = re.search(r"(\d+)x\d+, batch \d+: prepared in ([\d.]+) s, first iteration ([\d.]+) s", line)
        if found:
            prepared[int(found[1])] = f"{found[2]} + {found[3]}"
    lines = [
        "| level | alpha | s to prepare + first iteration | s an iteration | peak GiB so far | grid, MB |",
        "|---|---|---|---|---|---|",
    ]
    records = ticks(run)
    for level in sorted({tick["resolution"] for tick in records}):
        mine = [tick for tick in records if tick["resolution"] == level]
        alphas = ", ".join(f"{tick['alpha']:g}" for tick in mine)
        seconds = min(tick["sec_per_kimg"] * tick["batch_size"] / 1000 for tick in mine)
        peak = max(tick["memory_gib"] for tick in mine)
        numbers = (f"{seconds:.1f}", f"{peak:.2f}", f"{grids.get(level, 0):.1f}")
        lines.append("| " + " | ".join((f"{level}x{level}", alphas, prepared.get(level, ""), *numbers)) + " |")
    return "\n".join(lines)


def commands_table(commands: list[dict]) -> str:
    lines = ["| command | minutes | CPU minutes | peak GiB | MB written |", "|---|---|---|---|---|"]
    for row in commands:
        size = f"{row['size'] / 1e6:,.0f}" if "size" in row else ""
        cells = (row["what"], f"{row['seconds'] / 60:.1f}", f"{row['cpu'] / 60:.1f}", f"{row['gib']:.2f}", size)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    checkout.run(main)
