"""Small valid inputs of every kind that `create_tfrecords` takes, for damaging them."""

import gzip
import io
import json
import pickle
import tarfile
import zipfile
from typing import Callable, NamedTuple

import numpy as np
from PIL import Image

COUNT = 6  # Pictures of every source.
IMAGES = np.random.RandomState(0).randint(0, 256, [COUNT, 8, 8, 3]).astype(np.uint8)
CLASSES = np.array([0, 1, 2, 0, 1, 2])


class Case(NamedTuple):
    """`files`: path -> content; `target`: what is damaged ("": a random one); `source` and `labels`: the flags.

    counted: whether damage to it can be told, so that no picture may be lost without a word.
    """

    files: dict
    source: str
    labels: str = ""
    target: str = ""
    counted: bool = True


def picture(index: int, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(IMAGES[index]).save(stream, kind, **options)
    return stream.getvalue()


def pictures(prefix: str = "") -> dict:
    kinds = [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tif"), ("WEBP", "webp")]
    return {f"{prefix}c{CLASSES[i]}/{i}.{suffix}": picture(i, kind) for i, (kind, suffix) in enumerate(kinds)}


def zipped(files: dict, compression=zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def tarred(files: dict, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def saved(array, **arrays) -> bytes:
    stream = io.BytesIO()
    if arrays:
        np.savez_compressed(stream, images=array, **arrays)
    else:
        np.save(stream, array)
    return stream.getvalue()


def idx(array) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def _hdf5() -> Case:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="latest") as file:
        file.create_dataset("images", data=IMAGES, chunks=(2, 8, 8, 3), compression="gzip", fletcher32=True)
        file["labels"] = CLASSES
    return Case({"a.h5": stream.getvalue()}, "a.h5", "classes", counted=False)  # Some heads have no checksum.


def _mat() -> Case:
    from scipy import io as scipy_io

    stream = io.BytesIO()
    content = {"X": IMAGES.transpose(1, 2, 3, 0), "y": CLASSES[:, np.newaxis] + 1}
    scipy_io.savemat(stream, content, do_compression=True)
    return Case({"a.mat": stream.getvalue()}, "a.mat", "classes")


def _lmdb() -> Case:
    import tempfile

    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=2**20) as database, database.begin(write=True) as transaction:
            for index in range(COUNT):
                extra = bytes(5000) if index == 3 else b""  # One has pages of its own.
                transaction.put(f"key{index}".encode(), picture(index) + extra)
        with open(f"{folder}/data.mdb", "rb") as stream:
            return Case({"db/data.mdb": stream.read()}, "db")


def _table(kind: str) -> Case:
    import pyarrow
    import pyarrow.parquet

    images = [{"bytes": picture(index), "path": None} for index in range(COUNT)]
    table, stream = pyarrow.table({"image": images, "label": CLASSES}), io.BytesIO()
    if kind == "parquet":
        pyarrow.parquet.write_table(table, stream, row_group_size=4)
    else:
        with pyarrow.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
    return Case({f"a.{kind}": stream.getvalue()}, f"a.{kind}", "classes")


def _planes() -> Case:
    import tifffile

    files = {}
    for index in range(COUNT):
        stream, values = io.BytesIO(), np.concatenate([IMAGES[index], IMAGES[index]], axis=-1)
        options = {"photometric": "minisblack", "planarconfig": "contig", "compression": ["zlib", None][index % 2]}
        tifffile.imwrite(stream, values, **options)
        files[f"p/{index}.tif"] = stream.getvalue()
    return Case(files, "p")


def _mnist(suffix: str) -> Case:
    write = gzip.compress if suffix else bytes
    files = {
        f"m/train-images-idx3-ubyte{suffix}": write(idx(np.zeros([COUNT, 28, 28], np.uint8))),
        f"m/train-labels-idx1-ubyte{suffix}": write(idx(CLASSES.astype(np.uint8))),
    }
    return Case(files, "m", "classes")


def _cifar_python() -> dict:
    """The first batch with two pictures, the other four with one each."""
    parts = [[0, 1], [2], [3], [4], [5]]
    batches = [{"data": np.zeros([len(part), 3072], np.uint8), "labels": CLASSES[part].tolist()} for part in parts]
    return {f"c/data_batch_{number}": pickle.dumps(batch, protocol=2) for number, batch in enumerate(batches, start=1)}


def _cifar_binary() -> dict:
    return {f"c/data_batch_{number}.bin": bytes(3073 * (1 + (number == 1))) for number in range(1, 6)}


def _celeba() -> Case:
    stream = io.BytesIO()
    Image.new("RGB", (178, 218)).save(stream, "JPEG")
    files = {f"f/img_align_celeba/{i:06d}.jpg": stream.getvalue() for i in range(COUNT)}
    lines = ["6", "Bald Smiling", *(f"{i:06d}.jpg 1 {-1 if i % 2 else 1}" for i in range(COUNT))]
    return Case({**files, "f/list_attr_celeba.txt": "\n".join(lines).encode()}, "f", "Smiling")


def _tfrecords(encoding: str) -> Case:
    import pathlib
    import tempfile

    from stylegan_tf.config import WriteOptions
    from stylegan_tf.data.making.writer import write_tfrecords
    from tests.helpers.array_source import ArraySource

    with tempfile.TemporaryDirectory() as folder:
        labels = np.eye(3, dtype=np.float32)[CLASSES]
        options = WriteOptions(2, encoding=encoding)
        made = write_tfrecords(ArraySource(IMAGES, labels, ("a", "b", "c")), pathlib.Path(folder) / "t", options)
        return Case({f"t/{path.name}": path.read_bytes() for path in made.iterdir()}, "t", "classes")


def _labelled(name: str, content: bytes) -> Case:
    return Case({**pictures("p/"), name: content}, "p", name, target=name)


def _json(pairs) -> bytes:
    return json.dumps({"labels": pairs}).encode()


_NAMES = [name.removeprefix("p/") for name in pictures("p/")]
_TABLE = [[name, [float(i), 0.5]] for i, name in enumerate(_NAMES)]
_FLAGS = """\
# A comment.
--source=synthetic
--max_images=4
--resolution=8
--seed=7
--fit=crop
--filter=box
--channels=3
--background=#102030
--white=255
--noskip_bad
--encoding=png
--workers=1
--shard_mb=0.01
--labels=none
"""
KINDS: dict[str, Callable[[], Case]] = {
    "folder": lambda: Case(pictures("p/"), "p", "folders"),
    "gray_16": lambda: Case({f"p/{i}.png": _wide(i) for i in range(COUNT)}, "p"),
    "zip": lambda: Case({"a.zip": zipped(pictures("x/"))}, "a.zip", "folders"),
    "zip_deflated": lambda: Case({"a.zip": zipped(pictures(), zipfile.ZIP_DEFLATED)}, "a.zip"),
    "zip_lzma": lambda: Case({"a.zip": zipped(pictures(), zipfile.ZIP_LZMA)}, "a.zip"),
    "tar": lambda: Case({"a.tar": tarred(pictures())}, "a.tar", "folders"),
    "tar_gz": lambda: Case({"a.tar.gz": tarred(pictures(), "w:gz")}, "a.tar.gz"),
    "tar_xz": lambda: Case({"a.tar.xz": tarred(pictures(), "w:xz")}, "a.tar.xz"),
    "tar_bz2": lambda: Case({"a.tar.bz2": tarred(pictures(), "w:bz2")}, "a.tar.bz2"),
    "list": lambda: Case({**pictures("p/"), "a.txt": "\n".join(pictures("p/")).encode()}, "a.txt", "", "a.txt", False),
    "npy": lambda: Case({"a.npy": saved(IMAGES)}, "a.npy"),
    "npz": lambda: Case({"a.npz": saved(IMAGES, labels=CLASSES)}, "a.npz", "classes"),
    "hdf5": _hdf5,
    "mat": _mat,
    "lmdb": _lmdb,
    "parquet": lambda: _table("parquet"),
    "arrow": lambda: _table("arrow"),
    "planes": _planes,
    "mnist": lambda: _mnist(""),
    "mnist_gz": lambda: _mnist(".gz"),
    "cifar_binary": lambda: Case(_cifar_binary(), "c", "classes", counted=False),
    "cifar_python": lambda: Case(_cifar_python(), "c", "classes"),
    "cifar_archive": lambda: Case({"c.tar.gz": tarred(_cifar_python(), "w:gz")}, "c.tar.gz", "classes"),
    "celeba": _celeba,
    "tfrecords": lambda: _tfrecords("raw"),
    "tfrecords_png": lambda: _tfrecords("png"),
    "labels_json": lambda: _labelled("l.json", _json([[name, i % 3] for i, name in enumerate(_NAMES)])),
    "labels_json_numbers": lambda: _labelled("l.json", _json(dict(_TABLE))),
    "labels_csv": lambda: _labelled("l.csv", "\n".join(["file,class"] + [f"{n},c{n[-1]}" for n in _NAMES]).encode()),
    "labels_csv_numbers": lambda: _labelled("l.csv", "\n".join(["id,a,b"] + [f"{n},1,2.5" for n in _NAMES]).encode()),
    "flag_file": lambda: Case({"a.cfg": _FLAGS.encode()}, "", target="a.cfg"),  # The command, with these flags.
    "labels_npy": lambda: _labelled("l.npy", saved(CLASSES.astype(np.float64) / 2)),
}


def _wide(index: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(IMAGES[index, :, :, 0].astype(np.uint16) * 16).save(stream, "PNG")
    return stream.getvalue()
