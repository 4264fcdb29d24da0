"""Builds files of PyTorch weights in both formats with Python's own pickler and stand-ins for PyTorch's classes."""

import io
import pickle
import struct
import zipfile
from typing import NamedTuple

import numpy as np

from tests.helpers.authors_pickles import Calls, Global, Pickler

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}
DICTIONARY = Global("collections", "OrderedDict")


class Storage(NamedTuple):
    """Numbers under a key."""

    key: str
    numbers: np.ndarray
    kind: object = None  # A Global; None: that of the numbers.
    device: str = "cpu"


class Kept:
    """Pickled as a reference to something outside the pickle."""

    def __init__(self, record):
        self.record = record

    def __call__(self):
        """The pickler asks only for what can be called."""


class TorchPickler(Pickler):
    def persistent_id(self, value):
        return value.record if isinstance(value, Kept) else None


def tensor(storage, shape, strides, offset=0, view=(), function="_rebuild_tensor_v2", rest=None):
    """A record of a tensor. view: what the old format adds to the record of the storage, (None,)."""
    kind = storage.kind or Global("torch", STORAGES[storage.numbers.dtype.newbyteorder("<").str])
    kept = Kept(("storage", kind, storage.key, storage.device, storage.numbers.size, *view))
    rest = (False, Calls(DICTIONARY)) if rest is None else rest
    return Calls(Global("torch._utils", function), kept, offset, shape, strides, *rest)


def dump(value, protocol=2):
    file = io.BytesIO()
    TorchPickler(file, protocol, "numpy.core").dump(value)
    return file.getvalue()


def zip_file(value, storages, extra=(), compression=zipfile.ZIP_STORED, folder="archive"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", value if isinstance(value, bytes) else dump(value))
        for storage in storages:
            archive.writestr(f"{folder}/data/{storage.key}", storage.numbers.tobytes())
        for name, data in extra:
            archive.writestr(f"{folder}/{name}", data)
    return file.getvalue()


def legacy_file(value, storages, little_endian=True, version=1001):
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(version, 2), dump(system)]
    parts += [value if isinstance(value, bytes) else dump(value), dump([storage.key for storage in storages])]
    for storage in storages:
        parts += [struct.pack("<q" if little_endian else ">q", storage.numbers.size), storage.numbers.tobytes()]
    return b"".join(parts)
