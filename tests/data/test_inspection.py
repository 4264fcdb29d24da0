"""Checking, previewing, extracting and comparing datasets, and the tool that does it."""

import errno
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import inspection
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.inspection import describe_label_use, describe_labels
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.files import atomic_write
from tests.helpers.array_source import ArraySource, numbered_images, write_numbered

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "inspect_tfrecords.py"


@pytest.fixture
def folder(tmp_path):
    return write_numbered(tmp_path / "set", count=10, shards=2)


def run_tool(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True)


def flip_byte(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


def test_the_description_counts_levels_and_labels(tmp_path):
    source = ArraySource(numbered_images(4), np.eye(2, dtype=np.float32)[[0, 1, 1, 1]], ("cat", "dog"))
    text = inspection.describe(find_dataset(write_tfrecords(source, tmp_path / "pets", WriteOptions(shards=2))))
    assert "pets: 4 images of 8x8 pixels, 3 channel(s), raw" in text
    assert "2 with 2 to 2 images" in text and "level    4: 392 bytes, 98 bytes an image" in text
    assert "2 classes: cat 1, dog 3" in text


def test_every_damaged_record_is_located(folder):
    paths = [folder / f"set-r03-0000{shard}-of-00002.tfrecords" for shard in range(2)]
    size = paths[0].stat().st_size // 5
    flip_byte(paths[0], 3 * size + 100)  # Data of record 3.
    flip_byte(paths[0], 5 * size - 1)  # Checksum of record 4.
    flip_byte(paths[1], 2 * size + 9)  # Checksum of the length of record 2: the end of what can be read.
    found = list(inspection.bad_records(find_dataset(folder)))
    expected = [(3, 0), (4, 0), (2, 1)]
    assert [line.partition(": ")[0] for line in found] == [f"record {index} of {paths[i]}" for index, i in expected]
    assert "checksum is wrong" in found[0] and "length is wrong" in found[2]


def test_levels_that_are_not_the_reduced_image_are_found(tmp_path):
    first = write_numbered(tmp_path / "a" / "set", count=4, shards=1)
    assert list(inspection.level_mismatches(find_dataset(first))) == []
    other = write_numbered(tmp_path / "b" / "set", count=4, shards=1, seed=5)
    (first / "set-r02.tfrecords").write_bytes((other / "set-r02.tfrecords").read_bytes())
    lines = list(inspection.level_mismatches(find_dataset(first)))
    assert lines and "at level 4 is not the reduced image of level 8" in lines[0]


def test_extracted_pictures_are_those_of_the_records(folder, tmp_path):
    info = find_dataset(folder)
    assert inspection.extract(info, 4, tmp_path / "out") == 10
    pictures = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "out").iterdir())]
    np.testing.assert_array_equal(pictures, list(inspection.read_images(info, 4)))
    with pytest.raises(UserError, match="exists and is not an empty folder"):
        inspection.extract(info, 4, tmp_path / "out")


def test_a_full_disk_while_pictures_are_extracted_is_told_with_the_name_of_the_picture(folder, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_write, "_reserve", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        inspection.extract(find_dataset(folder), 4, tmp_path / "out")
    assert raised.value.filename == str(tmp_path / "out" / "00000000.png")


def test_extracted_pictures_get_their_names_when_they_are_on_the_disk(folder, tmp_path, monkeypatch):
    there, sync = [], os.fsync

    def recorded(descriptor):
        there.append(len(list((tmp_path / "out").glob("*.png"))))
        sync(descriptor)

    monkeypatch.setattr(inspection, "_PUBLISHED_TOGETHER", 4)
    monkeypatch.setattr(os, "fsync", recorded)
    assert inspection.extract(find_dataset(folder), 4, tmp_path / "out") == 10
    assert [there.count(number) for number in (0, 4, 8, 10)] == [4 + 1, 4 + 1, 2 + 1, 1]
    assert len(list((tmp_path / "out").iterdir())) == 10


def test_letterboxed_pictures_are_extracted_without_bars(folder, tmp_path):
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**description, "content_box": [0, 2, 8, 6]}))
    inspection.extract(find_dataset(folder), 8, tmp_path / "cropped")
    inspection.extract(find_dataset(folder), 8, tmp_path / "whole", crop=False)
    assert Image.open(tmp_path / "cropped" / "00000000.png").size == (8, 4)
    assert Image.open(tmp_path / "whole" / "00000000.png").size == (8, 8)
    inspection.extract(find_dataset(folder), 4, tmp_path / "small")
    assert Image.open(tmp_path / "small" / "00000000.png").size == (4, 2)


