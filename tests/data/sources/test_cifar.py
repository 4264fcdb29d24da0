"""CIFAR in files as its web page has them."""

import struct
import tarfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import open_source

THINGS = np.random.RandomState(0).randint(0, 256, [6, 3, 32, 32]).astype(np.uint8)
CLASSES = [6, 9, 0, 1, 3, 2]
BATCHES = {1: slice(0, 2), **{number: slice(number, number + 1) for number in range(2, 6)}}  # Five, of one or two.


def cifar10(images, labels):
    return b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, images))


def test_cifar_10_is_read_from_its_folder_and_from_its_archive(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    files = {f"data_batch_{number}.bin": cifar10(THINGS[part], CLASSES[part]) for number, part in BATCHES.items()}
    files["test_batch.bin"] = cifar10(THINGS, CLASSES)
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            (folder / name).write_bytes(data)
            archive.add(folder / name, f"cifar-10-batches-bin/{name}")
    for where in (tmp_path, folder, tmp_path / "cifar-10-binary.tar.gz"):
        source = open_source(str(where), SourceOptions(labels="classes"))
        assert (len(source), source.resolution) == (6, 32)
        assert source.labels.argmax(axis=1).tolist() == CLASSES and source.label_names[6] == "frog"
        images = [source.read(index).image for index in range(6)]
        np.testing.assert_array_equal(images, THINGS.transpose(0, 2, 3, 1))


def test_a_missing_batch_is_noticed(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for number in (1, 2, 4, 5):
        (folder / f"data_batch_{number}.bin").write_bytes(cifar10(THINGS, CLASSES))
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    for where in (folder, tmp_path / "c.tar.gz"):
        with pytest.raises(UserError, match="holds data_batch_1.bin, .*_5.bin of CIFAR-10's five batches"):
            open_source(str(where))


def test_cifar_100_has_fine_labels(tmp_path):
    data = b"".join(bytes([19, fine]) + image.tobytes() for fine, image in zip([0, 2, 1, 2], THINGS[:4]))
    (tmp_path / "train.bin").write_bytes(data)
    (tmp_path / "fine_label_names.txt").write_text("apple\nbaby\nbear\n")
    source = open_source(str(tmp_path), SourceOptions(labels="classes"))
    assert source.labels.argmax(axis=1).tolist() == [0, 2, 1, 2] and source.label_names == ("apple", "baby", "bear")
    np.testing.assert_array_equal(source.read(1).image, THINGS[1].transpose(1, 2, 0))


def test_a_cut_off_cifar_file_is_named(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(cifar10(THINGS[:4], range(4))[:-1])
    with pytest.raises(UserError, match="12291 bytes, which is not a multiple of the record size 3073"):
        open_source(str(tmp_path))


def text(value):
    """Python 2's str in a pickle of protocol 2: SHORT_BINSTRING, remembered as value 1."""
    return b"U" + bytes([len(value)]) + value + b"q\x01"


def integer(value):
    return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)


def items(*values):
    """A list: EMPTY_LIST, MARK, the values, APPENDS."""
    return b"](" + b"".join(values) + b"e"


def array(images):
    """What Python 2's cPickle writes for a uint8 array [N, 3072], opcode by opcode."""
    data = images.tobytes()
    shape = integer(len(images)) + integer(3072) + b"\x86"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    return made + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"


def dictionary(**pairs):
    return b"\x80\x02}(" + b"".join(text(key.encode()) + value for key, value in pairs.items()) + b"u."


def batch(images, key, labels):
    return dictionary(
        data=array(images), **{key: items(*map(integer, labels))}, filenames=items(text(b"a.png"), text(b"b.png"))
    )


def test_the_python_version_of_cifar_10_is_read_without_running_it(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = items(*(text(name.encode()) for name in "abcdefghij"))
    files = {f"data_batch_{number}": batch(THINGS[part], "labels", CLASSES[part]) for number, part in BATCHES.items()}
    files["batches.meta"] = dictionary(label_names=names)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            (folder / name).write_bytes(data)
            archive.add(folder / name, f"cifar-10-batches-py/{name}")
    for where in (tmp_path, folder, tmp_path / "cifar-10-python.tar.gz"):
        source = open_source(str(where), SourceOptions(labels="classes"))
        assert source.labels.argmax(axis=1).tolist() == CLASSES and source.label_names == tuple("abcdefghij")
        images = [source.read(index).image for index in range(len(source))]
        np.testing.assert_array_equal(images, THINGS.transpose(0, 2, 3, 1))


def test_the_python_version_of_cifar_100_is_read(tmp_path):
    (tmp_path / "train").write_bytes(batch(THINGS[:4], "fine_labels", [0, 2, 1, 2]))
    (tmp_path / "meta").write_bytes(dictionary(fine_label_names=items(text(b"apple"), text(b"baby"), text(b"bear"))))
    source = open_source(str(tmp_path), SourceOptions(labels="classes"))
    assert source.labels.argmax(axis=1).tolist() == [0, 2, 1, 2] and source.label_names == ("apple", "baby", "bear")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x80\x02cos\nsystem\nU\x04true\x85R.", "refers to 'os.system'.*nothing in it was run"),
        (batch(THINGS[:4], "labels", [1, 2, 3, 4])[:5000], "damaged or incomplete"),
        (batch(THINGS[:4], "labels", [1, 2, 3]), "no uint8 array of 3072 bytes for each of its 3 labels"),
        (dictionary(labels=items(integer(1)), data=text(b"xyz")), "no uint8 array"),
        (dictionary(data=array(THINGS)), "no valid labels"),
        (b"\x80\x02K\x01.", "holds no dictionary"),
        (b"", "cannot be read as CIFAR"),
    ],
)
def test_other_pickles_are_refused(tmp_path, content, message):
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_source(str(tmp_path))


def test_a_flipped_bit_in_an_archive_is_found(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    (tmp_path / "batch").write_bytes(cifar10(THINGS, range(6)))
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:  # Stored: any bytes can be unpacked.
        archive.add(tmp_path / "batch", "data_batch_1.bin")
    content = bytearray(path.read_bytes())
    content[content.index(THINGS[1].tobytes()[:100])] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="cifar-10-binary.tar.gz cannot be read as a tar archive: CRC check failed"):
        open_source(str(path))


def test_folders_that_are_called_like_cifars_files_are_folders_of_pictures(tmp_path):
    for folder in ("train", "meta"):
        (tmp_path / folder).mkdir()
        Image.fromarray(THINGS[0].transpose(1, 2, 0)).save(tmp_path / folder / "a.png")
    source = open_source(str(tmp_path))
    assert [source.name(index) for index in range(len(source))] == ["meta/a.png", "train/a.png"]
