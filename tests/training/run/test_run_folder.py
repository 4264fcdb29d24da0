"""One process at a time in a run folder; failed writes in one line."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import locks
from stylegan_tf.files.storage import Store
from stylegan_tf.training.reports.disk import translate_write_errors
from stylegan_tf.training.run.setup import local_run_folder, locked_run_folder
from tests.helpers.tiny_run import tiny_config

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from stylegan_tf.training.run.setup import locked_run_folder
with locked_run_folder(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_learns_who_has_the_folder_until_that_one_dies(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"in use by process {holder.pid} on .*choose another `run_dir`"):
            with locked_run_folder(tmp_path / "run"):
                pass
        holder.kill()
    with locked_run_folder(tmp_path / "run") as notes:
        assert notes == []


@pytest.mark.parametrize("keep_networks", [None, 2])
def test_a_run_in_a_bucket_resumes_with_its_best_network_and_tracker(tmp_path, monkeypatch, keep_networks):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    address = f"memory://resumed{keep_networks}"
    for name in ("network-best.npz", "wandb_id", "checkpoints/images-32.npz", "fakes000000.png"):
        Store(address).write(name, b"x")
    with local_run_folder(tiny_config("data", address, keep_networks=keep_networks)) as (config, _):
        found = {path.name for path in Path(config.run_dir).rglob("*") if path.is_file() and path.name[0] != "."}
    assert found == {"network-best.npz", "wandb_id", "images-32.npz"}


def test_a_bucket_with_networks_of_a_run_without_checkpoints_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Store("memory://removed").write("network-000001.npz", b"x")
    with pytest.raises(UserError, match="memory://removed holds network-000001.npz of an earlier run, but no checkp"):
        with local_run_folder(tiny_config("data", "memory://removed")):
            pass
    assert list(Store("memory://removed").names()) == ["network-000001.npz"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    leftovers = [tmp_path / ".network-000001.npz.tmp", tmp_path / "checkpoints" / ".images-16.npz.tmp"]
    kept = [tmp_path / "network-000001.npz", tmp_path / "checkpoints" / "images-16.npz", tmp_path / "notes.tmp"]
    for path in leftovers + kept:
        path.write_text("x")
    with locked_run_folder(tmp_path):
        assert not any(path.exists() for path in leftovers)
        assert all(path.exists() for path in kept)


def test_a_file_system_without_locks_is_reported_and_used(tmp_path, monkeypatch):
    def refuse(_stream, _how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locked_run_folder(tmp_path) as notes:
        assert len(notes) == 1 and "file system without locks" in notes[0]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        UserError, match=r"cannot write .*file/run: there is a file in its place: choose another `run_dir`"
    ):
        with locked_run_folder(tmp_path / "file" / "run"):
            pass


def test_a_new_run_keeps_out_of_the_folder_of_a_dataset(tmp_path, monkeypatch):
    (tmp_path / "set-r02.tfrecords").write_text("x")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for place in (tmp_path, tmp_path / "run", "."):
        with pytest.raises(UserError, match="`run_dir` .* is in the folder of a dataset"):
            with locked_run_folder(place):
                pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "set-r02.tfrecords"]
    (tmp_path / "old" / "checkpoints").mkdir(parents=True)
    with locked_run_folder(tmp_path / "old"):  # A run that is there already resumes.
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="cannot write .*: Permission denied.*`run_dir`"):
        with locked_run_folder(tmp_path):
            pass


@pytest.mark.parametrize(
    "number, message",
    [
        (errno.ENOSPC, "cannot write run/log.txt: No space left on device.*free some space.*resumes from the last"),
        (errno.EDQUOT, "Disk quota exceeded.*free some space"),
        (errno.EROFS, "Read-only file system.*make it writable .*, or choose another `run_dir`"),
        (errno.EFBIG, "File too large.*ulimit -f"),
    ],
)
def test_a_failed_write_names_file_reason_and_remedy(number, message):
    with pytest.raises(UserError, match=message), translate_write_errors(Path("run/log.txt")):
        raise OSError(number, os.strerror(number))
