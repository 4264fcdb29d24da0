"""A set that is being written: killed at any step, written by several, on another disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making import partial_dataset as module
from stylegan_tf.data.making.writer import write_tfrecords
from tests.helpers.array_source import ArraySource, numbered_images, write_numbered


class Killed(BaseException):
    pass


def _write(dest, **options):
    return write_numbered(dest, count=4, shards=2, **options)


@pytest.mark.parametrize("step", range(16))
def test_the_same_command_ends_well_after_a_kill_at_any_step_of_the_end(tmp_path, monkeypatch, step):
    steps = []
    for owner, name in [(Path, "rename"), (Path, "unlink"), (shutil, "rmtree"), (os, "rmdir"), (module, "sync_folder")]:
        real = getattr(owner, name)

        def counted(*args, real=real, **kwargs):
            if len(steps) == step:
                raise Killed
            steps.append(1)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
    monkeypatch.setattr(module.PartialDataset, "discard_unfinished", lambda *_, **__: None)
    try:
        _write(tmp_path / "set")
    except Killed:
        pass
    else:
        assert step > 8  # There are no more steps.
        return
    monkeypatch.undo()
    if (tmp_path / ".set.partial").exists() or not (tmp_path / "set").exists():
        assert _write(tmp_path / "set") == tmp_path / "set"
        assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert find_dataset(tmp_path / "set").count == 4


def test_a_link_stays_a_link_and_the_set_is_written_where_it_leads(tmp_path):
    elsewhere = tmp_path / "other disk"
    elsewhere.mkdir()
    (tmp_path / "set").symlink_to(elsewhere / "large")
    _write(tmp_path / "set")
    assert (tmp_path / "set").is_symlink() and find_dataset(elsewhere / "large").name == "set"
    assert sorted(path.name for path in elsewhere.iterdir()) == ["large"]
    _write(tmp_path / "set", overwrite=True)
    assert (tmp_path / "set").is_symlink() and sorted(path.name for path in elsewhere.iterdir()) == ["large"]


def test_a_set_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, sync, rename = set(), os.fsync, Path.rename

    def recorded(descriptor):
        found = os.fstat(descriptor)
        synced.add((found.st_ino, found.st_size))
        sync(descriptor)

    def checked(self, target):
        if self.name == "set":
            files = [path.stat() for path in self.iterdir()]
            assert len(files) > 4 and {(found.st_ino, found.st_size) for found in files} <= synced
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Path, "rename", checked)
    _write(tmp_path / "set")


def test_parts_do_not_remove_each_others_files(tmp_path):
    first = module.PartialDataset(tmp_path / "set")
    second = module.PartialDataset(tmp_path / "set")  # In another container, with the same process number.
    for part in (first, second):
        part.create_or_resume({}, restart=False)
    second.discard_unfinished(keep_folder=True)  # While the first has no file yet.
    stream, path = first.open_temporary("set-r02.tfrecords")
    other, other_path = second.open_temporary("set-r02.tfrecords")
    assert path != other_path
    with other:
        second.discard_unfinished(keep_folder=False)
        assert path.exists() and other_path.exists()
    stream.close()
    second.discard_unfinished(keep_folder=False)
    assert not first.folder.exists()


def test_one_process_at_a_time_writes_a_set(tmp_path):
    unfinished = module.PartialDataset(tmp_path / "set")
    with unfinished.locked("all-of-it"), pytest.raises(UserError, match="set .* is in use by process"):
        _write(tmp_path / "set")
    with unfinished.locked("part-1-of-2"):
        _write(tmp_path / "set", part="2/2")


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's locks")
def test_what_a_killed_part_has_begun_goes_with_the_next_one(tmp_path):
    code = """
import os, sys, pathlib
from stylegan_tf.data.making.partial_dataset import PartialDataset
unfinished = PartialDataset(pathlib.Path(sys.argv[1]))
unfinished.create_or_resume({}, restart=False)
stream, _ = unfinished.open_temporary("x")
stream.write(b"half")
os._exit(9)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "set")], env=environment, check=False)
    folder = tmp_path / ".set.partial"
    assert len(list(folder.glob(".x.*.tmp"))) == 1
    module.PartialDataset(tmp_path / "set").create_or_resume({}, restart=False)
    assert list(folder.glob(".x.*.tmp")) == []


def test_nothing_is_told_of_a_set_that_is_not_there(tmp_path, monkeypatch):
    lines = []

    def fail(self):
        raise OSError("the disk is gone")

    monkeypatch.setattr(module.PartialDataset, "publish", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        write_tfrecords(ArraySource(numbered_images(4)), tmp_path / "set", note=lines.append)
    assert not any(line.startswith("written") for line in lines)
    monkeypatch.undo()
    write_tfrecords(ArraySource(numbered_images(4)), tmp_path / "set", note=lines.append)
    assert lines[-1].startswith("written: 4 of 4")
