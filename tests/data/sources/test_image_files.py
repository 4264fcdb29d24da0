"""Folders, lists and archives of image files."""

import io
import os
import pickle
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import open_source
from stylegan_tf.data.sources.archives import ZipCollection
from stylegan_tf.data.sources.opening import BadPicture


def png(value, size=(8, 8)):
    stream = io.BytesIO()
    Image.new("RGB", size, (value,) * 3).save(stream, "PNG")
    return stream.getvalue()


FILES = {"a/1.png": png(0), "a/2.PNG": png(1), "b/c/0.bmp": png(2), "z.png": png(3)}  # Contents decide, not suffixes.
OTHERS = {"notes.txt": b"no image", ".hidden.png": b"", "__MACOSX/a/._1.png": b"", ".thumbs/1.png": b""}


def make_folder(path):
    for name, data in {**FILES, **OTHERS}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def make_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**FILES, **OTHERS}.items():
            archive.writestr(name, data)
    return path


def make_tar(path):
    mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:
        for name, data in {**FILES, **OTHERS}.items():
            member = tarfile.TarInfo("./" + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("./link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def make_list(path):
    make_folder(path.parent / "pictures")
    path.write_text("# a comment\n\n" + "\n".join("pictures/" + name for name in FILES) + "\n")
    return path


@pytest.mark.parametrize(
    "make, name",
    [(make_folder, "in"), (make_zip, "in.zip"), (make_tar, "in.tar"), (make_tar, "in.tar.gz"), (make_list, "in.txt")],
)
def test_pictures_are_read_in_the_order_of_their_paths(tmp_path, make, name):
    source = open_source(str(make(tmp_path / name)))
    assert (len(source), source.resolution, source.num_channels) == (4, 8, 3)
    sent = pickle.loads(pickle.dumps(source))  # As worker processes get it.
    assert [int(sent.read(index).image[0, 0, 0]) for index in range(4)] == [0, 1, 2, 3]
    assert [source.name(index).removeprefix("pictures/") for index in range(4)] == list(FILES)


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.bz2"])
def test_other_compressions_are_read(tmp_path, suffix):
    assert len(open_source(str(make_tar(tmp_path / ("in" + suffix))))) == 4


def test_the_unpacked_copy_of_an_archive_is_deleted(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    source = open_source(str(make_tar(tmp_path / "in.tar.gz")))
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    source.read(0)
    del source
    assert list((tmp_path / "tmp").iterdir()) == []


def test_members_of_an_archive_are_never_written(tmp_path):
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../outside.png", png(7))
    assert open_source(str(path)).read(0).image[0, 0, 0] == 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.zip"] and not (tmp_path.parent / "outside.png").exists()


def test_two_archives_in_one_file_are_refused(tmp_path):
    content = make_zip(tmp_path / "in.zip").read_bytes()
    (tmp_path / "in.zip").write_bytes(b"#!/bin/sh\n" * 10 + content)
    assert len(open_source(str(tmp_path / "in.zip"))) == 4  # An archive that unpacks itself.
    (tmp_path / "in.zip").write_bytes(content + content)
    with pytest.raises(UserError, match="in.zip cannot be read.*another archive is in front of it"):
        open_source(str(tmp_path / "in.zip"))


def test_members_that_cannot_be_unpacked_are_explained(tmp_path):
    content = make_zip(tmp_path / "in.zip").read_bytes()
    deflate, zstandard = (b"\x14\0\0\0" + method for method in (b"\x08\0", b"\x5d\0"))  # Version, flags, method.
    (tmp_path / "in.zip").write_bytes(content.replace(deflate, zstandard))
    with pytest.raises(UserError, match="tried can be read: a/1.png .*compression method is not supported"):
        open_source(str(tmp_path / "in.zip"))


def test_a_damaged_member_is_one_bad_picture(tmp_path):
    path = make_zip(tmp_path / "in.zip")
    data = bytearray(path.read_bytes())
    position = data.index(b"a/1.png") + len("a/1.png") + 5
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))
    source = open_source(str(path))
    with pytest.raises(BadPicture, match="a/1.png cannot be read"):
        source.read(0)
    assert source.read(1).image[0, 0, 0] == 1


def test_a_file_that_is_too_large_is_a_bad_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("stylegan_tf.data.sources.reading.MAX_FILE_BYTES", 100)
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(10**6))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "bomb.png").write_bytes(bytes(1000))
    for name in ("in.zip", "folder"):
        with pytest.raises(BadPicture, match="bomb.png.*more than 100 bytes"):
            open_source(str(tmp_path / name), SourceOptions(resolution=8)).read(0)


def test_a_large_member_of_an_archive_is_read_in_large_pieces(tmp_path, monkeypatch):
    data = np.random.RandomState(0).bytes(3 * 2**20)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("large.png", data)
    collection, calls, original = ZipCollection(str(tmp_path / "in.zip")), [], zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *args: calls.append(args[1:]) or original(*args))
    assert collection.read(0) == data and len(calls) <= 8


