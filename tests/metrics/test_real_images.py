"""The real images of a metric: first records in order, and a digest that nothing changed escapes."""

import os
import shutil

import numpy as np
import pytest

from stylegan_tf.config import WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.metrics.real_images import RealImages
from tests.helpers.array_source import ArraySource, numbered_images, write_numbered


def _reals(folder, resolution=8):
    return RealImages(find_dataset(folder), resolution)


def _first_pixels(reals, *range_and_size):
    return [images[:, 0, 0, 0].tolist() for images in reals.batches(*range_and_size)]


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_batches_are_the_records_in_order(tmp_path, encoding):
    write_numbered(tmp_path, count=24, encoding=encoding, shuffle=False)
    reals = _reals(tmp_path)
    assert _first_pixels(reals, 0, 10, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert _first_pixels(reals, 5, 24, 16) == [list(range(5, 21)), [21, 22, 23]]
    (images,) = _reals(tmp_path, 4).batches(3, 5, 9)
    np.testing.assert_array_equal(images, numbered_images(5, 4)[3:])


def test_all_records_are_taken_if_there_are_too_few(tmp_path):
    write_numbered(tmp_path, count=24)
    assert [_reals(tmp_path).count(wanted) for wanted in (10, 24, 50_000)] == [10, 24, 24]


def test_a_damaged_record_is_named(tmp_path):
    write_numbered(tmp_path, count=24)
    path = sorted(tmp_path.glob("*-r03-*"))[1]
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="record 5 of .* is damaged"):
        list(_reals(tmp_path).batches(0, 24, 8))


def test_the_digest_follows_the_content_and_not_the_place(tmp_path):
    write_numbered(tmp_path / "a")
    digest = _reals(tmp_path / "a").digest
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert _reals(tmp_path / "b").digest == digest
    assert _reals(tmp_path / "a", 4).digest != digest


def test_one_changed_pixel_changes_the_digest_though_names_sizes_and_times_stay(tmp_path):
    images = numbered_images(24)
    write_tfrecords(ArraySource(images), tmp_path / "a", WriteOptions(1))
    images[17, 3, 2, 1] += 1
    write_tfrecords(ArraySource(images), tmp_path / "b", WriteOptions(1))
    before = _reals(tmp_path / "a").digest
    for path in (tmp_path / "a").iterdir():
        new = tmp_path / "b" / path.name.replace("a-", "b-")
        if new.suffix == ".tfrecords":
            stat = path.stat()
            assert new.stat().st_size == stat.st_size
            path.write_bytes(new.read_bytes())
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert _reals(tmp_path / "a").digest != before


def test_other_labels_and_another_order_change_the_digest(tmp_path):
    images = numbered_images(6)
    digests = set()
    for index, (order, label) in enumerate([(1, None), (-1, None), (1, 0.0), (1, 1.0)]):
        labels = None if label is None else np.full([6, 2], label, np.float32)
        write_tfrecords(ArraySource(images[::order], labels), tmp_path / str(index), WriteOptions(1))
        digests.add(_reals(tmp_path / str(index)).digest)
    assert len(digests) == 4
