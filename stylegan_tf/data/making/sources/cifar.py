"""CIFAR-10 and CIFAR-100, in the binary and in the Python version, as folders or as the archives that one downloads."""

import dataclasses
import io
import pathlib
import tarfile
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.data.making.sources import spool
from stylegan_tf.data.making.sources.archives import check_end
from stylegan_tf.data.making.sources.arrays import ArrayCollection
from stylegan_tf.data.making.sources.collection import LeftOut, one_hot
from stylegan_tf.data.making.sources.image_files import kind_of, others_in
from stylegan_tf.errors import UserError
from stylegan_tf.files.pickle_machine import DAMAGED, Call, Machine, Refusal
from stylegan_tf.files.pickle_names import NETWORKS, Known

# The same arrays of NumPy, in dictionaries.
_VOCABULARY = dataclasses.replace(
    NETWORKS, kind="file of CIFAR", advice="nothing in it was run; only CIFAR's files can be read"
)
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-100-binary", "cifar-10-batches-py", "cifar-100-python")
_CIFAR10 = tuple(f"data_batch_{number}{suffix}" for suffix in (".bin", "") for number in range(1, 6))
_DATA = (*_CIFAR10, "train.bin", "train")
_NAMES = ("batches.meta.txt", "fine_label_names.txt", "batches.meta", "meta")  # Of the classes.
_MAX_BYTES = 2**28  # The largest file has 154 MB.
_PIXELS = 3 * 32 * 32
_CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class _Batch(NamedTuple):
    images: np.ndarray  # uint8 [N, 3, 32, 32]
    classes: np.ndarray  # int [N]


def cifar_folder(folder: pathlib.Path) -> Optional[ArrayCollection]:
    """The training pictures in a folder, or in the folder that an archive makes in it; None for other folders."""
    for where in _FOLDERS:
        inside = folder / where
        files = [path.name for path in inside.iterdir() if path.is_file()] if inside.is_dir() else []
        names = _training_files(files)
        if names:
            wanted = [inside / name for name in (*names, *_NAMES) if (inside / name).is_file()]
            left_out = others_in(inside, [path.name for path in wanted])
            left_out += others_in(folder, [where]) if where else []
            return _collection({path.name: path.read_bytes() for path in wanted}, str(inside), wanted, left_out)
    return None


def cifar_archive(path: str) -> Optional[ArrayCollection]:
    """`cifar-10-binary.tar.gz`, `cifar-100-python.tar.gz` and so on, as downloaded; None for other tar archives."""
    left_out: list[LeftOut] = []
    contents = _members(path, left_out)
    return _collection(contents, path, [path], left_out) if _training_files(contents) else None


def _training_files(names: Iterable[str]) -> list[str]:
    """Those of one version of CIFAR among the names; [] if there are none.

    A file called `train` says little: CIFAR-100's has `meta` beside it.
    """
    names = set(names)
    ten = [name for name in _CIFAR10 if name in names]
    if ten:
        return [name for name in ten if name.endswith(".bin")] or ten
    if "train.bin" in names:
        return ["train.bin"]
    return ["train"] if {"train", "meta"} <= names else []


def _members(path: str, left_out: list[LeftOut]) -> dict[str, bytes]:
    """Contents of CIFAR's files by name; {} if there is anything that CIFAR does not have."""
    found: dict[str, bytes] = {}
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isreg() and name in (*_DATA, *_NAMES):
                if member.size > _MAX_BYTES:
                    return {}
                found[name] = archive.extractfile(member).read()
            elif name.lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
                return {}  # An archive of pictures, and perhaps a large one: do not read it to the end.
            elif not member.isdir():
                left_out.append(LeftOut(member.name, kind_of(member.name)))
        check_end(archive)
    return found


def _collection(contents: dict[str, bytes], where: str, read, left_out: Sequence[LeftOut]) -> ArrayCollection:
    files = _training_files(contents)
    try:
        batches = [_read(name, contents[name]) for name in files]
        names = next((_class_names(name, contents[name]) for name in _NAMES if name in contents), ())
    except (Refusal, ValueError) as error:
        advice = (error.advice or _VOCABULARY.advice) if isinstance(error, Refusal) else DAMAGED
        raise UserError(f"--source {where} cannot be read as CIFAR: {error}; {advice}.") from error
    images = np.concatenate([batch.images for batch in batches])
    classes = np.concatenate([batch.classes for batch in batches])
    if not names and files[0] in _CIFAR10:
        names = _CIFAR10_NAMES
    labels = one_hot(classes, names) if classes.max() < len(names) else one_hot(classes)
    return ArrayCollection(spool.saved(images), where, labels, left_out, [str(path) for path in read])


def _read(name: str, content: bytes) -> _Batch:
    if not name.endswith(".bin"):
        return _read_pickle(name, content)
    # A record is one label byte (CIFAR-100: coarse and fine) and 3x32x32 bytes of pixels.
    label_bytes = 2 if name == "train.bin" else 1
    size = label_bytes + _PIXELS
    if not content or len(content) % size:
        raise ValueError(f"{name} has {len(content)} bytes, which are no records of {size} bytes")
    table = np.frombuffer(content, np.uint8).reshape(-1, size)
    return _Batch(table[:, label_bytes:].reshape(-1, 3, 32, 32), table[:, label_bytes - 1].astype(np.int64))


def _read_pickle(name: str, content: bytes) -> _Batch:
    """The Python version: a dictionary in a pickle, of which nothing is ever run (see `pickle_machine`)."""
    batch = Machine(io.BytesIO(content), len(content), _VOCABULARY).run()
    if type(batch) is not dict:
        raise ValueError(f"{name} holds no dictionary")
    labels = batch.get("fine_labels", batch.get("labels"))
    if type(labels) is not list or not labels or not all(type(label) is int and 0 <= label < 1000 for label in labels):
        raise ValueError(f"{name} has no valid labels")
    data = _pixels(batch.get("data"))
    if data is None or len(data) != len(labels) * _PIXELS:
        raise ValueError(f"{name} has no uint8 array of 3072 bytes for each of its {len(labels)} labels as data")
    return _Batch(np.frombuffer(data, np.uint8).reshape(-1, 3, 32, 32), np.array(labels))


def _pixels(call) -> Optional[bytes]:
    """The bytes of a plain uint8 array; None for anything else."""
    if type(call) is not Call or call.kind is not Known.RECONSTRUCT or type(call.state) is not tuple:
        return None
    if len(call.state) != 5 or call.state[3]:  # (version, shape, data type, column-major, data)
        return None
    dtype, data = call.state[2], call.state[4]
    if type(dtype) is not Call or dtype.kind is not Known.DTYPE or dtype.args[:1] != ("u1",):
        return None
    if type(data) is Call and data.kind is Known.ENCODE and data.args[1:] == ("latin1",):
        data = data.args[0]
    return data.encode("latin-1") if type(data) is str else data if type(data) is bytes else None


def _class_names(name: str, content: bytes) -> tuple[str, ...]:
    if name.endswith(".txt"):
        return tuple(content.decode("utf-8", "replace").split())
    meta = Machine(io.BytesIO(content), len(content), _VOCABULARY).run()
    names = meta.get("fine_label_names", meta.get("label_names")) if type(meta) is dict else None
    if type(names) is not list or not all(type(entry) is str for entry in names):
        raise ValueError(f"{name} has no names of classes")
    return tuple(names)
