"""Reads files of weights that PyTorch has saved, without PyTorch and without running anything that is in them.

A `.pth` file is a pickle of a dictionary of tensors; the numbers are stored outside the pickle, in storages that
tensors may share. There are two formats: a zip archive (since PyTorch 1.6) of `NAME/data.pkl` and `NAME/data/KEY`, and
before that several pickles one after the other, then the storages. `pickle_machine` reads the pickles.

Memory: every size is checked against the bytes that are there before anything is allocated.
"""

import io
import math
import os
import struct
import zipfile
from dataclasses import dataclass
from enum import Enum

import numpy as np

from stylegan_tf.files.pickle_machine import (
    DAMAGED,
    Call,
    Known,
    Machine,
    Refusal,
    Vocabulary,
    described,
    opened,
    shown,
)

_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # The pickle of the number that starts a file of the old format.
_PROTOCOL = b"\x80\x02M\xe9\x03."  # That of 1001.
# The tensors together may have this many times the file's bytes: float16 doubles, and storages are shared.
_LARGEST = 4


class _Numbers(Enum):
    """The classes of storages, such as `torch.FloatStorage`, and the types of the numbers in them."""

    Float = "float32"
    Double = "float64"
    Half = "float16"
    BFloat16 = "bfloat16"
    Long = "int64"
    Int = "int32"
    Short = "int16"
    Char = "int8"
    Byte = "uint8"
    Bool = "bool"


VOCABULARY = Vocabulary(
    kind="file of PyTorch weights",
    advice="nothing in it was run; only a file of torch.save(model.state_dict(), ...) can be read",
    names={
        ("collections", "OrderedDict"): Known.DICT,
        ("torch._utils", "_rebuild_tensor"): Known.TENSOR_OF_PYTORCH_0,
        ("torch._utils", "_rebuild_tensor_v2"): Known.TENSOR,
        ("torch._utils", "_rebuild_parameter"): Known.PARAMETER,
        **{(module, f"{kind.name}Storage"): kind for kind in _Numbers for module in ("torch", "torch.cuda")},
    },
    ordered_dictionaries=True,
    storages=True,
)


