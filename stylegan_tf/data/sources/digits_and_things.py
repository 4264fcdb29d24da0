"""The small classics in the files of their web pages: MNIST, Fashion-MNIST (idx), CIFAR-10, CIFAR-100 (binary)."""

import gzip
import pathlib
import tarfile
import zlib
from typing import Optional

import numpy as np

from stylegan_tf.data.sources import spool
from stylegan_tf.data.sources.arrays import ArrayCollection
from stylegan_tf.data.sources.collection import Collection, Labels, one_hot
from stylegan_tf.errors import UserError

_IDX_IMAGES = ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte")
_CIFAR10_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_PIXELS = 3 * 32 * 32
_CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class IdxCollection(Collection):
    """MNIST's format. Pictures of 28x28 pixels get two black pixels on each side: 32x32, as in the authors' sets."""

    num_channels = 1

    def __init__(self, path: pathlib.Path):
        images = _read_idx(path)
        if images.ndim != 3:
            raise UserError(f"--source {path} holds an array {list(images.shape)}, expected pictures [N, H, W].")
        if images.shape[1:] == (28, 28):
            images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
        self._images, self._count = spool.saved(images), len(images)
        self._labels_path = _labels_of(path)

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> np.ndarray:
        return np.array(self._images.get()[index])

    def classes(self) -> Optional[Labels]:
        if self._labels_path is None:
            return None
        labels = _read_idx(self._labels_path)
        if labels.shape != (self._count,):
            raise UserError(f"{self._labels_path} holds {list(labels.shape)} labels, expected [{self._count}].")
        return one_hot(labels)


def idx_file(folder: pathlib.Path) -> Optional[pathlib.Path]:
    """The training images of an MNIST-like set in a folder, compressed or not."""
    candidates = (folder / (name + suffix) for name in _IDX_IMAGES for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def cifar_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The training files of the binary version in a folder, or in the folder that its archive makes."""
    for inside in (folder, folder / "cifar-10-batches-bin", folder / "cifar-100-binary"):
        ten = [inside / name for name in _CIFAR10_FILES if (inside / name).is_file()]
        if ten:
            return ten
        if (inside / "train.bin").is_file():
            return [inside / "train.bin"]
    return []


def cifar_collection(files: list[pathlib.Path]) -> ArrayCollection:
    """Files of one folder; `<...>.meta.txt` or `fine_label_names.txt` beside them name the classes."""
    contents = [path.read_bytes() for path in files]
    names_file = files[0].parent / ("batches.meta.txt" if len(files) > 1 or "data" in files[0].name else
                                    "fine_label_names.txt")
    names = names_file.read_text(encoding="utf-8").split() if names_file.is_file() else []
    return _cifar([path.name for path in files], contents, names, str(files[0].parent))


def cifar_archive(path: str) -> Optional[ArrayCollection]:
    """`cifar-10-binary.tar.gz` or `cifar-100-binary.tar.gz` as downloaded; None for other tar archives."""
    try:
        wanted = _cifar_members(path)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UserError(f"--source {path} cannot be read as a tar archive: {error}.") from error
    files = sorted(name for name in wanted if name.endswith(".bin"))
    if not files:
        return None
    text = wanted.get("batches.meta.txt", wanted.get("fine_label_names.txt", b"")).decode("utf-8", "replace")
    return _cifar(files, [wanted[name] for name in files], text.split(), path)


def _cifar_members(path: str) -> dict[str, bytes]:
    """Contents of CIFAR's files by name; {} if there is anything that CIFAR does not have."""
    with tarfile.open(path, "r:*") as archive:
        wanted: dict[str, bytes] = {}
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name.startswith("data_batch_") and not name.endswith(".bin"):
                raise _python_version(path)
            is_data = name in _CIFAR10_FILES or name == "train.bin"
            if member.isreg() and (is_data or name in ("batches.meta.txt", "fine_label_names.txt")):
                if member.size > 2**28:
                    return {}  # CIFAR's largest file has 154 MB.
                wanted[name] = archive.extractfile(member).read()
            elif name.lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
                return {}  # An archive of pictures, and perhaps a large one: do not read it to the end.
    return wanted


def refuse_python_version(folder: pathlib.Path) -> None:
    """CIFAR's "python version" is a pickle, which is a program: it is never run here."""
    for inside in (folder, folder / "cifar-10-batches-py", folder / "cifar-100-python"):
        if (inside / "data_batch_1").is_file() or ((inside / "train").is_file() and (inside / "meta").is_file()):
            raise _python_version(inside)


def _python_version(where) -> UserError:
    return UserError(f"--source {where} is the Python version of CIFAR: its files are pickles, which are programs and "
                     "are not run here. Download the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz).")


def _cifar(file_names, contents: list[bytes], names: list[str], where: str) -> ArrayCollection:
    """A record is one label byte (CIFAR-100: coarse and fine) and 3x32x32 bytes of pixels."""
    label_bytes = 2 if "train.bin" in file_names else 1
    size = label_bytes + _PIXELS
    for name, content in zip(file_names, contents):
        if not content or len(content) % size:
            raise UserError(f"{name} in {where} has {len(content)} bytes, which are no records of {size} bytes.")
    table = np.concatenate([np.frombuffer(content, np.uint8).reshape(-1, size) for content in contents])
    images = table[:, label_bytes:].reshape(-1, 3, 32, 32)
    classes = table[:, label_bytes - 1]
    if not names and label_bytes == 1:
        names = list(_CIFAR10_NAMES)
    labels = one_hot(classes, tuple(names)) if names and classes.max() < len(names) else one_hot(classes)
    return ArrayCollection(spool.saved(np.ascontiguousarray(images)), where, labels)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Two zero bytes, type 8 (uint8), number of axes, their sizes as big-endian int32, the data."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            head = stream.read(4)
            if len(head) != 4 or head[:3] != b"\x00\x00\x08" or not 1 <= head[3] <= 4:
                raise UserError(f"{path} is not an idx file of bytes, as MNIST's files are.")
            shape = tuple(np.frombuffer(stream.read(4 * head[3]), ">i4").tolist())
            data = stream.read()
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}.") from error
    if len(shape) != head[3] or min(shape) < 1 or len(data) != int(np.prod(shape, dtype=np.int64)):
        raise UserError(f"{path} is damaged: it has {len(data)} bytes of data for an array {list(shape)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _labels_of(path: pathlib.Path) -> Optional[pathlib.Path]:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    others = (labels, labels.with_suffix("") if labels.suffix == ".gz" else labels.with_name(labels.name + ".gz"))
    return next((other for other in others if other.is_file() and other != path), None)