def test_a_preview_is_evenly_spaced_and_reads_no_more(folder):
    info = find_dataset(folder)
    images = list(inspection.read_images(info, 8))
    path = folder / "set-r03-00000-of-00002.tfrecords"
    flip_byte(path, path.stat().st_size // 5 + 100)  # Data of record 1.
    np.testing.assert_array_equal(inspection.preview(info, 8, 4), [images[index] for index in (0, 3, 6, 9)])
    with pytest.raises(UserError, match="record 1 of .* is damaged: its checksum is wrong"):
        inspection.preview(info, 8, 50)
    flip_byte(path, path.stat().st_size // 5 + 100)
    assert len(inspection.preview(info, 8, 50)) == 10


def test_shards_and_encodings_make_no_difference_to_the_content(folder, tmp_path):
    other = write_numbered(tmp_path / "other", count=10, shards=3, encoding="png")
    assert inspection.compare(find_dataset(folder), find_dataset(other)) == []


def test_differences_are_told(folder, tmp_path):
    info = find_dataset(folder)
    images = numbered_images(10)
    images[:, 0, 0, 0] ^= 1
    source = ArraySource(images, np.arange(10, dtype=np.float32)[::-1, np.newaxis])
    other = find_dataset(write_tfrecords(source, tmp_path / "other", WriteOptions(shards=1)))
    labels, level = inspection.compare(info, other)
    assert labels == "labels: 10 differ, the first of image 0"
    assert level == "level 8: 10 images differ, the first is 0, by at most 1 of 255"  # Invisible at level 4.
    fewer = find_dataset(write_numbered(tmp_path / "fewer", count=9, shards=1))
    assert inspection.compare(info, fewer) == ["count: 10 and 9"]


def test_the_tool_describes_and_verifies(folder, tmp_path):
    done = run_tool("--data_dir", folder, "--verify_levels")
    assert done.returncode == 0, done.stderr
    assert "10 images of 8x8" in done.stdout and "every record is intact" in done.stdout
    preview, extracted = tmp_path / "deep" / "p.png", tmp_path / "extracted"
    done = run_tool(
        *("--data_dir", folder, "--preview", preview, "--images", 4),
        *("--extract", extracted, "--compare", folder, "--verify_levels"),
    )
    assert done.returncode == 0, done.stderr
    assert Image.open(preview).size == (16, 16) and len(list(extracted.iterdir())) == 10
    assert "every level fits" in done.stdout and "both hold the same images" in done.stdout


def test_the_tool_fails_for_damage_and_differences(folder, tmp_path):
    other = write_numbered(tmp_path / "other", count=10, shards=1, seed=3)
    done = run_tool("--data_dir", folder, "--compare", other)
    assert done.returncode == 1 and "differ" in done.stderr and "level 4: " in done.stdout
    path = folder / "set-r02-00001-of-00002.tfrecords"
    flip_byte(path, 50)
    done = run_tool("--data_dir", folder)
    assert done.returncode == 1 and done.stderr == (
        "error: 1 records are damaged: write the dataset again, or copy it again.\n"
    )
    assert f"record 0 of {path}: its checksum is wrong" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--data_dir is missing"),
        (["--data_dir", "nowhere"], "nowhere does not exist"),
        (["--resolution", "16", "--preview", "p.png"], "no level of resolution 16"),
        (["--resolution", "16"], "--resolution has no effect without --preview or --extract"),
    ],
)
def test_the_tool_prints_one_line_for_a_mistake(folder, arguments, message):
    if "--resolution" in arguments:
        arguments = ["--data_dir", folder, *arguments]
    done = run_tool(*arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and message in done.stderr


def test_classes_are_counted_and_empty_ones_reported():
    labels = np.eye(3, dtype=np.float32)[[0, 0, 2]]
    assert describe_labels(labels, ("cat", "dog", "owl")) == (
        "labels: 3 classes: cat 2, dog 0, owl 1; 1 column without a picture"
    )
    assert describe_labels(np.ones([2, 1], np.float32), ("all",)) == "labels: 1 class: all 2"


def test_switches_and_numbers_are_distinguished():
    switches = np.array([[1, 1], [0, 1]], np.float32)
    assert describe_labels(switches, ("hat", "beard")) == "labels: 2 columns of 0 and 1, with ones: hat 1, beard 2"
    numbers = np.array([[0.5, -1], [1.5, 3]], np.float32)
    assert describe_labels(numbers, ("age", "pose")) == (
        "labels: 2 numbers: age from 0.5 to 1.5 (mean 1), pose from -1 to 3 (mean 1)"
    )


def test_many_classes_are_cut_short():
    text = describe_labels(np.eye(50, dtype=np.float32), [f"c{number}" for number in range(50)])
    assert text.endswith("c18 1, c19 1 and 30 more")


def test_training_is_told_of_labels_that_it_does_not_use(tmp_path):
    info = find_dataset(write_numbered(tmp_path / "set"))
    assert describe_label_use(info, used=False).endswith(
        "label0 from 0 to 23 (mean 11.5); they are not used: `conditional`"
    )
    assert describe_label_use(info, used=True) == "labels: 1 number: label0 from 0 to 23 (mean 11.5)"