def read_torch_weights(path) -> dict[str, np.ndarray]:
    """The tensors of a file that `torch.save(model.state_dict(), path)` wrote: name -> read-only, C-ordered array.

    Every kind of float becomes float32; integers and bools keep their type. Both formats are read, on any byte order.
    Raises UserError (one line, with the path) for anything else; nothing in the file is executed.
    """
    with opened(path, VOCABULARY) as (file, size):
        head = file.read(len(_MAGIC))
        if head.startswith(b"PK\x03\x04"):
            tensors, storages = _read_zip(file, size)
        elif head == _MAGIC:
            tensors, storages = _read_legacy(file, size)
        else:
            raise Refusal("expected a file of PyTorch weights, found another kind of file", "check the path")
        return _arrays(tensors, storages, size)


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, in numbers of elements."""

    kind: _Numbers
    key: str
    length: int  # Length of the storage.
    offset: int
    shape: tuple
    strides: tuple


# ---- The two formats. Both return the tensors by name, and a dictionary: key of a storage -> array.


def _read_zip(file, size):
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        folder = _folder(entries)
        data = _entry(archive, entries, f"{folder}data.pkl", size)
        tensors = _tensors(Machine(io.BytesIO(data), len(data), VOCABULARY).run())
        big = f"{folder}byteorder" in entries and _entry(archive, entries, f"{folder}byteorder", size) == b"big"
        storages, left = {}, size
        for where, tensor in tensors.items():
            if tensor.key not in storages:
                data = _entry(archive, entries, f"{folder}data/{tensor.key}", left)
                left -= len(data)  # Entries of an archive may overlap.
                storages[tensor.key] = _storage(data, tensor, where, big)
        return tensors, storages


def _folder(entries):
    folders = [name[: -len("data.pkl")] for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(folders) != 1:
        raise Refusal("a zip archive without a data.pkl of PyTorch", "check that it is a file of PyTorch weights")
    if f"{folders[0]}constants.pkl" in entries:
        raise Refusal("a TorchScript archive, which is a program", "give the file of the model's state_dict")
    return folders[0]


def _entry(archive, entries, name, limit):
    if name not in entries:
        raise Refusal(f"the archive lacks {shown(name)}", DAMAGED)
    entry = entries[name]
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > limit:
        raise Refusal(f"{shown(name)} in the archive is compressed or larger than the file", DAMAGED)
    return archive.read(entry)  # Compares the checksum.


def _read_legacy(file, size):
    left = size - len(_MAGIC) - len(_PROTOCOL)
    if file.read(len(_PROTOCOL)) != _PROTOCOL:
        raise Refusal("a version of PyTorch's old format other than 1001", "save it with a newer PyTorch")
    values = []
    for _ in range(3):  # About the system; the dictionary of tensors; the keys of the storages in their order.
        start = file.tell()
        values.append(Machine(file, left, VOCABULARY).run(to_the_end=False))
        left -= file.tell() - start
    system, value, keys = values
    if type(system) is not dict or type(system.get("little_endian")) is not bool or type(keys) is not list:
        raise Refusal("the records before or after the tensors are not those of PyTorch", DAMAGED)
    tensors = _tensors(value)
    by_key = {tensor.key: (where, tensor) for where, tensor in tensors.items()}
    storages = {}
    for key in keys:
        if type(key) is not str or key not in by_key or key in storages:
            raise Refusal("the list of storages does not fit the tensors", DAMAGED)
        where, tensor = by_key[key]
        storages[key] = _legacy_storage(file, tensor, where, big=not system["little_endian"])
    if set(storages) != set(by_key):
        raise Refusal("the list of storages does not fit the tensors", DAMAGED)
    return tensors, storages


def _legacy_storage(file, tensor, where, big):
    """The number of elements in 8 bytes, then the elements."""
    left = os.fstat(file.fileno()).st_size - file.tell()
    nbytes = tensor.length * _dtype(tensor.kind).itemsize
    if left < 8 + nbytes:
        raise Refusal(f"the storage of {where} needs {nbytes} bytes, {max(left - 8, 0)} are left", DAMAGED)
    (length,) = struct.unpack(">q" if big else "<q", file.read(8))
    if length != tensor.length:
        raise Refusal(f"the storage of {where} has {length} numbers, expected {tensor.length}", DAMAGED)
    return _storage(file.read(nbytes), tensor, where, big)


# ---- From records to arrays


def _tensors(value) -> dict[str, _Tensor]:
    """The records of a dictionary of tensors; a storage has one type and length in all of them."""
    if type(value) is not dict or not value:
        raise Refusal(f"expected a dictionary of tensors, found {described(value)}")
    tensors, storages = {}, {}
    for name, call in value.items():
        where = f"tensor {shown(name)}"
        tensor = tensors[name] = _tensor(call, where)
        if storages.setdefault(tensor.key, (tensor.kind, tensor.length)) != (tensor.kind, tensor.length):
            raise Refusal(f"the storage of {where} has two types or lengths", DAMAGED)
    return tensors


def _tensor(call, where) -> _Tensor:
    if type(call) is Call and call.kind is Known.PARAMETER and len(call.args) == 3:
        call = call.args[0]  # (tensor, requires_grad, hooks)
    counts = {Known.TENSOR: (6, 7), Known.TENSOR_OF_PYTORCH_0: (4,)}
    if type(call) is not Call or len(call.args) not in counts.get(call.kind, ()):
        raise Refusal(f"{where} is {described(call)}, expected a dense tensor")
    storage, offset, shape, strides = call.args[:4]
    if type(storage) is not Call or storage.kind is not Known.STORAGE:
        raise Refusal(f"{where} has {described(storage)} for its storage")
    kind, key, length = _storage_record(storage.args[0], where)
    if not _are_sizes(shape) or not _are_sizes(strides) or len(shape) != len(strides) or not _are_sizes((offset,)):
        raise Refusal(f"{where} has no valid shape", DAMAGED)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides))
    if 0 not in shape and last >= length:
        raise Refusal(f"{where} reaches beyond its storage of {length} numbers", DAMAGED)
    return _Tensor(kind, key, length, offset, shape, strides)


def _storage_record(record, where):
    """("storage", type, key, device, number of elements), in the old format with a view, which was always None."""
    if type(record) is tuple and len(record) in (5, 6) and record[0] == "storage" and record[5:] in ((), (None,)):
        _, kind, key, _, length = record[:5]
        if type(kind) is _Numbers and type(key) is str and _are_sizes((length,)):
            return kind, key, length
    raise Refusal(f"{where} has an unknown kind of storage")


def _are_sizes(values):
    return type(values) is tuple and len(values) <= 16 and all(type(n) is int and 0 <= n < 2**40 for n in values)


def _dtype(kind):
    """Type of the numbers in the file. NumPy has no bfloat16, which is the upper half of a float32."""
    return np.dtype("uint16" if kind is _Numbers.BFloat16 else kind.value)


def _storage(data, tensor, where, big):
    dtype = _dtype(tensor.kind)
    if len(data) != tensor.length * dtype.itemsize:
        needed = tensor.length * dtype.itemsize
        raise Refusal(f"the storage of {where} has {len(data)} bytes, expected {needed}", DAMAGED)
    return np.frombuffer(data, dtype.newbyteorder(">" if big else "<"))


def _arrays(tensors, storages, size):
    left = _LARGEST * size
    arrays = {}
    for name, tensor in tensors.items():
        left -= math.prod(tensor.shape) * 4  # A stride of 0 can make any shape of one number.
        if left < 0:
            raise Refusal(f"the tensors up to {shown(name)} are much larger than the file", DAMAGED)
        arrays[name] = _array(tensor, storages[tensor.key])
    return arrays


def _array(tensor, storage):
    strides = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
    if tensor.kind is _Numbers.BFloat16:
        view = (view.astype(np.uint32) << 16).view(np.float32)
    is_float = view.dtype.kind == "f"
    with np.errstate(over="ignore"):  # float64 beyond float32's range becomes infinite.
        array = np.asarray(view, dtype=np.float32 if is_float else view.dtype.newbyteorder("="), order="C")
    array.setflags(write=False)
    return array
