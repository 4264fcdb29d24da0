"""NumPy, HDF5, lmdb, SVHN: collections in one file or database."""

import io
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import open_source
from stylegan_tf.data.sources.opening import BadPicture

IMAGES = np.random.RandomState(0).randint(0, 256, [5, 8, 8, 3]).astype(np.uint8)


def assert_holds(path, expected, **options):
    original = open_source(str(path), SourceOptions(**options))  # Kept: a temporary file is deleted with it.
    source = pickle.loads(pickle.dumps(original))
    assert len(source) == len(expected)
    np.testing.assert_array_equal([source.read(index).image for index in range(len(source))], expected)
    return source


def test_npy_files_of_both_layouts_are_read(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    assert_holds(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "b.npy", IMAGES.transpose(0, 3, 1, 2))
    assert_holds(tmp_path / "b.npy", IMAGES)
    np.save(tmp_path / "c.npy", IMAGES[..., 0])
    assert assert_holds(tmp_path / "c.npy", IMAGES[..., :1]).num_channels == 1


def test_npz_files_bring_labels(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES, labels=np.array([2, 0, 1, 1, 0]))
    assert_holds(tmp_path / "a.npz", IMAGES)
    source = open_source(str(tmp_path / "a.npz"), SourceOptions(labels="classes"))
    assert source.labels.argmax(axis=1).tolist() == [2, 0, 1, 1, 0] and source.label_names == ("0", "1", "2")
    np.savez(tmp_path / "b.npz", whatever=IMAGES)
    assert_holds(tmp_path / "b.npz", IMAGES)


@pytest.mark.parametrize(
    "name, array, message",
    [
        ("a.npy", np.zeros([3, 8, 8, 3], np.float32), "00000000 does not fit: it holds float32 from 0 to 0: `white=N`"),
        ("a.npy", np.zeros([3, 18, 18, 18], np.uint8), "1 to 16 channels"),
        ("a.npy", IMAGES[0], r"a.npy holds uint8 .8, 8, 3.: is it one picture\? Save it as"),
        ("a.npy", np.array([{}, {}], dtype=object), "cannot be read as a .npy file.*Python objects"),
        ("a.npz", {"first": IMAGES, "second": IMAGES}, "should have an array 'images', found: first, second"),
        ("a.npz", {"dlatents": np.zeros([3, 8, 16], np.float32)}, "a.npz holds dlatents, not pictures"),
        ("a.npz", {"images": IMAGES, "labels": np.zeros(4, int)}, "labels holds int64 .4., expected class numbers .5."),
        ("a.npz", {"images": np.array([None])}, "cannot be read as a .npz file"),
    ],
)
def test_other_arrays_are_refused(tmp_path, name, array, message):
    if isinstance(array, dict):
        np.savez(tmp_path / name, **array)
    else:
        np.save(tmp_path / name, array)
    with pytest.raises(UserError, match=message):
        open_source(str(tmp_path / name), SourceOptions(labels="classes"))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["cat", "dog", "owl", "cat", "cat"]),
        np.zeros([5, 8, 8]),
        [0, 1, np.nan, 2, 2],
        [0, 1, -1, 0, 0],
        [None],
    ],
)
def test_labels_that_nobody_asks_for_may_be_anything(tmp_path, labels):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=labels)
    source = assert_holds(tmp_path / "a.npz", IMAGES)
    assert source.notes == ("the source has labels, which are not used: `labels=classes`.",)
    with pytest.raises(UserError, match="a.npz|class numbers start at 0"):
        open_source(str(tmp_path / "a.npz"), SourceOptions(labels="classes"))


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.mat"])
def test_damaged_files_are_named(tmp_path, name):
    if name == "a.h5":
        pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(b"broken" * 100)
    with pytest.raises(UserError, match=f"{name} cannot be read as"):
        open_source(str(tmp_path / name))


