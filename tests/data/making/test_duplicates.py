import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.data.dataset_files import find_dataset, load_labels
from stylegan_tf.data.inspection import read_images
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source


@pytest.fixture
def pictures(tmp_path):
    """Eight files with five different pictures: 0, 1, 2, 3, 4, 0, 0, 3."""
    (tmp_path / "in").mkdir()
    for index, number in enumerate((0, 1, 2, 3, 4, 0, 0, 3)):
        image = Image.fromarray(np.random.RandomState(number).randint(0, 256, [8, 8, 3]).astype(np.uint8))
        kind = {5: ("webp", {"lossless": True}), 6: ("bmp", {})}.get(index, ("png", {}))
        image.save(tmp_path / "in" / f"{index}.{kind[0]}", **kind[1])
    return tmp_path / "in"


def convert(pictures, dest, **options):
    lines = []
    (pictures.parent / "l.csv").write_text("file,age\n" + "".join(f"{p.name},{p.stem}.5\n" for p in pictures.iterdir()))
    source = open_source(str(pictures), SourceOptions(labels=str(pictures.parent / "l.csv")))
    write_tfrecords(source, dest, WriteOptions(**options), lines.append)
    return find_dataset(dest), lines


def test_equal_pixels_are_counted_whatever_the_file(pictures, tmp_path):
    info, lines = convert(pictures, tmp_path / "set")
    assert info.count == 8
    assert "duplicates: 3 pictures are equal to another one: `drop_duplicates` leaves them out." in lines


@pytest.mark.parametrize("workers", [1, 2])
def test_duplicates_are_dropped_with_their_labels(pictures, tmp_path, workers):
    info, lines = convert(pictures, tmp_path / "set", drop_duplicates=True, shards=5, workers=workers)
    assert info.count == 5 and not any(line.startswith("duplicates") for line in lines)
    for image, label in zip(read_images(info, 8), load_labels(info)):
        number = int(label[0])  # The first of equal ones stays.
        np.testing.assert_array_equal(image, np.random.RandomState(number).randint(0, 256, [8, 8, 3]))
    assert any(line.startswith("skipped: 3 duplicates") for line in lines)
    listed = (tmp_path / "set" / "left_out.txt").read_text().splitlines()
    assert listed == ["duplicates: 5.webp as 0.png", "duplicates: 6.bmp as 0.png", "duplicates: 7.png as 3.png"]
