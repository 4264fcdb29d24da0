"""Numbered versions in a folder that a server watches."""

import os
import stat
import threading

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.serving.saved_model import publish_version, versions


def write_model(path):
    (path / "saved_model.pb").write_text("model")


def test_versions_get_the_number_after_the_highest(tmp_path):
    folder = tmp_path / "models" / "mine"
    assert publish_version(folder, write_model) == folder / "1"
    (folder / "7").mkdir()
    (folder / "008.backup").mkdir()
    assert publish_version(folder, write_model) == folder / "8"
    assert versions(folder) == [1, 7, 8]
    assert (folder / "8" / "saved_model.pb").read_text() == "model"


def test_a_version_under_way_is_in_no_folder_that_is_a_number(tmp_path):
    seen = []

    def write(path):
        write_model(path)
        seen.extend(name for name in os.listdir(tmp_path) if name.isdecimal())

    publish_version(tmp_path, write)
    assert seen == [] and os.listdir(tmp_path) == ["1"]


def test_a_failed_export_leaves_nothing_behind(tmp_path):
    def write(path):
        write_model(path)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        publish_version(tmp_path, write)
    assert os.listdir(tmp_path) == []


def test_exports_at_the_same_time_get_different_numbers(tmp_path):
    everyone = threading.Barrier(8)

    def write(path):
        (path / "saved_model.pb").write_text(str(threading.get_ident()))
        everyone.wait()

    threads = [threading.Thread(target=publish_version, args=(tmp_path, write)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(tmp_path)) == [str(number) for number in range(1, 9)]
    assert len({path.read_text() for path in tmp_path.glob("*/saved_model.pb")}) == 8


def test_other_users_may_read_a_version_as_far_as_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        path = publish_version(tmp_path, write_model)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to .*file/mine.*choose another `saved_model_dir`"):
        publish_version(tmp_path / "file" / "mine", write_model)


def test_a_version_is_on_the_disk_before_it_has_its_number(tmp_path, monkeypatch):
    events, sync, rename = [], os.fsync, os.rename

    def recorded_sync(descriptor):
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def recorded_rename(old, new):
        events.append(f"number {os.path.basename(new)}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    publish_version(tmp_path, write_model)
    assert events == ["saved_model.pb", "version", "number 1", tmp_path.name]


def test_what_a_killed_export_has_left_is_removed_and_one_under_way_is_not(tmp_path):
    for content in ({}, {"version/saved_model.pb": "half"}, {"lock": ""}):
        left = tmp_path / f".unfinished-{len(content)}{'lock' in content}"
        (left / "version").mkdir(parents=True)
        for name, text in content.items():
            (left / name).write_text(text)

    def write(path):
        write_model(path)
        if number[0] == 1:
            number[0] = 2
            publish_version(tmp_path, write_model)  # Another one, at the same time.
            assert path.exists()

    number = [1]
    publish_version(tmp_path, write)
    assert sorted(os.listdir(tmp_path)) == ["1", "2"]
