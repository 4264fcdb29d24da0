"""Well-known sets as they are downloaded: CelebA, CIFAR-10 and CIFAR-100, MNIST and the like."""

import dataclasses
import functools
import gzip
import io
import pathlib
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.demo import Attribute
from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.archives import ZipCollection, check_tar_end
from stylegan_tf.data.sources.arrays import ArrayCollection
from stylegan_tf.data.sources.collection import Collection, Labels, Skipped, one_hot
from stylegan_tf.data.sources.image_files import NamedCollection, folder_collection, kind_of, other_entries
from stylegan_tf.data.sources.opening import BadPicture, open_picture
from stylegan_tf.files.pickle_machine import DAMAGED, NETWORKS, Call, Known, Machine, Refusal

# CelebA: a folder or a zip archive of JPEGs, and a table of attributes.

IMAGES, ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
_BESIDE = ("Img", IMAGES, "Anno", "Eval", ATTRIBUTES, ATTRIBUTES.replace(".txt", ".csv"))
_SIZE = (178, 218)
_LEFT, _TOP, _SIDE = 89 - 64, 121 - 64, 128  # The square around (89, 121) that the ProGAN paper uses.


class CelebACollection(Collection):
    """The central 128x128 pixels of the aligned faces."""

    def __init__(self, files: NamedCollection, near: Iterable[pathlib.Path]):
        """near: folders in which the attributes may be."""
        self._files, self._count, self.skipped = files, len(files), files.skipped
        names = (ATTRIBUTES, ATTRIBUTES.replace(".txt", ".csv"))
        places = (folder / inside / name for folder in near for inside in ("", "Anno") for name in names)
        self._attributes_path = next((path for path in places if path.is_file()), None)

    def name(self, index: int) -> str:
        return self._files.name(index)

    def fingerprint(self, index: int) -> str:
        return self._files.fingerprint(index)

    def read_other(self, name: str) -> Optional[bytes]:
        return self._files.read_other(name)

    def read(self, index: int) -> np.ndarray:
        with open_picture(self._files.read(index)) as image:
            if image.size != _SIZE:
                raise BadPicture(f"has {image.width}x{image.height} pixels, expected {_SIZE[0]}x{_SIZE[1]}")
            return np.asarray(image.convert("RGB").crop((_LEFT, _TOP, _LEFT + _SIDE, _TOP + _SIDE)))

    def attributes(self) -> Optional[dict[str, Attribute]]:
        """The 40 attributes, each "no" or "yes"."""
        if self._attributes_path is None:
            raise UserError(f"{ATTRIBUTES} is missing next to {IMAGES}: `labels` needs it.")
        with reading.reading_source(str(self._attributes_path), "CelebA's attributes"):
            return _read_attributes(
                self._attributes_path, [self.name(index).rpartition("/")[2] for index in range(len(self))]
            )


def celeba_folder(folder: pathlib.Path) -> Optional[CelebACollection]:
    """None for other folders."""
    for images in (folder / IMAGES, folder / "Img" / IMAGES, folder):
        if images.name == IMAGES and images.is_dir():
            inner = images / IMAGES
            images = inner if inner.is_dir() else images
            above = [images, *list(images.parents)[:3]]
            found = CelebACollection(folder_collection(images), [folder, *above])
            if images.parent == folder or images.parent.parent == folder:
                found.skipped = [*found.skipped, *other_entries(folder, _BESIDE)]
            return found
    return None


def celeba_zip(path: pathlib.Path) -> Optional[CelebACollection]:
    """`img_align_celeba.zip`; None for other archives."""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith(".jpg")), "")
    if not name.startswith(IMAGES + "/"):
        return None
    return CelebACollection(ZipCollection(str(path)), (path.parent, path.parent.parent))


