"""Conversions of many pictures: workers, parts, resuming, unreadable pictures, disk space."""

import errno
import io
import json
import pathlib
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import inspection, pipeline, records, tfrecord_files
from stylegan_tf.data.dataset_files import find_dataset, load_labels
from stylegan_tf.data.making import record_workers
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from stylegan_tf.data.sources.fitted import DecodedImage
from stylegan_tf.data.sources.opening import BadPicture
from stylegan_tf.files.file_errors import os_error_line
from tests.helpers.array_source import ArraySource, numbered_images, write_numbered

TOOL = pathlib.Path(__file__).resolve().parents[3] / "tools" / "create_tfrecords.py"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(source, dest, report=lambda line: None, **options):
    return write_tfrecords(source, dest, WriteOptions(**options), report)


class DamagedSource(ArraySource):
    """Some pictures cannot be read."""

    def __init__(self, images, damaged, labels=None):
        super().__init__(images, labels)
        self.damaged = set(damaged)

    def read(self, index):
        if index in self.damaged:
            raise BadPicture(f"image {index} cannot be read as an image (it is broken)")
        return super().read(index)


@pytest.fixture
def pictures(tmp_path):
    """300 pictures of several sizes and modes, which are 8 chunks in 2 shards."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.RandomState(0)
    for number in range(300):
        mode = ("RGB", "L", "RGBA", "P", "CMYK", "LA")[number % 6]
        height, width = random.randint(4, 30, 2)
        image = Image.fromarray(random.randint(0, 256, [height, width, 3]).astype(np.uint8)).convert(mode)
        image.save(folder / f"{number:03d}.{'tif' if mode == 'CMYK' else 'png'}")
    return folder


@pytest.mark.parametrize("encoding", records.ENCODINGS)
def test_the_number_of_workers_does_not_change_a_byte(tmp_path, pictures, encoding):
    source = open_source(str(pictures), SourceOptions(fit="crop", labels=""))
    sets = []
    for workers in (1, 2, 3):
        folder = write(source, tmp_path / str(workers) / "set", shards=2, workers=workers, encoding=encoding)
        sets.append(contents(folder))
    assert sets[0] == sets[1] == sets[2]
    info = find_dataset(tmp_path / "1" / "set")
    assert (info.count, info.resolution, info.encoding) == (300, 8, encoding)


def test_workers_really_are_other_processes(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(record_workers, "ImageStatistics", None)  # Here only: the others import it themselves.
    source = open_source(str(pictures), SourceOptions(fit="crop"))
    assert find_dataset(write(source, tmp_path / "set", workers=2)).count == 300


@pytest.mark.parametrize("source", ["authors", "ours"])
def test_writing_tfrecords_anew_keeps_every_record(tmp_path, reference, source):
    for kind in ("rgb", "gray"):
        folder = reference / f"tfrecords_{kind}"
        if source == "ours":  # By way of PNG records in three shards.
            again = write(
                open_source(str(folder), SourceOptions(labels="classes" if kind == "rgb" else "")),
                tmp_path / kind,
                shards=3,
                shuffle=False,
                encoding="png",
            )
        else:
            again = folder
        written = write(
            open_source(str(again), SourceOptions(labels="classes" if kind == "rgb" else "")),
            tmp_path / "again" / f"tfrecords_{kind}",
            shards=1,
            shuffle=False,
        )
        for name, data in contents(folder).items():
            if not name.endswith(".labels"):
                assert (written / name).read_bytes() == data, name
        np.testing.assert_array_equal(load_labels(find_dataset(written)), load_labels(find_dataset(folder)))


def test_a_smaller_level_can_be_made_of_tfrecords(tmp_path):
    write_numbered(tmp_path / "set", count=6, shards=2)
    source = open_source(str(tmp_path / "set"), SourceOptions(resolution=4, filter="box"))
    small = find_dataset(write(source, tmp_path / "small", shards=1, shuffle=False))
    np.testing.assert_array_equal(
        list(inspection.read_images(small, 4)), list(inspection.read_images(find_dataset(tmp_path / "set"), 4))
    )


def test_a_damaged_record_of_a_source_is_a_bad_picture(tmp_path):
    folder = write_numbered(tmp_path / "set", count=6, shards=2)
    path = folder / "set-r03-00001-of-00002.tfrecords"
    data = bytearray(path.read_bytes())
    data[len(data) - 30] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BadPicture, match="record 2 of .*set-r03-00001-of-00002.tfrecords is damaged"):
        open_source(str(folder)).read(5)


def test_all_unreadable_pictures_are_listed(tmp_path):
    source = DamagedSource(numbered_images(40), range(0, 40, 3))
    message = "14 of 40 pictures cannot be read: image .*it is broken.*; and 4 more.*`skip_bad`"
    with pytest.raises(UserError, match=message):
        write(source, tmp_path / "set", shards=2)
    assert not (tmp_path / "set").exists()


def test_skip_bad_leaves_them_and_their_labels_out(tmp_path):
    labels = np.arange(20, dtype=np.float32)[:, np.newaxis]
    source = DamagedSource(numbered_images(20), [3, 4, 17], labels)
    lines = []
    info = find_dataset(write(source, tmp_path / "set", lines.append, shards=3, skip_bad=True))
    assert info.count == 17
    numbers = [int(image[0, 0, 0]) for image in inspection.read_images(info, 8)]
    assert load_labels(info)[:, 0].tolist() == numbers and sorted(numbers) == sorted(set(range(20)) - {3, 4, 17})
    assert any(line.startswith("skipped: 3 that cannot be read; all of them") for line in lines)
    listed = (tmp_path / "set" / "left_out.txt").read_text().splitlines()
    assert len(listed) == 3 and listed[0].startswith("that cannot be read: image 17 cannot be read")


def test_skip_bad_after_a_failure_converts_nothing_again(tmp_path, monkeypatch):
    source = DamagedSource(numbered_images(20), [3])
    with pytest.raises(UserError, match="1 of 20"):
        write(source, tmp_path / "set")
    monkeypatch.setattr(record_workers, "convert_chunk", None)
    assert find_dataset(write(source, tmp_path / "set", skip_bad=True)).count == 19


def test_a_repaired_picture_is_read_again(tmp_path):
    source = DamagedSource(numbered_images(20), [3])
    with pytest.raises(UserError, match="1 of 20"):
        write(source, tmp_path / "set")
    source.damaged = set()
    assert find_dataset(write(source, tmp_path / "set")).count == 20
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_source_without_any_readable_picture_is_refused(tmp_path):
    with pytest.raises(UserError, match="none of the 4 pictures can be read: image"):
        write(DamagedSource(numbered_images(4), range(4)), tmp_path / "set", shards=1, skip_bad=True)
    assert not (tmp_path / "set").exists()


class InterruptedSource(ArraySource):
    """Ctrl-C while the eleventh picture is read."""

    reads = 0

    def read(self, index):
        self.reads += 1
        if self.reads == 11:
            raise KeyboardInterrupt
        return super().read(index)


def test_an_interrupted_conversion_goes_on_from_its_last_shard(tmp_path):
    source = InterruptedSource(numbered_images(20))
    with pytest.raises(KeyboardInterrupt):
        write(source, tmp_path / "set", shards=4)
    assert [path.name for path in tmp_path.iterdir()] == [".set.partial"]  # Nothing that looks complete.
    folder = write(source, tmp_path / "set", shards=4)
    assert source.reads == 11 + 10  # Two of four shards were done.
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    expected = write(ArraySource(numbered_images(20)), tmp_path / "other" / "set", shards=4)
    assert contents(folder) == contents(expected)


def test_an_interrupted_conversion_is_not_mixed_with_another(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(InterruptedSource(numbered_images(20)), tmp_path / "set", shards=4)
    with pytest.raises(
        UserError, match="was started with another seed: run it again with the same options, or pass `restart"
    ):
        write(ArraySource(numbered_images(20)), tmp_path / "set", shards=4, seed=7)
    with pytest.raises(UserError, match="was started with another source"):
        write(ArraySource(numbered_images(21)), tmp_path / "set", shards=4)
    folder = write(ArraySource(numbered_images(20)), tmp_path / "set", shards=4, seed=7, restart=True)
    assert find_dataset(folder).count == 20


def test_parts_make_the_same_set_as_one_run(tmp_path):
    labels = np.arange(20, dtype=np.float32)[:, np.newaxis]
    source = ArraySource(numbered_images(20), labels)
    expected = contents(write(source, tmp_path / "one" / "set", shards=5))
    dest = tmp_path / "parts" / "set"
    for part in (2, 1):
        assert write(source, dest, shards=5, part=f"{part}/3") is None
    with pytest.raises(UserError, match="1 of 5 shards are not written yet: 2"):
        write(source, dest, shards=5, join=True)
    write(source, dest, shards=5, part="3/3")
    assert contents(write(source, dest, shards=5, join=True)) == expected
    assert [path.name for path in dest.parent.iterdir()] == ["set"]


def test_joining_finds_what_was_damaged_since(tmp_path):
    source = ArraySource(numbered_images(8))
    write(source, tmp_path / "set", shards=2, part="1/1")
    path = tmp_path / ".set.partial" / "set" / "set-r02-00001-of-00002.tfrecords"
    data = path.read_bytes()
    for damaged, message in ((data[:-1], "is not what was written"), (b"\0" + data[1:], "is damaged")):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=f"set-r02-00001-of-00002.tfrecords {message}.*`restart"):
            write(source, tmp_path / "set", shards=2, join=True)
    path.write_bytes(data)
    assert find_dataset(write(source, tmp_path / "set", shards=2, join=True)).count == 8


@pytest.mark.parametrize("options", [{"part": "2/2"}, {"join": True}])
def test_a_restart_does_not_delete_other_parts(tmp_path, options):
    source = ArraySource(numbered_images(8))
    write(source, tmp_path / "set", shards=2, part="1/2")
    before = contents(tmp_path / ".set.partial" / "set")
    with pytest.raises(UserError, match="`restart` would delete what the other parts .* remove .*/.set.partial once"):
        write(source, tmp_path / "set", shards=2, restart=True, **options)
    assert contents(tmp_path / ".set.partial" / "set") == before


def test_there_must_be_parts_to_join(tmp_path):
    with pytest.raises(UserError, match="there are no parts to join"):
        write(ArraySource(numbered_images(8)), tmp_path / "set", join=True)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1/5", "2", "1/2/3", "-1/2"])
def test_impossible_parts_are_refused(tmp_path, part):
    with pytest.raises(UserError, match="part takes i/n, like 2/4|`part` i/n needs 1 <= i <= n <= 4"):
        write(ArraySource(numbered_images(8)), tmp_path / "set", shards=4, part=part)


def test_shards_can_be_made_by_size(tmp_path):
    source = ArraySource(numbered_images(20))  # 247 bytes a record at 8x8.
    assert len(find_dataset(write(source, tmp_path / "a", shard_mb=0.001)).shard_counts) == 5
    assert len(find_dataset(write(source, tmp_path / "b", shard_mb=1000.0)).shard_counts) == 1
    with pytest.raises(UserError, match="shard_mb must be above 0"):
        write(source, tmp_path / "c", shard_mb=0.0)


def test_the_size_is_told_before_writing_and_is_right(tmp_path):
    lines = []
    folder = write(ArraySource(numbered_images(20)), tmp_path / "set", lines.append)
    assert lines[0] == "20 images of 8x8 pixels, RGB, raw: 345 bytes each with all levels, 6.9 kB in all"
    assert sum(path.stat().st_size for path in folder.glob("*.tfrecords")) == 20 * 345


def test_a_disk_that_is_too_small_is_told_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=5000))
    with pytest.raises(UserError, match="has 5.0 kB free, the dataset needs 7.0 kB more"):
        write(ArraySource(numbered_images(20)), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number, message",
    [
        (errno.ENOSPC, "set: No space left: free some space, and run the same command again"),
        (errno.EIO, "set: Input/output error: the disk or the connection to it fails"),
    ],
)
def test_a_disk_that_fills_up_ends_with_a_clear_line(tmp_path, monkeypatch, number, message):
    source = ArraySource(numbered_images(20))
    original, calls = record_workers.convert_chunk, []

    def fail_at_the_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(number, {errno.ENOSPC: "No space left", errno.EIO: "Input/output error"}[number])
        return original(*arguments)

    monkeypatch.setattr(record_workers, "convert_chunk", fail_at_the_third)
    with pytest.raises(OSError) as caught:
        write(source, tmp_path / "set", shards=4)
    assert message in os_error_line(caught.value)
    assert find_dataset(write(source, tmp_path / "set", shards=4)).count == 20
    assert len(calls) == 3 + 2


class WideSource(ArraySource):
    def __init__(self, boxes):
        super().__init__(numbered_images(len(boxes)))
        self.boxes = boxes

    def read(self, index):
        return DecodedImage(self.images[index], self.boxes[index])


@pytest.mark.parametrize(
    "boxes, expected",
    [
        ([(0, 2, 8, 6)] * 4, (0, 2, 8, 6)),
        ([(0, 2, 8, 6), (0, 1, 8, 7), (0, 3, 8, 5), (0, 2, 8, 6)], (0, 1, 8, 7)),  # Around all of them.
        ([(0, 2, 8, 6), None, (0, 3, 8, 5), (0, 2, 8, 6)], None),  # One fills its square.
    ],
)
def test_the_content_box_is_around_all_pictures(tmp_path, boxes, expected):
    folder = write(WideSource(boxes), tmp_path / "set", shards=2)
    assert find_dataset(folder).content_box == expected
    again = write(open_source(str(folder), SourceOptions(resolution=4)), tmp_path / "again", shards=1)
    half = None if expected is None else tuple(side // 2 for side in expected)
    assert find_dataset(again).content_box == half


def test_letterboxed_pictures_get_a_content_box(tmp_path):
    (tmp_path / "cars").mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), (number,) * 3).save(tmp_path / "cars" / f"{number}.png")
    folder = write(open_source(str(tmp_path / "cars"), SourceOptions(fit="pad")), tmp_path / "set", shards=1)
    info = find_dataset(folder)
    assert (info.resolution, info.content_box) == (64, (0, 8, 64, 56))
    assert info.relative_box == (0, 0.125, 1, 0.875)


def test_letterboxed_tfrecords_stay_so_with_all_pages(tmp_path):
    source = ArraySource(numbered_images(4), np.eye(4, dtype=np.float32), box=(0, 2, 8, 6))
    folder = write(source, tmp_path / "set", shards=1)
    again = open_source(str(folder), SourceOptions(pages="all", labels="classes"))
    assert find_dataset(write(again, tmp_path / "again", shards=1)).content_box == (0, 2, 8, 6)


def test_stretched_pictures_get_their_shape_back(tmp_path):
    (tmp_path / "cars").mkdir()
    for number in range(4):
        Image.new("RGB", (64, 48), (number,) * 3).save(tmp_path / "cars" / f"{number}.png")
    lines = []
    source = open_source(str(tmp_path / "cars"), SourceOptions(fit="stretch"))
    info = find_dataset(write(source, tmp_path / "set", lines.append, shards=2))
    assert (info.resolution, info.aspect_ratio) == (32, 1.3333)
    assert any(line.startswith("stretched: pictures are 1.33 to 1.33 times as wide as high") for line in lines)
    assert inspection.extract(info, 32, tmp_path / "out") == 4
    assert {Image.open(path).size for path in (tmp_path / "out").iterdir()} == {(43, 32)}
    again = find_dataset(write(open_source(str(tmp_path / "set")), tmp_path / "again", shuffle=False))
    assert again.aspect_ratio == 1.3333 and inspection.compare(info, again) == []
    upright = (tmp_path / "set" / "dataset.json").read_text().replace("1.3333", "0.5")
    (tmp_path / "set" / "dataset.json").write_text(upright)
    inspection.extract(find_dataset(tmp_path / "set"), 16, tmp_path / "upright")
    assert Image.open(tmp_path / "upright" / "00000000.png").size == (16, 32)
    for wrong in ("0", '"wide"', "true"):
        (tmp_path / "set" / "dataset.json").write_text(upright.replace("0.5", wrong))
        with pytest.raises(UserError, match="has the aspect_ratio"):
            find_dataset(tmp_path / "set")


def test_square_pictures_are_not_stretched(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "in" / "a.png")
    info = find_dataset(
        write(open_source(str(tmp_path / "in"), SourceOptions(fit="stretch")), tmp_path / "set", shards=1)
    )
    assert info.aspect_ratio is None


@pytest.mark.parametrize("box", ["wide", [0, 0, 8], [0, 0, 9, 8], [4, 0, 4, 8]])
def test_a_damaged_content_box_is_refused(tmp_path, box):
    folder = write_numbered(tmp_path / "set")
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**description, "content_box": box}))
    with pytest.raises(UserError, match="has the content_box"):
        find_dataset(folder)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_training_reads_png_records_as_raw_ones(tmp_path, num_channels):
    source = ArraySource(numbered_images(12, 16, num_channels), np.eye(12, dtype=np.float32))
    batches = []
    for encoding in ("raw", "png"):
        info = find_dataset(write(source, tmp_path / encoding / "set", shards=3, encoding=encoding))
        dataset = pipeline.training_dataset(info, 8, 6, seed=1, mirror=True, num_replicas=2, first_image=6).take(4)
        batches.append(list(dataset.as_numpy_iterator()))
    for raw, png in zip(*batches):
        np.testing.assert_array_equal(png["images"], raw["images"])
        np.testing.assert_array_equal(png["labels"], raw["labels"])
    assert info.encoding == "png" and png["images"].shape == (6, 8, 8, num_channels)


def test_a_png_of_another_size_is_found_while_reading(tmp_path):
    example = records.encode_example(np.zeros([4, 4, 3], np.uint8), "png")
    with pytest.raises(Exception, match="wrong shape of a record"):
        records.parse_picture_example(example, 8, 3, "png")
    stream = io.BytesIO()
    Image.new("RGB", (5, 4)).save(stream, "PNG")
    with pytest.raises(ValueError, match="does not fit its picture"):
        records.decode_example(tfrecord_files.serialize_example({"shape": (3, 4, 4), "png": stream.getvalue()}))
    with pytest.raises(ValueError, match="its PNG is damaged"):
        records.decode_example(tfrecord_files.serialize_example({"shape": (3, 4, 4), "png": b"none"}))


def test_the_tool_writes_parts_and_joins_them(tmp_path, pictures):
    def run(*arguments):
        command = [sys.executable, str(TOOL), "--source", str(pictures), "--dest", str(tmp_path / "set")]
        return subprocess.run([*command, "--fit=pad", "--workers=1", *arguments], capture_output=True, text=True)

    for part in ("1/2", "2/2"):
        done = run("--part", part)
        assert done.returncode == 0 and f"part {part} is written" in done.stdout, done.stderr
    done = run("--join")
    assert done.returncode == 0 and "is ready" in done.stdout, done.stderr
    assert find_dataset(tmp_path / "set").count == 300
    for arguments, message in (
        (["--part=2"], "--part takes i/n"),
        (["--part=1/2", "--join"], "give one of them"),
        (["--workers=0"], "--workers must be at least 1"),
        (["--channels=2"], "--channels must be one of 1, 3, 4; got 2"),
    ):
        done = run(*arguments, "--overwrite")
        assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1


def test_workers_end_with_a_conversion_that_is_killed(tmp_path):
    options = ["--source=synthetic", "--resolution=256", "--max_images=20000", "--shards=900", "--workers=2"]
    command = [sys.executable, str(TOOL), *options, "--dest", str(tmp_path / "set")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".set.partial/shard-*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=60)  # The workers hold the other end of these pipes, too: this waits for them.
    assert list(tmp_path.glob(".set.partial/shard-*.json")) and not (tmp_path / "set").exists()
