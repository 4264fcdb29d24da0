"""Cuts the power of a disk while a command writes to it, again and again, and looks at what is on the disk then.

    sudo python tests/power_cut.py --commands set,pictures,export,train --moments 10
    python tests/power_cut.py --kill                                     # Only `kill -9`, in any folder, by anybody.

For Linux and root: each command writes to an ext4 file system in a file, which is shut down at a random moment without
writing its journal (what a power cut does to a disk), mounted again, and looked at: whatever has its name, is recorded
or was announced has to be whole. Then the same command has to end as an undisturbed one.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHUTDOWN, WITHOUT_JOURNAL = 0x8004587D, 2  # FS_IOC_SHUTDOWN, also called GOINGDOWN.
TINY = "--fmap_base=32 --fmap_max=8 --latent_size=16 --dlatent_size=16 --mapping_fmaps=16 --mapping_layers=2"
TRAIN = f"{TINY} --batch_sizes=8 --grid_columns=4 --grid_rows=1 --resolution=4 --start_resolution=4 --strategy=one"
TRAIN += " --tick_kimg=0.016 --network_ticks=2 --iterations_per_update=2 --total_kimg=0.8"


class Disk:
    """An ext4 file system in a file."""

    def __init__(self, folder: Path):
        self._image, self.root = folder / "disk.img", folder / "disk"
        self.root.mkdir()

    def new(self) -> None:
        with open(self._image, "wb") as stream:
            stream.truncate(300 * 2**20)
        _run("mkfs.ext4", "-q", "-F", self._image)
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", "loop", self._image, self.root)

    def unmount(self) -> None:
        _run("umount", self.root)

    def cut(self) -> None:
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_JOURNAL))
        finally:
            os.close(descriptor)


class Folder:
    """In place of a disk: the command is killed, and what it has written stays."""

    def __init__(self, folder: Path):
        self.root = folder / "root"

    def new(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()

    def mount(self) -> None:
        pass

    unmount = cut = mount


def _run(*command) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def started(arguments: str, root: Path, network: str, data: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", *arguments.format(root=root, network=network, data=data).split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files(folder: Path) -> dict[str, str]:
    """Digest of every file by its path, but of those that tell times."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def check_set(root: Path, expected: dict, output: str) -> None:
    if (root / "set").exists() or "is ready" in output:
        assert files(root / "set") == expected["set"]


def check_pictures(root: Path, expected: dict, _output: str) -> None:
    found = files(root / "out") if (root / "out").exists() else {}
    record = (root / "out" / "images.jsonl").read_text() if "images.jsonl" in found else ""
    recorded = {json.loads(line)["file"] for line in record.splitlines() if '"file"' in line}
    pictures = {name for name in found if name.endswith(".png")}
    assert recorded <= pictures
    for name in pictures:
        assert found[name] == expected["out"][name], name


def check_export(root: Path, expected: dict, output: str) -> None:
    versions = [path for path in root.glob("models/*") if path.name.isdecimal()]
    assert len(versions) == 1 or not output.strip().endswith("/models/1")
    for version in versions:
        assert files(version).keys() == {name[2:] for name in expected["models"]}
        assert all(path.stat().st_size for path in version.rglob("*") if path.is_file())


def check_train(root: Path, _expected: dict, _output: str) -> None:
    from stylegan_tf.files.arrays import read_arrays

    for path in [*root.glob("run/checkpoints/images-*.npz"), *root.glob("run/network-*.npz")]:
        read_arrays(path, "file")
    newest = max((int(path.stem.split("-")[1]) for path in root.glob("run/checkpoints/images-*.npz")), default=0)
    stats = root / "run" / "stats.jsonl"
    lines = stats.read_text().splitlines() if stats.exists() else []
    assert newest == 0 or max(json.loads(line)["images_seen"] for line in lines) >= newest
    assert newest == 0 or (root / "run" / "reals.png").stat().st_size > 0


COMMANDS = {
    "set": ("stylegan_tf.create_tfrecords --source demo --dest {root}/set --shards 4", check_set, "set"),
    "pictures": ("stylegan_tf.generate --network {network} --seeds 0-600 --outdir {root}/out", check_pictures, "out"),
    "export": ("stylegan_tf.export --network {network} --saved_model_dir {root}/models", check_export, "models"),
    "train": (f"stylegan_tf.train {TRAIN} --data_dir {{data}} --run_dir {{root}}/run", check_train, "run"),
}


def cut_again_and_again(name: str, disk, moments: int, generator: random.Random, network, data) -> int:
    """-> how many cuts came before the command was complete. AssertionError where anything is not whole."""
    arguments, check, result = COMMANDS[name]
    hits = 0
    disk.new()
    began = time.monotonic()
    process = started(arguments, disk.root, network, data)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    duration = time.monotonic() - began
    expected = {result: files(disk.root / result)}
    disk.unmount()
    print(f"{name}: undisturbed {duration:.1f} s, {len(expected[result])} files", flush=True)
    for moment in range(moments):
        disk.new()
        with contextlib.ExitStack() as stack:
            process = started(arguments, disk.root, network, data)
            stack.callback(process.kill)
            seconds = duration * (moment + generator.random()) / moments
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            hits += process.poll() is None
            disk.cut()
            process.send_signal(signal.SIGKILL)
            output, _ = process.communicate()
        disk.unmount()
        disk.mount()
        there = sum(path.is_file() for path in disk.root.rglob("*"))
        check(disk.root, expected, output)
        process = started(arguments, disk.root, network, data)
        _, errors = process.communicate()
        last = (errors.strip().splitlines() or [""])[-1]
        done = process.returncode == 0 or (name == "set" and "exists and is not empty" in last)
        assert done, f"{name}: after a cut at {seconds:.1f} s the same command ends with {process.returncode}: {errors}"
        found = files(disk.root / result)
        if name in ("set", "pictures"):
            found.pop("images.jsonl", None)
            assert found == {key: value for key, value in expected[result].items() if key != "images.jsonl"}
        if name == "train":
            last = [key for key in expected[result] if key.startswith("checkpoints/") or key.endswith((".npz", ".png"))]
            different = [key for key in last if found.get(key) != expected[result][key]]
            assert not different, f"{name}: after a cut at {seconds:.1f} s {different} differ"
        assert not list(disk.root.rglob(".*.tmp")), "half-written files were left"
        print(f"{name}: cut after {seconds:.1f} s, {there} files on the disk, all whole; then completed", flush=True)
        disk.unmount()
    assert hits, f"{name}: it was complete before every cut"
    return hits


def main() -> None:
    from tests.helpers.array_source import write_numbered

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--network", default="demo")
    parser.add_argument("--kill", action="store_true", help="kill the command in place of the disk")
    options = parser.parse_args()
    for name in options.commands.split(","):
        with tempfile.TemporaryDirectory() as folder:
            write_numbered(Path(folder) / "data")
            disk = (Folder if options.kill else Disk)(Path(folder))
            generator = random.Random(options.seed)
            cut_again_and_again(name, disk, options.moments, generator, options.network, Path(folder) / "data")


if __name__ == "__main__":
    main()
