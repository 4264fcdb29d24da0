"""Folders and zip files of images that are continued."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.errors import UserError
from stylegan_tf.visualize.image_collections import ImageFolder, ImageZip, open_collection, parse_record


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
    record.write_text(record.read_text()[:-5])
    with ImageFolder(tmp_path, {}) as images:
        assert images.has("x.png") and not images.has("y.png")
        images.add(["z.png"], _images(3))
    with ImageFolder(tmp_path, {}) as images:
        assert images.has("x.png") and images.has("z.png")


def test_lines_that_are_no_record_are_passed_over():
    text = '{"file": "too early.png"}\n[]\n{"options": {"b": 1, "a": 2}}\nnonsense\n{"file": 3}\n{"file": "x.png"}\n'
    assert parse_record(text) == {"x.png": '{"a": 2, "b": 1}'}


def test_a_zip_is_there_when_it_is_complete_and_is_continued_before(tmp_path):
    path = tmp_path / "out.zip"
    with pytest.raises(KeyboardInterrupt), ImageZip(path, {"psi": 1}) as images:
        images.add(["x.png"], _images(1))
        raise KeyboardInterrupt
    assert not path.exists()
    with open_collection(path, {"psi": 1}) as images:
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
    with pytest.raises(UserError, match="bad.zip is no readable zip file"):
        ImageZip(tmp_path / "bad.zip", {})
