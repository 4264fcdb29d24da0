"""Every file that is seen becomes a record, is told, or ends the conversion."""

import errno
import io
import os
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.inspection import read_images
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from stylegan_tf.data.sources.opening import BadPicture
from tests.helpers.png_files import png_bytes


def png(value=0, size=(8, 8), **options):
    stream = io.BytesIO()
    Image.new("RGB", size, (value,) * 3).save(stream, "PNG", **options)
    return stream.getvalue()


def names(source):
    return [source.name(index) for index in range(len(source))]


def kinds(source):
    return sorted(entry.kind for entry in source.skipped)


@pytest.fixture
def folder(tmp_path):
    """Pictures 0 to 5 and what else lies in people's folders."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for value in range(4):
        (tmp_path / "in" / f"{value}.png").write_bytes(png(value))
    (tmp_path / "in" / "4").write_bytes(png(4))
    (tmp_path / "in" / "sub" / "5.dat").write_bytes(png(5))
    for name in ("a.heic", "b.HEIC", "notes", ".hidden.png"):
        (tmp_path / "in" / name).write_bytes(b"something else")
    return tmp_path / "in"


def convert(source, dest, **options):
    """-> (DatasetInfo, values of the pictures in order, lines that were told)."""
    lines = []
    options = WriteOptions(shuffle=False, **options)
    info = find_dataset(write_tfrecords(open_source(str(source)), dest, options, lines.append))
    return info, [int(image[0, 0, 0]) for image in read_images(info, 8)], lines


def test_every_file_of_a_folder_is_accounted_for(folder, tmp_path):
    _, values, lines = convert(folder, tmp_path / "out")
    assert values == [0, 1, 2, 3, 4, 5]  # By content where the name says nothing.
    assert any(
        line.startswith("skipped: 2 .heic, ") and "1 hidden" in line and "1 without suffix" in line for line in lines
    )
    assert (tmp_path / "out" / "left_out.txt").read_text().splitlines() == [
        ".heic: a.heic",
        ".heic: b.HEIC",
        "hidden: .hidden.png",
        "without suffix: notes",
    ]


def test_archives_account_for_every_member(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("0.png", png(9))
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        archive.add(folder, ".")
    for name in ("in.zip", "in.tar"):
        source = open_source(str(tmp_path / name))
        assert sorted(names(source)) == ["0.png", "1.png", "2.png", "3.png", "4", "sub/5.dat"]
        twice = ["replaced by later ones of the same name"] if name == "in.zip" else []
        assert kinds(source) == [".heic", ".heic", "hidden", *twice, "without suffix"]
    assert open_source(str(tmp_path / "in.zip")).read(0).image[0, 0, 0] == 9


def test_links_to_folders_are_followed_and_loops_noticed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "9.png").write_bytes(png(9))
    os.symlink(tmp_path / "elsewhere", folder / "linked")
    os.symlink(folder, folder / "sub" / "loop")
    os.symlink("nowhere.png", folder / "dead.png")
    os.mkfifo(folder / "pipe.png")
    source = open_source(str(folder))
    assert "linked/9.png" in names(source) and len(source) == 7
    assert {"links that form a cycle", "broken links", "pipes, sockets or devices"} <= set(kinds(source))


def test_links_in_archives_are_followed(tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        for name, target, kind in [
            ("set/a.png", "", tarfile.REGTYPE),
            ("val/hard.png", "set/a.png", tarfile.LNKTYPE),
            ("val/soft.png", "../val/hard.png", tarfile.SYMTYPE),
            ("val/out.png", "/etc/passwd", tarfile.SYMTYPE),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, target, 0 if target else len(png(7))
            archive.addfile(member, None if target else io.BytesIO(png(7)))
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("set/a.png", png(7))
        for name, target in [("val/soft.png", "../set/a.png"), ("val/out.png", "../../etc/passwd")]:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    for name, expected in [
        ("in.tar", ["set/a.png", "val/hard.png", "val/soft.png"]),
        ("in.zip", ["set/a.png", "val/soft.png"]),
    ]:
        source = open_source(str(tmp_path / name))
        assert names(source) == expected and kinds(source) == ["broken links"]
        assert {int(source.read(index).image[0, 0, 0]) for index in range(len(source))} == {7}


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).rstrip("/").endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="in/sub/?: Permission denied"):
        open_source(str(folder))


def test_arrays_and_sets_beside_the_pictures_are_told(tmp_path):
    images = np.zeros([2, 8, 8, 3], np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.array([0, 1]), x_test=images)
    source = open_source(str(tmp_path / "a.npz"))
    assert [entry.name for entry in source.skipped] == ["x_test"]
    assert source.notes == ("the source has labels, which are not used: `labels=classes`.",)


@pytest.mark.parametrize("place", ["head", "end"])
def test_a_tar_archive_that_is_damaged_in_the_middle_is_refused(tmp_path, place):
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        for number in range(4):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(png())
            archive.addfile(member, io.BytesIO(png()))
    data = bytearray((tmp_path / "in.tar").read_bytes())
    if place == "head":
        data[2048 + 150] ^= 0xFF  # The third member's checksum: Python's reader would end there without a word.
    else:
        data = data[:4096]  # Whole members, and no end.
    (tmp_path / "in.tar").write_bytes(data)
    with pytest.raises(UserError, match="damaged at byte 2,048" if place == "head" else "cut off"):
        open_source(str(tmp_path / "in.tar"))


def test_a_zip_archive_whose_directory_is_short_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", png())
    data = bytearray((tmp_path / "in.zip").read_bytes())
    first = data.index(b"PK\x01\x02") + 32
    data[first] = 51  # The length of its comment: the next entry (46 bytes and a name of 5) is in it.
    (tmp_path / "in.zip").write_bytes(data)
    with pytest.raises(UserError, match="its directory has 2 entries, its end says 3"):
        open_source(str(tmp_path / "in.zip"))


def test_more_bytes_than_an_array_has_are_noticed(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros([4, 8, 8, 3], np.uint8))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data.replace(b"(4, 8", b"(3, 8"))
    with pytest.raises(UserError, match="has 896 bytes, its header says 704"):
        open_source(str(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.EIO, "Input/output error"),
        MemoryError(),
        PermissionError(errno.EACCES, "Permission denied"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
    ],
)
def test_faults_of_the_machine_are_never_skipped(folder, tmp_path, monkeypatch, fault):
    from stylegan_tf.data.sources import reading

    content = reading.file_content

    def fail(path):
        if path.endswith("3.png"):
            raise fault
        return content(path)

    monkeypatch.setattr(reading, "file_content", fail)
    with pytest.raises(UserError, match="3.png cannot be read: .* says nothing about the picture") as caught:
        convert(folder, tmp_path / "out", skip_bad=True)
    assert not isinstance(caught.value, BadPicture)
    monkeypatch.setattr(reading, "file_content", content)
    assert convert(folder, tmp_path / "out", skip_bad=True)[1] == [0, 1, 2, 3, 4, 5]


def interrupted(folder, dest, **options):
    """A conversion that ends before its last shard."""
    source, read = open_source(str(folder)), None
    read = source.read

    def fail(index):
        if index == len(source) - 1:
            raise UserError("enough")
        return read(index)

    source.read = fail
    with pytest.raises(UserError, match="enough"):
        write_tfrecords(source, dest, WriteOptions(shuffle=False, shards=3, **options))


def test_a_repaired_picture_comes_in_at_the_next_start(folder, tmp_path):
    (folder / "1.png").write_bytes(b"damaged")
    interrupted(folder, tmp_path / "out", skip_bad=True)
    (folder / "1.png").write_bytes(png(1))
    assert convert(folder, tmp_path / "out", skip_bad=True, shards=3)[1] == [0, 1, 2, 3, 4, 5]


def test_pictures_that_have_changed_under_their_names_are_read_again(folder, tmp_path):
    interrupted(folder, tmp_path / "out")
    (folder / "0.png").write_bytes(png(99))
    assert convert(folder, tmp_path / "out", shards=3)[1] == [99, 1, 2, 3, 4, 5]


def test_fewer_shards_are_proposed_where_they_are_the_cause(folder, tmp_path):
    (folder / "1.png").write_bytes(b"damaged")
    with pytest.raises(UserError, match="none of the 1 pictures of shard 1 can be read.*fewer `shards` than 6"):
        convert(folder, tmp_path / "out", skip_bad=True, shards=6)


def test_all_unreadable_pictures_are_listed_in_a_file(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(30):
        (tmp_path / "in" / f"{number:02}.png").write_bytes(png() if number < 10 else b"damaged")
    with pytest.raises(UserError, match="20 of 30 pictures cannot be read.*and 10 more, all in .*unreadable.txt"):
        convert(tmp_path / "in", tmp_path / "out")
    assert len((tmp_path / ".out.partial" / "unreadable.txt").read_text().splitlines()) == 20


def test_twelve_bits_in_sixteen_are_told_and_can_be_stretched(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full([8, 8], 4095, np.uint16)).save(tmp_path / "in" / "a.png")
    _, values, lines = convert(tmp_path / "in", tmp_path / "out")
    assert values == [16] and any(
        "values up to 4095 of 65535; 1 of them" in line and "`white=4095" in line for line in lines
    )
    assert open_source(str(tmp_path / "in"), SourceOptions(white=4095)).read(0).image[0, 0, 0] == 255


def test_floats_need_a_white(tmp_path):
    Image.fromarray(np.full([8, 8], 0.5, np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(
        UserError, match="does not fit: it has values from 0.5 to 0.5 of type float32: `white=N"
    ) as error:
        open_source(str(tmp_path), SourceOptions(resolution=8)).read(0)
    assert not isinstance(error.value, BadPicture)  # Which `skip_bad` would leave out.
    assert open_source(str(tmp_path), SourceOptions(white=1.0)).read(0).image[0, 0, 0] == 128
    Image.fromarray(np.full([8, 8], np.nan, np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(BadPicture, match="not finite"):
        open_source(str(tmp_path), SourceOptions(resolution=8, white=1.0)).read(0)


def test_a_program_is_never_opened_as_a_picture(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    for content in (eps, b"\n" + eps, b"\xc5\xd0\xd3\xc6" + bytes(40)):
        (tmp_path / "photo.png").write_bytes(content)
        with pytest.raises(BadPicture, match="photo.png cannot be read as an image"):
            open_source(str(tmp_path), SourceOptions(resolution=8)).read(0)


def test_a_listed_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "in.txt").write_text("a.png\n")
    with pytest.raises(BadPicture, match="a.png is not a file but"):
        open_source(str(tmp_path / "in.txt"), SourceOptions(resolution=8)).read(0)


def test_dark_colours_of_16_bits_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png_bytes(np.full([8, 8, 3], 4095), 16))
    _, values, lines = convert(tmp_path / "in", tmp_path / "out")
    (line,) = [line for line in lines if line.startswith("dark: 1 pictures have 16 bits")]
    assert values == [16] and "`white=4095`" in line
    square = open_source(str(tmp_path / "in"), SourceOptions(white=8190)).read(0)
    assert square.peak == 4095 and (square.image == 128).all()  # 4095 of 8190: all 16 bits count.
    (tmp_path / "in" / "a.png").write_bytes(png_bytes(np.full([8, 8, 4], [4095] * 3 + [65535]), 16))
    _, values, lines = convert(tmp_path / "in", tmp_path / "opaque")
    assert values == [16] and any("with values up to 4095 of 65535; 1 of them" in line for line in lines)
    (tmp_path / "in" / "a.png").write_bytes(png_bytes(np.full([8, 8, 3], 65535), 16))
    _, values, lines = convert(tmp_path / "in", tmp_path / "bright")
    assert values == [255] and not any(line.startswith("dark") for line in lines)


def test_a_large_archive_whose_directory_is_short_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # From here on its number has 64 bits.
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.png", png())
    assert len(open_source(str(tmp_path / "in.zip"))) == 4
    data = bytearray((tmp_path / "in.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 32] = 51  # The next entry becomes a part of the first one's comment.
    (tmp_path / "in.zip").write_bytes(data)
    with pytest.raises(UserError, match="its directory has 3 entries, its end says 4"):
        open_source(str(tmp_path / "in.zip"))


def test_missing_pieces_of_an_hdf5_file_are_no_black_pictures(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("images", [6, 8, 8, 3], np.uint8, chunks=(1, 8, 8, 3))
        data[:4] = 200
    with pytest.raises(UserError, match="holds 4 of 6 pieces of images"):
        open_source(str(tmp_path / "a.h5"))


@pytest.mark.parametrize(
    "options, told",
    [
        ({"fit": "crop"}, ["enlarged: 1 of 2 ", "cropped: 1 "]),
        ({"fit": "crop", "filter": "nearest"}, ["cropped: 1 "]),
        ({"fit": "pad"}, ["enlarged: 1 of 2 "]),
        ({"fit": "pad", "filter": "nearest"}, []),
    ],
)
def test_pictures_that_are_blurred_or_mostly_cut_away_are_counted(tmp_path, options, told):
    (tmp_path / "in").mkdir()
    for name, size in (("small", (24, 20)), ("strip", (40, 200))):
        pixels = np.random.RandomState(0).randint(0, 256, [*reversed(size), 3], np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    lines = []
    source = open_source(str(tmp_path / "in"), SourceOptions(resolution=32, **options))
    write_tfrecords(source, tmp_path / "out", WriteOptions(), lines.append)
    lines = [line for line in lines if line.startswith(("enlarged: ", "cropped: "))]
    assert [line[: len(start)] for line, start in zip(lines, told)] == told and len(lines) == len(told)