def test_an_unpacked_copy_stays_while_it_is_used_and_goes_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "other.tmp").write_bytes(b"of another program")
    path, code = make_tar(tmp_path / "in.tar.gz"), "import os, sys; from stylegan_tf.data.sources import open_source\n"
    code += "source = open_source(sys.argv[1]); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, path], env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    left = {file.name for file in (tmp_path / "tmp").iterdir()}
    assert len(left) == 2
    first, second = open_source(str(path)), open_source(str(path))
    files = list((tmp_path / "tmp").iterdir())
    assert len(files) == 3 and {file.name for file in files} & left == {"other.tmp"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files if file.name != "other.tmp"} == {0o600}
    assert first.read(2).image[0, 0, 0] == second.read(2).image[0, 0, 0] == 2
    del first, second
    assert [file.name for file in (tmp_path / "tmp").iterdir()] == ["other.tmp"]


def test_a_listed_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "here.png").write_bytes(png(1))
    (tmp_path / "in.txt").write_text("here.png\ngone.png\n")
    with pytest.raises(UserError, match="names 1 of 2 files that are not there, such as gone.png"):
        open_source(str(tmp_path / "in.txt"), SourceOptions(resolution=8))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("in.txt", b"# nothing\n", "names no images"),
        ("in.txt", b"a.png\na.png\n", "names a.png twice"),
        ("in.txt", b"a.png\n./a.png\n", "names a.png twice"),
        ("in.txt", b"\xff\xfe", "cannot be read as a list"),
        ("in.zip", b"PK\x03\x04 broken", "unknown kind, or a damaged one"),
        ("in.tar", b"broken", "cannot be read as a tar archive"),
        ("in.bin", b"what is this", "unknown kind.*Give a folder, a zip"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"`source` .*{name}.*{message}"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["in.zip", "in.tar", "in"])
def test_a_source_without_images_is_refused(tmp_path, name):
    path = tmp_path / name
    if name == "in":
        path.mkdir()
    elif name == "in.zip":
        zipfile.ZipFile(path, "w").close()
    else:
        tarfile.open(path, "w").close()
    with pytest.raises(UserError, match="has no images in it"):
        open_source(str(path))


def test_a_cut_off_tar_is_refused(tmp_path):
    path = make_tar(tmp_path / "in.tar")
    path.write_bytes(path.read_bytes()[: 512 + 30])  # The first member's head and some of its data.
    with pytest.raises(UserError, match="in.tar cannot be read as a tar archive"):
        open_source(str(path))
    path = make_tar(tmp_path / "in.tar.gz")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="in.tar.gz (cannot be read as a tar archive|is a file of an unknown kind)"):
        open_source(str(path))


def test_max_images_takes_the_first(tmp_path):
    source = open_source(str(make_folder(tmp_path / "in")), SourceOptions(max_images=2))
    assert [source.name(index) for index in range(len(source))] == ["a/1.png", "a/2.PNG"]
    with pytest.raises(UserError, match="max_images must be at least 1, got 0"):
        open_source(str(tmp_path / "in"), SourceOptions(max_images=0))


@pytest.mark.parametrize(
    "fit, expected", [("crop", 8), ("stretch", 8), ("pad", 16)]
)  # 17x9 pixels: the largest power of two that enlarges nothing.
def test_fit_chooses_a_resolution(tmp_path, fit, expected):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number, (17, 9)))
    (tmp_path / "3.png").write_bytes(b"unreadable")
    assert open_source(str(tmp_path), SourceOptions(fit=fit)).resolution == expected


def test_array_values_survive_fit_none(tmp_path):
    image = np.random.RandomState(0).randint(0, 256, [8, 8, 3]).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(open_source(str(tmp_path)).read(0).image, image)


def test_names_of_zip_archives_without_a_flag_are_utf8(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("K\u00e4tzchen/1.png", png(7))
    data = (tmp_path / "in.zip").read_bytes()
    plain = data.replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00")  # Both heads, without the flag 0x800.
    assert plain != data
    (tmp_path / "in.zip").write_bytes(plain)
    (tmp_path / "labels.csv").write_text("file,class\nKa\u0308tzchen/1.png,cat\n")  # As macOS writes it.
    source = open_source(str(tmp_path / "in.zip"), SourceOptions(labels=str(tmp_path / "labels.csv")))
    assert source.name(0) == "K\u00e4tzchen/1.png" and source.read(0).image[0, 0, 0] == 7


def test_lists_may_begin_with_a_mark_and_hold_any_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1))
    with open(bytes(tmp_path) + b"/\xff.png", "wb") as stream:
        stream.write(png(2))
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbfa.png\r\n\xff.png\r\n")
    source = open_source(str(tmp_path / "in.txt"))
    assert [int(source.read(index).image[0, 0, 0]) for index in range(2)] == [1, 2]


def test_a_long_list_with_one_name_twice_is_refused_at_once(tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"{number}.png\n" for number in range(100_000)) + "99999.png\n")
    with pytest.raises(UserError, match="names 99999.png twice"):
        open_source(str(tmp_path / "in.txt"))


def test_an_odd_size_comes_with_a_proposal(tmp_path):
    (tmp_path / "a.png").write_bytes(png(0, (100, 70)))
    with pytest.raises(UserError, match="a.png has 100x70 pixels.*`resolution=64` crops and resizes"):
        open_source(str(tmp_path))
