"""Named arrays in one file, which NumPy reads as well."""

import errno
import gc
import io
import json
import os
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import arrays
from stylegan_tf.files.arrays import (
    DamagedFile,
    check_finite,
    read_array,
    read_arrays,
    read_described,
    write_arrays,
    write_plain_arrays,
)

ARRAYS = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.int64(7)}


def test_what_was_written_is_read_and_numpy_reads_it_too(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, "about", {"version": 3}, ARRAYS)
    read = read_arrays(path, "file")
    assert read_described(path, "file", "about")[0] == {"version": 3}
    read.pop("about")
    assert read.keys() == ARRAYS.keys()
    with np.load(path, allow_pickle=False) as data:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(read[name], array)
            np.testing.assert_array_equal(data[name], array)
            assert read[name].dtype == array.dtype
    assert list(read_arrays(path, "file", only=["count", "absent"])) == ["count"]


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
    with pytest.raises(DamagedFile, match=r"one.npy is not a readable thing \(a single array, not a thing\)"):
        read_arrays(tmp_path / "one.npy", "thing")

    def refuse(path, *_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(arrays, "open", refuse, raising=False)
    with pytest.raises(UserError, match="cannot read .*file.npz: Permission denied") as error:
        read_arrays(path, "thing")
    assert not isinstance(error.value, DamagedFile)


def _packed(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _header(shape, dtype="<f4", is_fortran=False):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": is_fortran, "shape": shape})
    return stream.getvalue()


def test_no_bit_of_a_file_can_change_what_is_read(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, "about", {"version": 3}, ARRAYS)
    whole, expected = path.read_bytes(), read_arrays(path, "file")
    changed = 0
    for position in range(0, len(whole), 2):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position // 2 % 8
        path.write_bytes(damaged)
        try:
            found = read_arrays(path, "file")
        except DamagedFile as error:
            assert "\n" not in str(error)
            continue
        assert found.keys() == expected.keys()
        for name, array in found.items():  # What was hit plays no part: times, attributes, padding.
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])
        changed += 1
    assert changed < 0.1 * len(whole)


def test_a_header_that_does_not_fit_its_member_is_damage_also_with_a_right_checksum(tmp_path):
    path = tmp_path / "file.npz"
    for shape in [(5,), (7,), (2**40,), (2, 4)]:
        _packed(path, {"x.npy": _header(shape) + bytes(24)})
        with pytest.raises(DamagedFile, match="does not fit into 24 bytes"):
            read_arrays(path, "file")
    _packed(path, {"x.npy": _header((2, 3), is_fortran=True) + np.arange(6, dtype="<f4").tobytes()})
    np.testing.assert_array_equal(read_arrays(path, "file")["x"], [[0, 2, 4], [1, 3, 5]])


def test_arrays_that_were_exchanged_left_out_or_added_are_noticed(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, "about", {}, {"a": np.float32([1, 2]), "b": np.float32([3, 4])})
    with np.load(path) as data:
        entries = {name: data[name] for name in data.files}
    for change in ({"a": entries["b"], "b": entries["a"]}, {"c": entries["a"]}, {"a": entries["a"].astype("f8")}):
        np.savez(path, **{**entries, **change})
        with pytest.raises(DamagedFile, match="[abc] is not what was written"):
            read_arrays(path, "file")
    np.savez(path, a=entries["a"], about=entries["about"])
    with pytest.raises(DamagedFile, match="b is not what was written"):
        read_arrays(path, "file")


def test_a_file_without_a_list_is_read_as_before(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, about=np.array(json.dumps({"version": 2})), x=np.float32([1, 2]))
    assert read_described(path, "file", "about")[0] == {"version": 2}
    np.savez_compressed(path, x=np.zeros(10**6, np.float32))
    assert read_arrays(path, "file")["x"].shape == (10**6,)


def test_what_unfolds_to_far_more_than_the_file_takes_no_memory(tmp_path):
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(_header((2**28 // 4 + 2**18,)))
            for _ in range(2**8 + 1):
                member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFile, match="claim to hold"):
            read_arrays(path, "file")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_text_that_parses_to_far_more_memory_is_neither_read_nor_written(tmp_path):
    path = tmp_path / "file.npz"
    np.savez_compressed(path, about=np.array("[" + "{}," * (2**22 // 3) + "{}]"))
    with pytest.raises(DamagedFile, match=r"file.npz is not a readable file \(a text of 1677\d{4} bytes\)"):
        read_described(path, "file", "about")
    with pytest.raises(UserError, match="other.npz was not written: its about is longer than 4,194,304 characters"):
        write_arrays(tmp_path / "other.npz", "about", {"names": "x" * 2**22}, {})
    assert os.listdir(tmp_path) == ["file.npz"]


@pytest.mark.parametrize(
    "content",
    [
        _header((0,), "<U0"), _header((1,), "<M8[s]") + bytes(8), _header((1,), "|O") + bytes(8), b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', ", b"\x93NUMPY\x01\x00\x20\x00" + b"(" * 32, b"", b"\x93NUM",
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f",
    ],
)  # fmt: skip
def test_every_other_header_is_damage_in_one_line(tmp_path, content):
    path = tmp_path / "file.npz"
    _packed(path, {"x.npy": content})
    with pytest.raises(DamagedFile, match="is not a readable thing .*use another.$") as caught:
        read_arrays(path, "thing")
    assert "pickle" not in str(caught.value)
    path.write_bytes(content or b"x")
    with pytest.raises(DamagedFile, match="is not a readable thing"):
        read_array(path, "thing")


def test_members_that_are_there_twice_or_packed_otherwise_are_damage(tmp_path):
    path = tmp_path / "file.npz"
    content = _header((1,)) + bytes(4)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("x.npy", content)
    with pytest.raises(DamagedFile, match="two members x"):
        read_arrays(path, "file")
    _packed(path, {"x.npy": content}, zipfile.ZIP_LZMA)
    with pytest.raises(DamagedFile, match="compressed in a way"):
        read_arrays(path, "file")


def test_values_that_are_not_finite_are_named(tmp_path):
    check_finite("x", {"a": np.float32([3e38, 3e38]), "b": np.array([-1]), "c": np.array("text")})
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(DamagedFile, match="file.npz: 'b' holds NaN or infinity"):
            check_finite("file.npz", {"a": np.zeros(2), "b": np.float32([0, value])})


def test_the_checksum_in_the_list_is_that_of_the_member(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, "about", {}, {"x": np.float32([1, 2])})
    with zipfile.ZipFile(path) as archive:
        listed = json.loads(str(np.load(io.BytesIO(archive.read("about.npy")))))["arrays"]
        assert listed == {"x": ["<f4", [2], f"{zlib.crc32(archive.read('x.npy')):08x}"]}


def test_plain_arrays_are_what_numpy_writes(tmp_path):
    write_plain_arrays(tmp_path / "plain.npz", ARRAYS)
    with np.load(tmp_path / "plain.npz", allow_pickle=False) as found:
        assert set(found) == set(ARRAYS) and all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_plain_arrays_on_a_full_disk_leave_nothing_open_that_complains_later(monkeypatch):
    later = []
    monkeypatch.setattr(sys, "unraisablehook", later.append)
    with pytest.raises(OSError, match="No space left on device"):
        write_plain_arrays("/dev/full", {"large": np.zeros(2**20)})
    gc.collect()
    assert not later
