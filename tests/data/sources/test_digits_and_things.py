"""MNIST and CIFAR in files as their web pages have them; the demo set and random pictures."""

import gzip
import io
import tarfile

import numpy as np
import pytest

from stylegan_tf.data.sources import open_source
from stylegan_tf.errors import UserError

RANDOM = np.random.RandomState(0)
DIGITS = RANDOM.randint(0, 256, [6, 28, 28]).astype(np.uint8)
THINGS = RANDOM.randint(0, 256, [4, 3, 32, 32]).astype(np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


@pytest.mark.parametrize("suffix, write", [("", lambda data: data), (".gz", gzip.compress)])
def test_mnist_gets_a_black_margin(tmp_path, suffix, write):
    (tmp_path / f"train-images-idx3-ubyte{suffix}").write_bytes(write(idx(DIGITS)))
    labels = np.array([3, 9, 0, 1, 1, 2], np.uint8)
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(write(idx(labels)))
    source = open_source(str(tmp_path), labels="classes")
    assert (len(source), source.resolution, source.num_channels) == (6, 32, 1)
    image = source.read(4).image[:, :, 0]
    np.testing.assert_array_equal(image[2:-2, 2:-2], DIGITS[4])
    assert image.astype(int).sum() == DIGITS[4].astype(int).sum()
    assert source.labels.argmax(axis=1).tolist() == labels.tolist()
    assert len(open_source(str(tmp_path / f"train-images-idx3-ubyte{suffix}"))) == 6


@pytest.mark.parametrize(
    "content, message",
    [(b"hello there", "is not an idx file"), (idx(DIGITS)[:-5], "is damaged"), (b"", "is not an idx file"),
     (idx(DIGITS[0]), "expected pictures"), (b"\x00\x00\x08\x03\x00", "buffer size")],
)
def test_damaged_idx_files_are_named(tmp_path, content, message):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UserError, match=f"train-images-idx3-ubyte.*{message}"):
        open_source(str(tmp_path))


def test_labels_of_another_set_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(DIGITS))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros([5], np.uint8)))
    with pytest.raises(UserError, match=r"holds \[5\] labels, expected \[6\]"):
        open_source(str(tmp_path), labels="classes")


def cifar10(images, labels):
    return b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, images))


def test_cifar_10_is_read_from_its_folder_and_from_its_archive(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    files = {"data_batch_1.bin": cifar10(THINGS[:3], [6, 9, 0]), "data_batch_2.bin": cifar10(THINGS[3:], [1])}
    files["test_batch.bin"] = cifar10(THINGS, [1, 2, 3, 4])
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            (folder / name).write_bytes(data)
            archive.add(folder / name, f"cifar-10-batches-bin/{name}")
    for where in (tmp_path, folder, tmp_path / "cifar-10-binary.tar.gz"):
        source = open_source(str(where), labels="classes")
        assert (len(source), source.resolution) == (4, 32)
        assert source.labels.argmax(axis=1).tolist() == [6, 9, 0, 1] and source.label_names[6] == "frog"
        images = [source.read(index).image for index in range(4)]
        np.testing.assert_array_equal(images, THINGS.transpose(0, 2, 3, 1))


def test_cifar_100_has_fine_labels(tmp_path):
    data = b"".join(bytes([19, fine]) + image.tobytes() for fine, image in zip([0, 2, 1, 2], THINGS))
    (tmp_path / "train.bin").write_bytes(data)
    (tmp_path / "fine_label_names.txt").write_text("apple\nbaby\nbear\n")
    source = open_source(str(tmp_path), labels="classes")
    assert source.labels.argmax(axis=1).tolist() == [0, 2, 1, 2] and source.label_names == ("apple", "baby", "bear")
    np.testing.assert_array_equal(source.read(1).image, THINGS[1].transpose(1, 2, 0))


def test_a_cut_off_cifar_file_is_named(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(cifar10(THINGS, range(4))[:-1])
    with pytest.raises(UserError, match="data_batch_1.bin in .* has 12291 bytes, which are no records of 3073"):
        open_source(str(tmp_path))


def test_pickles_are_not_run(tmp_path):
    payload = b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    (tmp_path / "data_batch_1").write_bytes(payload)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("cifar-10-batches-py/data_batch_1"), io.BytesIO())
    for where in (tmp_path, tmp_path / "cifar-10-python.tar.gz"):
        with pytest.raises(UserError, match="Python version of CIFAR.*Download the binary version"):
            open_source(str(where))
    assert not (tmp_path / "ran").exists()


def test_random_pictures_are_the_same_every_time():
    sources = [open_source("synthetic", max_images=3, resolution=16) for _ in range(2)]
    assert len(sources[0]) == 3
    pictures = [[source.read(index).image for index in range(3)] for source in sources]
    np.testing.assert_array_equal(*pictures)
    assert len({picture.tobytes() for picture in pictures[0]}) == 3
