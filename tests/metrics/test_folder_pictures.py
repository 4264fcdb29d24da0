"""Pictures of archives and folders in place of a network's."""

import io
import tarfile
import time

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import PictureOptions, SourceOptions, WriteOptions
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from stylegan_tf.metrics.measured_images import open_pictures
from tests.helpers.colour_profiles import DISPLAY_P3, SEEN, rgb_profile


def test_readers_of_one_archive_do_not_get_each_others_bytes(tmp_path, monkeypatch):
    images = np.random.RandomState(0).randint(0, 256, [64, 32, 32, 3]).astype(np.uint8)
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        for index, image in enumerate(images):
            content = io.BytesIO()
            Image.fromarray(image).save(content, "PNG")
            member = tarfile.TarInfo(f"{index:02d}.png")
            member.size = content.tell()
            archive.addfile(member, io.BytesIO(content.getvalue()))
    pictures, level = open_pictures(str(tmp_path / "in.tar"), None)
    monkeypatch.setattr(pictures._collection._file, "_stream", _Slow(tmp_path / "in.tar"))
    (found,) = pictures.inputs(0, 64)
    np.testing.assert_array_equal(found, images)
    assert level is None and pictures.size == (32, 32)


class _Slow:
    """Other threads have their turn between a seek and its read."""

    def __init__(self, path):
        self._stream = open(path, "rb")

    def seek(self, place):
        self._stream.seek(place)
        time.sleep(0.001)

    def read(self, size):
        return self._stream.read(size)


def test_what_is_left_out_is_reported(tmp_path):
    lines = []
    Image.fromarray(np.zeros([8, 8, 3], np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.heic").write_bytes(b"something else")
    pictures, _ = open_pictures(str(tmp_path), None, note=lines.append)
    assert len(pictures) == 1
    assert lines == [f"{tmp_path}: skipped 1 .heic, such as a.heic"]


def test_colours_of_a_profile_are_those_that_are_seen(tmp_path):
    Image.new("RGB", (8, 8), (40, 180, 60)).save(tmp_path / "a.png", icc_profile=rgb_profile(DISPLAY_P3, 2.2))
    pictures, _ = open_pictures(str(tmp_path), None)
    (found,) = pictures.inputs(0, 1)
    np.testing.assert_allclose(found[0, 0, 0], SEEN, atol=2)


@pytest.mark.parametrize("planes", [4, 5])
def test_planes_are_those_of_the_dataset(tmp_path, planes):
    values = np.random.RandomState(0).randint(0, 256, [3, 8, 8, planes]).astype(np.uint8)
    values[..., 3] = 0  # As transparency, it would hide the others.
    np.save(tmp_path / "a.npy", values)
    source = open_source(str(tmp_path / "a.npy"), SourceOptions(planes=planes))
    folder = write_tfrecords(source, tmp_path / "set", WriteOptions(1, shuffle=False))
    pictures, _ = open_pictures(str(tmp_path / "a.npy"), find_dataset(folder))
    np.testing.assert_array_equal(pictures.inputs(0, 3)[0], values)
    again = open_source(str(folder))
    np.testing.assert_array_equal([again.read(index).image for index in range(3)], values)


def test_pictures_of_12_bits_are_reported_and_take_a_white_point(tmp_path):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(levels * 64).save(tmp_path / "a.png")
    dark, right = (open_pictures(str(tmp_path), None, PictureOptions(white=white))[0] for white in (None, 64 * 255))
    assert dark.digest != right.digest
    (line,) = dark.lines()
    assert all(square.image.base is None for square in dark._noticed.values())  # No view of the pixels.
    assert "1 of them come out nearly black. `white=4032` makes" in line and not list(right.lines())
    np.testing.assert_array_equal(right.inputs(0, 1)[0][0, :, :, 0], levels)
