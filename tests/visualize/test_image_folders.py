"""Folders and zip files of images that are continued."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import temporary_name
from stylegan_tf.visualize import image_folders
from stylegan_tf.visualize.image_folders import ImageFolder, ImageRecord, ImageZip, open_image_folder, parse_record


def _images(*values):
    return np.stack([np.full([2, 2, 3], value, np.uint8) for value in values])


def _value_in_zip(path, name):
    with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
        return int(np.asarray(Image.open(stream))[0, 0, 0])


def test_a_folder_knows_what_the_same_options_made(tmp_path):
    with ImageFolder(tmp_path / "a" / "b", {"psi": 0.7, "class": None}) as images:
        assert not images.has("x.png")
        images.add(["x.png", "y.png"], _images(1, 2))
        assert images.has("x.png")
    with ImageFolder(tmp_path / "a" / "b", {"class": None, "psi": 0.7}) as images:
        assert images.has("x.png") and images.has("y.png") and not images.has("z.png")
    with ImageFolder(tmp_path / "a" / "b", {"class": None, "psi": 0.5}) as images:
        assert not images.has("x.png")
        images.add(["x.png"], _images(3))
    with ImageFolder(tmp_path / "a" / "b", {"class": None, "psi": 0.7}) as images:
        assert not images.has("x.png") and images.has("y.png")


def test_a_picture_that_was_removed_is_missing(tmp_path):
    with ImageFolder(tmp_path, {}) as images:
        images.add(["x.png"], _images(1))
    (tmp_path / "x.png").unlink()
    with ImageFolder(tmp_path, {}) as images:
        assert not images.has("x.png")


def test_a_record_that_was_cut_off_forgets_its_last_line_only(tmp_path):
    with ImageFolder(tmp_path, {}) as images:
        images.add(["x.png", "y.png"], _images(1, 2))
    record = tmp_path / "images.jsonl"
    record.write_text(record.read_text()[:-15])
    with ImageFolder(tmp_path, {}) as images:
        assert images.has("x.png") and not images.has("y.png")
        images.add(["z.png"], _images(3))
    with ImageFolder(tmp_path, {}) as images:
        assert images.has("x.png") and images.has("z.png")


def test_lines_that_are_no_record_are_passed_over():
    text = '{"file": "too early.png"}\n[]\n{"options": {"b": 1, "a": 2}}\nnonsense\n{"file": 3}\n{"file": "x.png"}\n'
    assert parse_record(text) == {"x.png": ImageRecord('{"a": 2, "b": 1}', None)}


def test_a_zip_is_there_when_it_is_complete_and_is_continued_before(tmp_path):
    path = tmp_path / "out.zip"
    with pytest.raises(KeyboardInterrupt), ImageZip(path, {"psi": 1}) as images:
        images.add(["x.png"], _images(1))
        raise KeyboardInterrupt
    assert not path.exists()
    with open_image_folder(path, {"psi": 1}) as images:
        assert images.has("x.png") and not images.has("y.png")
        images.add(["y.png"], _images(2))
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.zip"]
    assert (_value_in_zip(path, "x.png"), _value_in_zip(path, "y.png")) == (1, 2)


def test_a_zip_can_be_added_to_and_its_images_replaced(tmp_path):
    path = tmp_path / "out.zip"
    with ImageZip(path, {"psi": 1}) as images:
        images.add(["x.png", "y.png"], _images(1, 2))
    with ImageZip(path, {"psi": 2}) as images:
        assert not images.has("x.png")
        images.add(["y.png", "z.png"], _images(3, 4))
    assert [_value_in_zip(path, name) for name in ("x.png", "y.png", "z.png")] == [1, 3, 4]
    with ImageZip(path, {"psi": 1}) as images:
        assert images.has("x.png") and not images.has("y.png")
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["images.jsonl", "x.png", "y.png", "z.png"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.zip"]


def test_places_that_hold_something_else_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is a file: give the name of a folder"):
        ImageFolder(tmp_path / "file", {})
    (tmp_path / "bad.zip").write_text("no zip")
    with pytest.raises(UserError, match="bad.zip is not a readable zip file"):
        ImageZip(tmp_path / "bad.zip", {})


def test_a_picture_that_a_power_cut_has_emptied_or_cut_is_made_again(tmp_path):
    with ImageFolder(tmp_path, {}) as images:
        images.add(["x.png", "y.png", "z.png"], _images(1, 2, 3))
    (tmp_path / "x.png").write_bytes(b"")
    (tmp_path / "y.png").write_bytes((tmp_path / "y.png").read_bytes()[:-1])
    with ImageFolder(tmp_path, {}) as images:
        assert [images.has(name) for name in ("x.png", "y.png", "z.png")] == [False, False, True]


def test_records_of_earlier_versions_count_for_files_that_are_not_empty(tmp_path):
    (tmp_path / "images.jsonl").write_text('{"options": {}}\n{"file": "x.png"}\n{"file": "y.png"}\n')
    (tmp_path / "x.png").write_bytes(b"1")
    (tmp_path / "y.png").write_bytes(b"")
    with ImageFolder(tmp_path, {}) as images:
        assert images.has("x.png") and not images.has("y.png")


def test_pictures_are_on_the_disk_before_the_record_names_them(tmp_path, monkeypatch):
    events, sync = [], os.fsync

    def recorded(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        events.append("picture" if path.endswith(".tmp") else os.path.basename(path))
        lines = (tmp_path / "images.jsonl").read_text() if (tmp_path / "images.jsonl").exists() else ""
        assert events[-1] == "images.jsonl" or "x.png" not in lines
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    with ImageFolder(tmp_path, {}) as images:
        images.add(["x.png", "y.png"], _images(1, 2))
    assert events == ["picture", "picture", tmp_path.name, "images.jsonl"]


def test_many_pictures_get_their_names_in_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folders, "_MAX_PENDING", 4)
    with ImageFolder(tmp_path, {}) as images:
        for number in range(6):
            images.add([f"{number}.png"], _images(number))
            there = len(list(tmp_path.glob("*.png")))
            assert there == (0 if number < 3 else 4)
    assert len(list(tmp_path.glob("*.png"))) == 6 and len(parse_record((tmp_path / "images.jsonl").read_text())) == 6


def test_what_a_killed_process_was_writing_goes_and_what_another_one_writes_stays(tmp_path):
    left = tmp_path / temporary_name(tmp_path / "x.png").name
    left.write_bytes(b"half")
    with ImageFolder(tmp_path, {"psi": 1}) as first:
        assert not left.exists()
        first.add(["x.png"], _images(1))
        with ImageFolder(tmp_path, {"psi": 2}) as second:
            second.add(["y.png"], _images(2))
    with ImageFolder(tmp_path, {"psi": 1}) as images:
        assert images.has("x.png") and not images.has("y.png")
    with ImageFolder(tmp_path, {"psi": 2}) as images:
        assert images.has("y.png") and not images.has("x.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.jsonl", "x.png", "y.png"]


def test_a_zip_is_for_one_process_at_a_time(tmp_path):
    with ImageZip(tmp_path / "out.zip", {}) as images:
        images.add(["x.png"], _images(1))
        with pytest.raises(UserError, match="out.zip is in use by process .*give another `outdir`"):
            ImageZip(tmp_path / "out.zip", {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.zip"]


def test_a_zip_with_a_damaged_picture_is_refused_when_it_is_added_to_and_stays(tmp_path):
    path = tmp_path / "out.zip"
    with ImageZip(path, {}) as images:
        images.add(["x.png", "y.png"], _images(1, 2))
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("x.png").header_offset
    content = bytearray(path.read_bytes())
    content[place + 60] ^= 1
    path.write_bytes(content)
    with (
        pytest.raises(UserError, match="out.zip is not a readable zip file .*x.png.*remove it"),
        ImageZip(path, {}) as images,
    ):
        images.add(["z.png"], _images(3))
    assert path.read_bytes() == content
    path.unlink()
    with ImageZip(path, {}) as images:
        assert [images.has(name) for name in ("x.png", "z.png")] == [False, True]
