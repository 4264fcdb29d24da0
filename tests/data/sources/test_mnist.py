"""MNIST in files as its web page has them; random pictures."""

import gzip

import numpy as np
import pytest

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import open_source

DIGITS = np.random.RandomState(0).randint(0, 256, [6, 28, 28]).astype(np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


@pytest.mark.parametrize("suffix, write", [("", lambda data: data), (".gz", gzip.compress)])
def test_mnist_gets_a_black_margin(tmp_path, suffix, write):
    (tmp_path / f"train-images-idx3-ubyte{suffix}").write_bytes(write(idx(DIGITS)))
    labels = np.array([3, 9, 0, 1, 1, 2], np.uint8)
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(write(idx(labels)))
    source = open_source(str(tmp_path), SourceOptions(labels="classes"))
    assert (len(source), source.resolution, source.num_channels) == (6, 32, 1)
    image = source.read(4).image[:, :, 0]
    np.testing.assert_array_equal(image[2:-2, 2:-2], DIGITS[4])
    assert image.astype(int).sum() == DIGITS[4].astype(int).sum()
    assert source.labels.argmax(axis=1).tolist() == labels.tolist()
    assert len(open_source(str(tmp_path / f"train-images-idx3-ubyte{suffix}"))) == 6


def test_mnist_is_found_in_the_folders_that_torchvision_makes(tmp_path):
    (tmp_path / "data" / "MNIST" / "raw").mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
        (tmp_path / "data" / "MNIST" / "raw" / name).write_bytes(idx(DIGITS))
    for where in ("data", "data/MNIST", "data/MNIST/raw"):
        source = open_source(str(tmp_path / where))
        assert len(source) == 6 and [entry.name for entry in source.skipped] == ["t10k-images-idx3-ubyte"]
    (tmp_path / "data" / "mine.png").write_bytes(b"")  # Beside the set that is taken: not lost without a word.
    assert "mine.png" in [entry.name for entry in open_source(str(tmp_path / "data")).skipped]
    (tmp_path / "data" / "FashionMNIST" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(idx(DIGITS))
    with pytest.raises(UserError, match="holds several sets"):
        open_source(str(tmp_path / "data"))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"hello there", "is not an idx file"),
        (idx(DIGITS)[:-5], "is damaged"),
        (b"", "is not an idx file"),
        (idx(DIGITS[0]), "expected pictures"),
        (b"\x00\x00\x08\x03\x00", "buffer size"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, content, message):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UserError, match=f"train-images-idx3-ubyte.*{message}"):
        open_source(str(tmp_path))


def test_labels_of_another_set_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(DIGITS))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros([5], np.uint8)))
    with pytest.raises(UserError, match=r"holds \[5\] labels, expected \[6\]"):
        open_source(str(tmp_path), SourceOptions(labels="classes"))


def test_random_pictures_are_the_same_every_time():
    sources = [open_source("synthetic", SourceOptions(max_images=3, resolution=16)) for _ in range(2)]
    assert len(sources[0]) == 3
    pictures = [[source.read(index).image for index in range(3)] for source in sources]
    np.testing.assert_array_equal(*pictures)
    assert len({picture.tobytes() for picture in pictures[0]}) == 3
