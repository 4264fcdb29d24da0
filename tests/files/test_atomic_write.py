"""A file is complete or absent, also after a power cut."""

import errno
import fcntl
import json
import os
import stat

import pytest

from stylegan_tf.files import atomic_write as module
from stylegan_tf.files.atomic_write import (
    atomic_write,
    check_writable,
    make_folder,
    publish,
    sync_tree,
    temporary_name,
    write_json,
)


def test_a_file_gets_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "file.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"] and path.read_text() == "new"


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"] and path.read_text() == "old"


@pytest.fixture
def events(monkeypatch):
    """What is asked of the disk, in order: ("sync", size of a file or "folder"), ("name", ...)."""
    events = []
    sync, replace = os.fsync, os.replace

    def recorded_sync(descriptor):
        found = os.fstat(descriptor)
        events.append(("sync", "folder" if stat.S_ISDIR(found.st_mode) else found.st_size))
        sync(descriptor)

    def recorded_replace(old, new):
        events.append(("name", os.path.basename(new)))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return events


def test_the_content_is_on_the_disk_before_the_name_and_the_name_at_the_end(tmp_path, events):
    with atomic_write(tmp_path / "file.txt") as temporary:
        temporary.write_text("four")
    assert events == [("sync", 4), ("name", "file.txt"), ("sync", "folder")]


def test_many_files_share_the_wait_for_their_folder(tmp_path, events):
    pairs = [(tmp_path / f".{i}.tmp", tmp_path / str(i)) for i in range(3)]
    for temporary, _ in pairs:
        temporary.write_text("x")
    publish(pairs)
    assert events == [("sync", 1)] * 3 + [("name", str(i)) for i in range(3)] + [("sync", "folder")]


def test_a_tree_and_new_folders_are_synced_as_a_whole(tmp_path, events):
    folder = make_folder(tmp_path / "a" / "b")
    assert events == [("sync", "folder")] * 2
    (folder / "file").write_text("x")
    sync_tree(tmp_path)
    assert events[2:] == [("sync", 1)] + [("sync", "folder")] * 3


def test_a_disk_that_fails_to_sync_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="file.txt") as caught, atomic_write(tmp_path / "file.txt") as temporary:
        temporary.write_text("x")
    assert caught.value.filename == str(tmp_path / "file.txt") and list(tmp_path.iterdir()) == []


def test_a_link_stays_one_and_its_target_is_replaced(tmp_path):
    elsewhere = tmp_path / "other disk"
    elsewhere.mkdir()
    for name in ("there.txt", "not yet.txt"):
        link = tmp_path / name
        link.symlink_to(elsewhere / name)
        with atomic_write(link) as temporary:
            assert temporary.parent == elsewhere
            temporary.write_text("new")
        assert link.is_symlink() and (elsewhere / name).read_text() == "new"


def test_two_may_write_one_file_and_the_last_one_stays(tmp_path):
    path = tmp_path / "file.txt"
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:
            assert second != first and first.exists()
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_has_left_goes_with_the_next_writing_of_that_file(tmp_path):
    path = tmp_path / "x.npz"
    left = [temporary_name(path), temporary_name(temporary_name(path))]  # The second one of a file within a file.
    under_way, other = temporary_name(path), tmp_path / ".xx.npz.tmp"
    elsewhere = tmp_path / ".x.npz.0123456789abcdef.tmp"
    old = tmp_path / "..x.npz.tmp.tmp"  # As earlier versions called it.
    for file in [*left, under_way, other, elsewhere, old]:
        file.write_text("half")
    os.utime(old, (1, 1))
    with open(under_way) as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        with atomic_write(path) as temporary:
            temporary.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, under_way, other, elsewhere}
    os.utime(elsewhere, (1, 1))  # Of another machine, and old.
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, other}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_error_of_the_disk_names_the_file_that_was_meant(tmp_path, number):
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / "x") as temporary:
        temporary.write_text("x")
        raise OSError(number, "as the system says it")
    assert caught.value.filename == str(tmp_path / "x")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as caught, atomic_write(tmp_path / "file" / "x"):
        pass
    assert caught.value.filename == str(tmp_path / "file")


def test_a_folder_that_takes_no_files_is_named(tmp_path, monkeypatch):
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []

    def refuse(path):
        raise OSError(errno.EROFS, "read-only", os.fspath(path))

    monkeypatch.setattr(module, "_reserve", refuse)
    with pytest.raises(OSError, match="read-only") as caught:
        check_writable(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_missing_folder_is_created(tmp_path):
    write_json(tmp_path / "a" / "b" / "x.json", {"ä": 1})
    assert json.loads((tmp_path / "a" / "b" / "x.json").read_bytes()) == {"ä": 1}


def test_the_longest_names_can_be_written(tmp_path):
    path = tmp_path / ("ä" * 127)
    with atomic_write(path) as temporary:
        temporary.write_text("x")
    assert list(tmp_path.iterdir()) == [path]


def test_without_locks_a_file_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(_stream, _how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", refuse)
    with atomic_write(tmp_path / "x") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "x").read_text() == "x"