def _read_attributes(path: pathlib.Path, names: list[str]) -> dict[str, Attribute]:
    """A line with the number of pictures, one with the attributes' names, then a file name and -1 or 1 for each.

    The .csv has no first line, and the column of the files also has a name.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if path.suffix == ".csv":
        lines = [line.replace(",", " ") for line in lines]
        lines = ["", (lines or [""])[0].partition(" ")[2], *lines[1:]]
    attributes = lines[1].split() if len(lines) > 1 else []
    rows = {}
    for number, line in enumerate(lines[2:], start=2 if path.suffix == ".csv" else 3):
        name, *values = line.split() or [""]
        if not name:
            continue
        if len(values) != len(attributes) or not set(values) <= {"-1", "1"}:
            raise UserError(f"line {number} of {path} should have a name and {len(attributes)} values of -1 or 1.")
        if name in rows:
            raise UserError(f"line {number} of {path} names {name} a second time.")
        rows[name] = [value == "1" for value in values]
    missing = [name for name in names if name not in rows]
    if missing or not attributes:
        raise UserError(f"{path} has no line for {missing[0] if missing else 'any picture'}.")
    table = np.array([rows[name] for name in names], np.uint8)  # [N, attributes]
    return {name: Attribute(("no", "yes"), table[:, column]) for column, name in enumerate(attributes)}


# CIFAR: batches of records, or of pickles that hold arrays of NumPy in dictionaries.

_VOCABULARY = dataclasses.replace(
    NETWORKS, kind="file of CIFAR", advice="nothing in it was run; only CIFAR's files can be read"
)
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-100-binary", "cifar-10-batches-py", "cifar-100-python")
_CIFAR10 = tuple(f"data_batch_{number}{suffix}" for suffix in (".bin", "") for number in range(1, 6))
_DATA = (*_CIFAR10, "train.bin", "train")
_NAMES = ("batches.meta.txt", "fine_label_names.txt", "batches.meta", "meta")  # Files with the names of the classes.
_MAX_BYTES = 2**28  # The largest file has 154 MB.
_PIXELS = 3 * 32 * 32
_CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar_folder(folder: pathlib.Path) -> Optional[ArrayCollection]:
    """The training pictures in a folder, or in the folder that an archive makes in it; None for other folders."""
    for where in _FOLDERS:
        inside = folder / where
        files = [path.name for path in inside.iterdir() if path.is_file()] if inside.is_dir() else []
        names = _training_files(files)
        if names:
            wanted = [inside / name for name in (*names, *_NAMES) if (inside / name).is_file()]
            skipped = other_entries(inside, [path.name for path in wanted])
            skipped += other_entries(folder, [where]) if where else []
            return _collection({path.name: path.read_bytes() for path in wanted}, str(inside), wanted, skipped)
    return None


def cifar_archive(path: str) -> Optional[ArrayCollection]:
    """`cifar-10-binary.tar.gz`, `cifar-100-python.tar.gz` and so on, as downloaded; None for other tar archives."""
    skipped: list[Skipped] = []
    contents = _members(path, skipped)
    return _collection(contents, path, [path], skipped) if _training_files(contents) else None


def _training_files(names: Iterable[str]) -> list[str]:
    """Those of one version of CIFAR among the names; [] if there are none.

    A file called `train` says little: CIFAR-100's has `meta` next to it.
    """
    names = set(names)
    ten = [name for name in _CIFAR10 if name in names]
    if ten:
        return [name for name in ten if name.endswith(".bin")] or ten
    if "train.bin" in names:
        return ["train.bin"]
    return ["train"] if {"train", "meta"} <= names else []


def _members(path: str, skipped: list[Skipped]) -> dict[str, bytes]:
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
                skipped.append(Skipped(member.name, kind_of(member.name)))
        check_tar_end(archive)
    return found


def _collection(contents: dict[str, bytes], where: str, read, skipped: Sequence[Skipped]) -> ArrayCollection:
    files = _training_files(contents)
    try:
        batches = [_read(name, contents[name]) for name in files]
        names = next((_class_names(name, contents[name]) for name in _NAMES if name in contents), ())
    except (Refusal, ValueError) as error:
        advice = (error.advice or _VOCABULARY.advice) if isinstance(error, Refusal) else DAMAGED
        raise UserError(f"`source` {where} cannot be read as CIFAR: {error}; {advice}.") from error
    images, classes = (np.concatenate(parts) for parts in zip(*batches))
    if files[0] in _CIFAR10:
        names = names or _CIFAR10_NAMES
        if len(files) < 5:
            raise UserError(f"`source` {where} is incomplete: it holds {', '.join(files)} of CIFAR-10's five batches.")
    labels = functools.partial(one_hot, classes, names if classes.max() < len(names) else None)
    return ArrayCollection(reading.saved(images), where, labels, skipped, [str(path) for path in read])


def _read(name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, 3, 32, 32] and int [N], the classes."""
    if not name.endswith(".bin"):
        return _read_pickle(name, content)
    # A record is one label byte (CIFAR-100: coarse and fine) and 3x32x32 bytes of pixels.
    label_bytes = 2 if name == "train.bin" else 1
    size = label_bytes + _PIXELS
    if not content or len(content) % size:
        raise ValueError(f"{name} has {len(content)} bytes, which is not a multiple of the record size {size}")
    table = np.frombuffer(content, np.uint8).reshape(-1, size)
    return table[:, label_bytes:].reshape(-1, 3, 32, 32), table[:, label_bytes - 1].astype(np.int64)


