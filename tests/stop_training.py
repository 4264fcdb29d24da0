"""Stops a training run by SIGINT or SIGTERM at random moments and looks at how it ends.

    python -m tests.stop_training --stops 50 --seed 1

Every stop hits a new run of the real command somewhere from its first line on: while a step is traced, iterations run
or files are written. It has to end within --patience seconds, with the exit code of the signal, one line about it, no
traceback and no half-written file; every fifth time a second Ctrl-C follows, which may end it at once. pytest runs it
with three stops (test_stop_training.py).
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.helpers.array_source import write_numbered
from tests.kill_training import FLAGS

ROOT = Path(__file__).resolve().parents[1]
_OF_TENSORFLOW = re.compile(r"[IWE]\d{4} |WARNING: All log messages before absl")  # New ones log before they are asked.


def stop_again_and_again(
    folder: Path, data_dir: Path, stops: int, seed: int, patience: float = 60.0, say=print
) -> None:
    """Raises AssertionError where a run does not end as it should."""
    chance = random.Random(seed)
    span = _seconds_to_train(folder / "whole", data_dir)
    say(f"{span:.1f} s from the first line to the end of a tick")
    for number in range(stops):
        run_dir, moment, double = folder / f"run{number}", chance.uniform(0, 1.2 * span), number % 5 == 4
        which = chance.choice([signal.SIGINT, signal.SIGTERM])
        process = _start(run_dir, data_dir)
        first = process.stdout.readline()
        time.sleep(moment)
        process.send_signal(which)
        if double:
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        out, err = process.communicate(timeout=patience)
        took, code = time.monotonic() - sent, process.returncode
        last = (first + out).splitlines()[-1][:70]
        say(f"{which.name}{' and Ctrl-C' if double else ''} after {moment:.1f} s: {took:.1f} s, code {code}: {last}")
        # Of two signals that wait for one step to end, Python handles SIGINT first.
        codes = (128 + which, 128 + signal.SIGINT, -signal.SIGINT) if double else (128 + which,)
        assert code in codes, (code, err)
        own = [line for line in err.splitlines() if not _OF_TENSORFLOW.match(line)]
        assert "Traceback" not in err and "Exception ignored" not in err and len(own) <= 4, err
        for path in run_dir.glob("network-*.npz"):
            assert path.stat().st_size > 0
        assert not list(run_dir.rglob(".*.tmp")) or code < 0, "half-written files"


def _start(run_dir: Path, data_dir: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "stylegan_tf.train", *FLAGS.split(), "--total_kimg=1000"]
    command += [f"--data_dir={data_dir}", f"--run_dir={run_dir}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _seconds_to_train(run_dir: Path, data_dir: Path) -> float:
    """From the first line of a run to its first tick."""
    with _start(run_dir, data_dir) as process:
        process.stdout.readline()
        start = time.monotonic()
        for line in process.stdout:
            if line.startswith("kimg "):
                break
        process.kill()
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that an end may take")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_numbered(Path(folder) / "data")
        stop_again_and_again(Path(folder), Path(folder) / "data", options.stops, options.seed, options.patience)


if __name__ == "__main__":
    main()
