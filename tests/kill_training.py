"""Kills a training run at random moments, again and again, and compares its end with that of an undisturbed one.

    python -m tests.kill_training --kills 20 --seed 1

Every kill is a `kill -9` of the real command; it hits start-up, tracing, iterations and saving alike, as the run saves
after every second iteration. Between kills the same command resumes. Checkpoints, network files and pictures at the
end must be equal bit for bit to those of a run that nobody disturbed. The command runs within `tests.guarded`, which
ends it where a file gets its name before it is on the disk, or is written in place. pytest runs it with a few kills
(test_kill_training.py).
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.helpers.array_source import write_numbered

ROOT = Path(__file__).resolve().parents[1]
FLAGS = "--fmap_base=32 --fmap_max=8 --latent_size=16 --dlatent_size=16 --mapping_fmaps=16 --mapping_layers=2"
FLAGS += " --batch_sizes=8 --grid_columns=4 --grid_rows=1 --resolution=8 --start_resolution=4 --mirror_augment"
FLAGS += " --tick_kimg=0.016 --network_ticks=2 --image_ticks=3 --iterations_per_update=2 --strategy=one"
FLAGS += " --training_kimg=0.08 --transition_kimg=0.08"  # It grows: all of 4x4, the fade and 8x8 are hit.
PARTS = {"generator", "discriminator", "generator_ema", "generator_adam", "discriminator_adam", "clock"}


def kill_again_and_again(folder: Path, data_dir: Path, kills: int, kimg: float, seed: int, say=print) -> int:
    """Returns how many kills hit before the run was complete; raises AssertionError where anything was lost."""
    began = time.monotonic()
    _, errors = _train(folder / "whole", data_dir, kimg).communicate()
    duration = time.monotonic() - began
    expected = _last_checkpoint(folder / "whole")
    assert {name.split("/")[0] for name in expected} >= PARTS, errors
    say(f"undisturbed: {duration:.1f} s, {expected['clock/images_seen']} images")
    generator = random.Random(seed)
    hits = 0
    while hits < kills:
        before = _newest(folder / "killed")
        process = _train(folder / "killed", data_dir, kimg)
        moment = _wait_for(process, folder / "killed", generator, duration)
        if process.poll() is not None:
            say("it was complete before the kill")
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        hits += 1
        half_written = [path.name for path in (folder / "killed").rglob(".*.tmp")]
        after = _newest(folder / "killed")
        say(f"kill {hits}: {moment}; checkpoint {before} -> {after}; half-written: {half_written or 'none'}")
        assert after >= before, "a kill has taken a checkpoint back"
    _, errors = _train(folder / "killed", data_dir, kimg).communicate()
    found = _last_checkpoint(folder / "killed")
    assert found.keys() == expected.keys(), errors
    different = [name for name in expected if not np.array_equal(found[name], expected[name])]
    assert not different, f"{len(different)} variables differ, the first is {different[0]}"
    assert not list((folder / "killed").rglob(".*.tmp")), "half-written files were left"
    assert "warning" not in (folder / "killed" / "log.txt").read_text(), "a checkpoint was damaged"
    lines = [(folder / run / "stats.jsonl").read_text().splitlines() for run in ("whole", "killed")]
    assert len(lines[0]) == len(lines[1]), "ticks were lost or reported twice"
    assert hits, "no kill hit the run"
    files = [_results(folder / run) for run in ("whole", "killed")]
    assert any(name.startswith("network-") for name in files[0]) and any(name.startswith("fakes") for name in files[0])
    assert files[0].keys() == files[1].keys(), sorted(files[0].keys() ^ files[1].keys())
    different = [name for name in files[0] if files[0][name] != files[1][name]]
    assert not different, f"{', '.join(different)} differ"
    say(f"after {hits} kills all {len(expected)} variables are equal, bit for bit")
    return hits


def _train(run_dir: Path, data_dir: Path, kimg: float) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.guarded", "stylegan_tf.train", *FLAGS.split(), f"--total_kimg={kimg}"]
    command += [f"--data_dir={data_dir}", f"--run_dir={run_dir}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _wait_for(process: subprocess.Popen, run_dir: Path, generator: random.Random, duration: float) -> str:
    """Waits for a random moment: one in four anywhere from the start on, the others once new checkpoints have come."""
    if generator.random() < 0.25:
        seconds = generator.uniform(0, duration)
        _sleep_while_alive(process, seconds)
        return f"after {seconds:.2f} s"
    first, more = _newest(run_dir), generator.randint(1, 3)
    while process.poll() is None and _newest(run_dir) < first + 16 * more:
        time.sleep(0.002)
    seconds = generator.uniform(0, 0.5)
    _sleep_while_alive(process, seconds)
    return f"{seconds:.3f} s after new checkpoint {more}"


def _results(run_dir: Path) -> dict[str, bytes]:
    """Network files and pictures."""
    return {path.name: path.read_bytes() for pattern in ("network-*.npz", "*.png") for path in run_dir.glob(pattern)}


def _sleep_while_alive(process: subprocess.Popen, seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _newest(run_dir: Path) -> int:
    """Images seen of the newest checkpoint, 0 without one."""
    return max((int(path.stem.split("-")[1]) for path in run_dir.glob("checkpoints/images-*.npz")), default=0)


def _last_checkpoint(run_dir: Path) -> dict:
    with np.load(run_dir / "checkpoints" / f"images-{_newest(run_dir)}.npz", allow_pickle=False) as data:
        return dict(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kimg", type=float, default=1.6, help="length of the run in thousands of images")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_numbered(Path(folder) / "data")
        kill_again_and_again(Path(folder), Path(folder) / "data", options.kills, options.kimg, options.seed)


if __name__ == "__main__":
    main()