def _read_pickle(name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The Python version: a dictionary in a pickle, nothing of which is ever run (see `pickle_machine`)."""
    batch = Machine(io.BytesIO(content), len(content), _VOCABULARY).run()
    if type(batch) is not dict:
        raise ValueError(f"{name} holds no dictionary")
    labels = batch.get("fine_labels", batch.get("labels"))
    if type(labels) is not list or not labels or not all(type(label) is int and 0 <= label < 1000 for label in labels):
        raise ValueError(f"{name} has no valid labels")
    data = _pixels(batch.get("data"))
    if data is None or len(data) != len(labels) * _PIXELS:
        raise ValueError(f"{name} has no uint8 array of 3072 bytes for each of its {len(labels)} labels as data")
    return np.frombuffer(data, np.uint8).reshape(-1, 3, 32, 32), np.array(labels)


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
    if type(names) is not list or not all(type(entry) is str and entry.isprintable() for entry in names):
        raise ValueError(f"{name} has no names of classes")
    return tuple(names)


# MNIST, Fashion-MNIST, KMNIST, QMNIST: idx files, compressed or not.

_IDX_IMAGES = ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte")
_SETS = ("MNIST", "FashionMNIST", "KMNIST", "QMNIST")
_MNIST_FOLDERS = ("", "raw", *(f"{name}/raw" for name in _SETS), *_SETS)


class IdxCollection(ArrayCollection):
    """MNIST's format. Pictures of 28x28 pixels get two black pixels on each side: 32x32, as in the authors' sets."""

    def __init__(self, path: pathlib.Path):
        images = _read_idx(path)
        if images.ndim != 3:
            raise UserError(f"`source` {path} holds an array {list(images.shape)}, expected pictures [N, H, W].")
        if images.shape[1:] == (28, 28):
            images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
        labels_path = _labels_of(path)
        labels = labels_path and functools.partial(_idx_labels, labels_path, len(images))
        used = [path.name, *([] if labels_path is None else [labels_path.name])]
        super().__init__(reading.saved(images), str(path), labels, other_entries(path.parent, used))


def _idx_labels(path: pathlib.Path, count: int) -> Labels:
    labels = _read_idx(path)
    if labels.shape != (count,):
        raise UserError(f"{path} holds {list(labels.shape)} labels, expected [{count}].")
    return one_hot(labels, tuple("0123456789") if labels.max() < 10 else None)


def idx_file(folder: pathlib.Path) -> Optional[pathlib.Path]:
    """The training images of an MNIST-like set in a folder or where torchvision puts them inside; compressed or not."""
    names = [name + suffix for name in _IDX_IMAGES for suffix in ("", ".gz")]
    candidates = (folder / inside / name for inside in _MNIST_FOLDERS for name in names)
    found = {path.parent: path for path in reversed(list(candidates)) if path.is_file()}
    if len(found) > 1:
        sets = ", ".join(map(str, found))
        raise UserError(f"`source` {folder} holds several sets ({sets}): give one of the folders.")
    return next(iter(found.values()), None)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Two zero bytes, type 8 (uint8), number of axes, their sizes as big-endian int32, the data."""
    with reading.reading_source(str(path), "an idx file"):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            head = stream.read(4)
            if len(head) != 4 or head[:3] != b"\x00\x00\x08" or not 1 <= head[3] <= 4:
                raise UserError(f"{path} is not an idx file of bytes, as MNIST's files are.")
            shape = tuple(np.frombuffer(stream.read(4 * head[3]), ">i4").tolist())
            data = stream.read()
    if len(shape) != head[3] or min(shape) < 1 or len(data) != int(np.prod(shape, dtype=np.int64)):
        raise UserError(f"{path} is damaged: it has {len(data)} bytes of data for an array {list(shape)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _labels_of(path: pathlib.Path) -> Optional[pathlib.Path]:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    others = (labels, labels.with_suffix("") if labels.suffix == ".gz" else labels.with_name(labels.name + ".gz"))
    return next((other for other in others if other.is_file() and other != path), None)
