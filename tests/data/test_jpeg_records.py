"""Sets whose largest level holds JPEG files."""

import io

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import inspection, pipeline, records, tfrecord_files
from stylegan_tf.data.dataset_files import find_damage, find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from tests.helpers.array_source import ArraySource, numbered_images


def jpeg(size, seed=0, mode="RGB", **options):
    """A picture with smooth colours and some noise."""
    small = np.random.RandomState(seed).randint(0, 256, [4, 4, 3]).astype(np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Three files that can be kept, and five that cannot: turned, gray, CMYK, of another shape, no JPEG."""
    turned = Image.Exif()
    turned[0x0112] = 3
    files = {
        "0.jpg": jpeg((32, 32), 0, quality=80),
        "1.jpg": jpeg((32, 32), 1, quality=95, subsampling=0),
        "2.jpg": jpeg((32, 32), 2, progressive=True),
        "3.jpg": jpeg((32, 32), 3, exif=turned),
        "4.jpg": jpeg((32, 32), 4, "L"),
        "5.jpg": jpeg((32, 32), 5, "CMYK"),
        "6.jpg": jpeg((48, 32), 6),
        "7.png": b"",
    }
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        (tmp_path / "in" / name).write_bytes(content)
    Image.open(io.BytesIO(files["0.jpg"])).save(tmp_path / "in" / "7.png")
    return tmp_path / "in"


def stored(info):
    """The files in the records of the largest level."""
    found = []
    for path in info.shards(info.resolution):
        data = open(path, "rb").read()
        found += [data[record.offset : record.offset + record.length] for record in tfrecord_files.scan(path)]
    return [records.stored_picture(example)[1] for example in found]


def write(folder, dest):
    options = WriteOptions(shuffle=False, shards=2, encoding="jpeg")
    return find_dataset(write_tfrecords(open_source(str(folder), SourceOptions(resolution=32)), dest, options))


def test_files_of_the_right_size_are_kept_byte_for_byte(folder, tmp_path):
    info = write(folder, tmp_path / "set")
    files = stored(info)
    for number in range(3):
        assert files[number] == (folder / f"{number}.jpg").read_bytes()
    assert all(file not in [path.read_bytes() for path in folder.iterdir()] for file in files[3:])
    assert info.encoding == "jpeg" and find_damage(info, 32) is None and find_damage(info, 8) is None
    assert list(inspection.level_mismatches(info)) == []  # The smaller levels are those of what a reader sees.


def test_training_sees_what_pillow_sees(folder, tmp_path):
    info = write(folder, tmp_path / "set")
    for resolution in (32, 16, 4):
        dataset = pipeline.training_dataset(info, resolution, 8, shuffle_images=1).take(1)
        (batch,) = dataset.as_numpy_iterator()
        np.testing.assert_array_equal(batch["images"], np.stack(list(inspection.read_images(info, resolution))))


def test_files_stay_the_same_when_a_set_is_written_anew(folder, tmp_path):
    first = write(folder, tmp_path / "first")
    second = write(tmp_path / "first", tmp_path / "second")
    assert stored(second) == stored(first) and inspection.compare(first, second) == []


def test_other_pictures_are_encoded(tmp_path):
    for channels in (1, 3):
        source = ArraySource(numbered_images(4, 16, channels))
        dest = write_tfrecords(source, tmp_path / str(channels), WriteOptions(shuffle=False, shards=1, encoding="jpeg"))
        info = find_dataset(dest)
        images = np.stack(list(inspection.read_images(info, 16)))
        assert info.num_channels == channels and np.abs(images.astype(int) - source.images).max() <= 4


def test_transparency_is_kept_in_records_of_pngs_and_refused_in_jpegs(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, [4, 8, 8, 4]).astype(np.uint8)
    for encoding in ("raw", "png"):
        options = WriteOptions(shuffle=False, shards=1, encoding=encoding)
        info = find_dataset(write_tfrecords(ArraySource(images), tmp_path / encoding, options))
        (batch,) = pipeline.training_dataset(info, 8, 4, shuffle_images=1).take(1).as_numpy_iterator()
        np.testing.assert_array_equal(batch["images"], images)
    with pytest.raises(UserError, match="`encoding=jpeg` has no transparency"):
        write_tfrecords(ArraySource(images), tmp_path / "jpeg", WriteOptions(encoding="jpeg"))