def test_hdf5_files_give_their_largest_pictures(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data4x4"] = IMAGES[:, ::2, ::2].transpose(0, 3, 1, 2)
        file["data8x8"] = IMAGES.transpose(0, 3, 1, 2)
        file["labels"] = np.array([0, 1, 0, 1, 1], np.uint8)
    assert_holds(tmp_path / "a.h5", IMAGES)
    assert open_source(str(tmp_path / "a.h5"), SourceOptions(labels="classes")).labels.argmax(axis=1).tolist() == [
        0,
        1,
        0,
        1,
        1,
    ]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["numbers"] = np.zeros([3, 4])
    with pytest.raises(UserError, match="holds no pictures.*numbers float64"):
        open_source(str(tmp_path / "b.h5"))


def test_an_hdf5_dataset_that_was_never_written_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", IMAGES.shape, np.uint8)
    with pytest.raises(UserError, match="a.h5 was never finished: nothing was written to its images"):
        open_source(str(tmp_path / "a.h5"))


@pytest.mark.parametrize("name", ["a.mat", "a.h5"])
def test_arrays_of_matlab_7_3_are_refused(tmp_path, name):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
        file.create_dataset("X", data=IMAGES.transpose(0, 3, 2, 1)).attrs["MATLAB_class"] = np.bytes_("uint8")
    with open(tmp_path / name, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    with pytest.raises(UserError, match=f"{name} is a MATLAB v7.3 file, whose arrays have their axes in reverse order"):
        open_source(str(tmp_path / name))


def test_svhn_files_are_read(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    labels = np.array([[1], [10], [9], [2], [10]], np.uint8)
    scipy_io.savemat(tmp_path / "train_32x32.mat", {"X": IMAGES.transpose(1, 2, 3, 0), "y": labels})
    assert_holds(tmp_path / "train_32x32.mat", IMAGES)
    source = open_source(str(tmp_path / "train_32x32.mat"), SourceOptions(labels="classes"))
    assert source.labels.argmax(axis=1).tolist() == [1, 0, 9, 2, 0] and source.labels.shape == (5, 10)
    scipy_io.savemat(tmp_path / "other.mat", {"Y": labels})
    with pytest.raises(UserError, match="should have X"):
        open_source(str(tmp_path / "other.mat"))


def test_lsun_databases_are_read(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "db"), map_size=2**20) as database, database.begin(write=True) as transaction:
        for index, image in enumerate(IMAGES):
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "WEBP", lossless=True)
            transaction.put(f"key{index}".encode(), stream.getvalue())
    source = assert_holds(tmp_path / "db", IMAGES)
    assert source.name(3) == "key3"
    lmdb.open(str(tmp_path / "empty"), map_size=2**20).close()
    with pytest.raises(UserError, match="is an empty lmdb database"):
        open_source(str(tmp_path / "empty"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "data.mdb").write_bytes(b"broken" * 1000)
    with pytest.raises(UserError, match="cannot be read as an lmdb database"):
        open_source(str(tmp_path / "broken"))


def test_a_database_that_is_cut_off_is_refused(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "db"), map_size=2**24) as database, database.begin(write=True) as transaction:
        for index in range(300):  # Pages of branches, of leaves, and values on pages of their own.
            transaction.put(f"key{index:03d}".encode(), bytes([index % 256]) * (10_000 if index % 7 == 0 else 100))
    source = open_source(str(tmp_path / "db"), SourceOptions(resolution=8))
    stored = source._collection
    assert [stored.name(index) for index in range(300)] == [f"key{index:03d}" for index in range(300)]
    for index in range(300):
        assert stored.read(index) == bytes([index % 256]) * (10_000 if index % 7 == 0 else 100)
    data = (tmp_path / "db" / "data.mdb").read_bytes()
    for size in (0, 100, 5000, 20_000, len(data) - 1000):
        (tmp_path / "db" / "data.mdb").write_bytes(data[:size])
        with pytest.raises(UserError, match="cannot be read as an lmdb database.*(cut off|behind the file's end)"):
            open_source(str(tmp_path / "db"), SourceOptions(resolution=8))


def test_a_damaged_piece_of_an_hdf5_file_is_a_bad_picture(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=IMAGES, chunks=(1, 8, 8, 3), compression="gzip", fletcher32=True)
        place = file["images"].id.get_chunk_info(2)
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[place.byte_offset + 20] ^= 0xFF
    (tmp_path / "a.h5").write_bytes(data)
    source = open_source(str(tmp_path / "a.h5"))
    with pytest.raises(BadPicture, match="00000002 cannot be read as an image"):
        source.read(2)
    np.testing.assert_array_equal(source.read(3).image, IMAGES[3])


@pytest.mark.parametrize("module, name", [("h5py", "a.h5"), ("scipy", "a.mat")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)  # Imports of it fail.
    monkeypatch.setitem(sys.modules, module + ".io", None)
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(UserError, match=f"needs the Python package {module}: pip install {module}"):
        open_source(str(tmp_path / name))
