"""Named arrays in one file, which NumPy reads as well."""

import errno
import json
import os

import numpy as np
import pytest

from stylegan_tf.errors import UserError
from stylegan_tf.files import arrays
from stylegan_tf.files.arrays import DamagedFile, read_arrays, write_arrays

ARRAYS = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.int64(7)}


def test_what_was_written_is_read_and_numpy_reads_it_too(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, "about", {"version": 3}, ARRAYS)
    read = read_arrays(path, "file")
    assert json.loads(str(read.pop("about"))) == {"version": 3}
    assert read.keys() == ARRAYS.keys()
    with np.load(path, allow_pickle=False) as data:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(read[name], array)
            np.testing.assert_array_equal(data[name], array)
            assert read[name].dtype == array.dtype
    assert list(read_arrays(path, "file", only="count")) == ["count"]


def test_a_full_disk_leaves_the_older_file_and_no_open_archive(tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    write_arrays(path, "about", {}, ARRAYS)
    before = path.read_bytes()

    class FullDisk:
        """A file that takes no more than 100 bytes."""

        def __init__(self, *args):
            self.stream = open(*args)
            self.left = 100

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def __enter__(self):
            return self

        def __exit__(self, *_exception):
            self.stream.close()

        def write(self, data):
            self.left -= len(data)
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.stream.write(data)

    monkeypatch.setattr(arrays, "open", FullDisk, raising=False)
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    with pytest.raises(OSError, match="No space left"):
        write_arrays(path, "about", {}, ARRAYS)
    assert unraisable == []
    assert [file.name for file in tmp_path.iterdir()] == ["file.npz"] and path.read_bytes() == before


def test_damage_and_missing_rights_are_told_apart(tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    path.write_text("text")
    with pytest.raises(DamagedFile, match="file.npz is not a readable thing"):
        read_arrays(path, "thing")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DamagedFile, match="one.npy is a single array, not a thing"):
        read_arrays(tmp_path / "one.npy", "thing")

    def refuse(path, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(arrays.np, "load", refuse)
    with pytest.raises(UserError, match="cannot read .*file.npz: Permission denied") as error:
        read_arrays(path, "thing")
    assert not isinstance(error.value, DamagedFile)
