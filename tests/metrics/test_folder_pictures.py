"""Pictures of archives and folders in place of a network's."""

import io
import tarfile
import time

import numpy as np
from PIL import Image

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
