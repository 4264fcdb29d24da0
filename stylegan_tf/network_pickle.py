"""Reads the authors' network pickles without running anything that is in them.

A pickle is a program for a small stack machine; Python's `pickle` would import and call whatever it names.
This module does not use `pickle`. It has a machine of its own that knows only the opcodes such files need:
a class or function named in the file becomes a member of `_Known` or the file is refused, and a "call" only
records its arguments (`_Call`). After the machine has stopped, the records are checked and become arrays.
So no callable is ever looked up by a name from the file, and no attribute of anything is set from it.

Memory: no length or shape is believed before it is compared with the bytes that are there; the arrays together
cannot be larger than the file (twice that for float16), and the opcodes and nesting are limited.
"""

import math
import os
import struct
from dataclasses import dataclass
from enum import Enum

import numpy as np

from stylegan_tf.errors import UserError

MAX_OPCODES = 500_000  # A file (G, D, Gs) at 256x256 has about 6,000.
MAX_VALUES = 100_000  # What the result may hold, counted with repetition: variables, networks, static arguments.
MAX_NESTING = 8
MAX_NAME_LENGTH = 200

_DAMAGED = "the file is damaged or incomplete: download or copy it again"
_FOREIGN = "nothing in it was run; only network pickles of the authors' ProGAN and StyleGAN code can be read"


@dataclass(frozen=True, eq=False)
class PickledNetwork:
    """One network of the authors, as data.

    Attributes:
      name: the network's name, for example "Gs". A component's variables have its name as their prefix.
      version: 2 or 3, the version of the file's format.
      build_function: the authors' name of the architecture without its module, for example "G_style" or "D_basic".
      static_kwargs: arguments of that function: str -> None, bool, int, float, str, list or dict of these.
      components: role ("mapping", "synthesis") -> network.
      variables: local name -> read-only, C-ordered array in the authors' layout: float32, or an integer type.
    """

    name: str
    version: int
    build_function: str
    static_kwargs: dict
    components: dict
    variables: dict

    def all_variables(self):
        """Own and components' variables by full name, for example "lod", "G_mapping/Dense0/weight"."""
        return dict(_named_variables(self))


def read_network_pickle(path):
    """Returns the networks of the authors' pickle file at `path` as a list of `PickledNetwork`, in the file's order.

    The file holds one network or a tuple or list of networks (G, D, Gs), in pickle protocol 2 to 5.
    Raises `UserError` (one line, with the path) for anything else; nothing in the file is executed.
    """
    try:
        if not os.path.isfile(path):
            raise _Refusal("expected a pickle file, found " + ("a folder" if os.path.isdir(path) else "no file"),
                           "check the path")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            _check_file_kind(file.read(512))
            file.seek(0)
            return _Assembler(size).networks(_Machine(file, size).run())
    except _Refusal as refusal:
        raise UserError(f"{path}: {refusal.found}; {refusal.advice}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


class _Refusal(Exception):
    """What was found in the file, and what to do about it."""

    def __init__(self, found, advice=_FOREIGN):
        super().__init__(found)
        self.found = found
        self.advice = advice


class _Known(Enum):
    """What a (module, name) pair in the file may stand for. Members are labels: there is nothing to call."""

    NETWORK = "Network"
    DICT = "a dictionary class"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy's _reconstruct"
    FROMBUFFER = "numpy's _frombuffer"
    SCALAR = "numpy's scalar"
    ENCODE = "_codecs.encode"


_KNOWN_NAMES = {
    ("dnnlib.tflib.network", "Network"): _Known.NETWORK,
    ("tfutil", "Network"): _Known.NETWORK,  # ProGAN
    ("dnnlib.util", "EasyDict"): _Known.DICT,
    ("dnnlib", "EasyDict"): _Known.DICT,
    ("config", "EasyDict"): _Known.DICT,
    ("collections", "OrderedDict"): _Known.DICT,
    ("numpy", "ndarray"): _Known.NDARRAY,
    ("numpy", "dtype"): _Known.DTYPE,
    ("_codecs", "encode"): _Known.ENCODE,  # How protocol 2 spells bytes.
}
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and NumPy 2
    _KNOWN_NAMES[_core + ".multiarray", "_reconstruct"] = _Known.RECONSTRUCT
    _KNOWN_NAMES[_core + ".multiarray", "scalar"] = _Known.SCALAR
    _KNOWN_NAMES[_core + ".numeric", "_frombuffer"] = _Known.FROMBUFFER

# What each opcode may be applied to; everything else is refused.
_REDUCIBLE = {_Known.DICT, _Known.DTYPE, _Known.RECONSTRUCT, _Known.FROMBUFFER, _Known.SCALAR, _Known.ENCODE}
_NEWABLE = {_Known.NETWORK, _Known.DICT}
_BUILDABLE = {_Known.NETWORK, _Known.DTYPE, _Known.RECONSTRUCT}


class _Call:
    """A recorded call: `kind` is what the file wanted to call, `state` what it wanted to restore afterwards."""

    __slots__ = ("kind", "args", "state", "array")

    def __init__(self, kind, args):
        self.kind = kind
        self.args = args
        self.state = None
        self.array = None  # Filled by the assembler: one array however often the file refers to it.


# Opcodes by what they push, in the notation of `struct` where they have a number after them.
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_STRINGS = {b"\x8c": ("<B", "utf-8"), b"X": ("<I", "utf-8"), b"\x8d": ("<Q", "utf-8"),
            b"U": ("<B", "latin-1"), b"T": ("<i", "latin-1")}  # The last two are Python 2's str.
_BYTES = {b"C": "<B", b"B": "<I", b"\x8e": "<Q", b"\x96": "<Q"}
_SHORT_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PUTS = {b"q": "<B", b"r": "<I"}
_GETS = {b"h": "<B", b"j": "<I"}
_FROM_MARK = {b"t", b"l", b"d", b"e", b"u"}  # TUPLE, LIST, DICT, APPENDS, SETITEMS


class _Machine:
    """Runs the opcodes of one file of `size` bytes on inert values: literals, lists, dicts, `_Known` and `_Call`."""

    def __init__(self, file, size):
        self._file = file
        self._left = self._size = size
        self._stack = []
        self._marks = []  # Heights of the stack; nothing below the last one can be reached.
        self._memo = {}

    def run(self):
        """Returns the one value that the file leaves on the stack."""
        if self._take(1) != b"\x80" or not 2 <= self._take(1)[0] <= 5:
            raise _Refusal("expected a pickle of protocol 2 to 5, found another kind of file",
                           "check that it is the .pkl file of a network")
        for _ in range(MAX_OPCODES):
            start = self._size - self._left
            opcode = self._take(1)
            if opcode == b".":
                return self._result()
            try:
                self._step(opcode)
            except _Refusal as refusal:
                raise _Refusal(f"{refusal.found} (byte {start})", refusal.advice) from None
        raise _Refusal(f"the file has more than {MAX_OPCODES} opcodes")

    def _result(self):
        if self._left:
            raise _Refusal(f"{self._left} bytes follow the end of the pickle", _DAMAGED)
        value = self._pop()
        if self._stack or self._marks:
            raise _Refusal("the pickle ends with unused values on its stack", _DAMAGED)
        return value

    def _step(self, opcode):
        if opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _NUMBERS:
            self._stack.append(self._number(_NUMBERS[opcode]))
        elif opcode in _STRINGS:
            layout, encoding = _STRINGS[opcode]
            self._stack.append(_decoded(self._take(self._number(layout)), encoding))
        elif opcode in _BYTES:
            self._stack.append(self._take(self._number(_BYTES[opcode])))
        elif opcode in (b"I", b"\x8a"):
            self._stack.append(self._integer(opcode))
        elif opcode == b"}":
            self._stack.append({})
        elif opcode == b"]":
            self._stack.append([])
        elif opcode == b"(":
            self._marks.append(len(self._stack))
        elif opcode in _SHORT_TUPLES:
            items = [self._pop() for _ in range(_SHORT_TUPLES[opcode])]
            self._stack.append(tuple(reversed(items)))
        elif opcode in _FROM_MARK:
            self._collect(opcode, self._pop_to_mark())
        elif opcode in (b"a", b"s"):  # APPEND, SETITEM
            items = [self._pop()] if opcode == b"a" else [self._pop(), self._pop()][::-1]
            self._collect(b"e" if opcode == b"a" else b"u", items)
        elif opcode == b"\x94":
            self._memo[len(self._memo)] = self._top()
        elif opcode in _PUTS:
            self._memo[self._number(_PUTS[opcode])] = self._top()
        elif opcode in _GETS:
            self._stack.append(self._recalled(self._number(_GETS[opcode])))
        elif opcode == b"\x95":
            self._check_left(self._number("<Q"))  # A frame is only a hint for reading ahead.
        else:
            self._step_of_objects(opcode)

    def _step_of_objects(self, opcode):
        if opcode == b"c":
            self._stack.append(_known(self._line(), self._line()))
        elif opcode == b"\x93":
            name, module = self._pop(), self._pop()
            self._stack.append(_known(module, name))
        elif opcode in (b"R", b"\x81"):  # REDUCE, NEWOBJ
            args, kind = self._pop(), self._pop()
            self._stack.append(_recorded(kind, args, _REDUCIBLE if opcode == b"R" else _NEWABLE))
        elif opcode == b"b":  # BUILD
            state = self._pop()
            _restore(self._top(), state)
        else:
            raise _Refusal(f"opcode 0x{opcode.hex()}, which no network pickle needs")

    def _collect(self, opcode, items):
        """Makes a container of `items`, or adds them to the one on top of the stack."""
        if opcode == b"t":
            self._stack.append(tuple(items))
        elif opcode == b"l":
            self._stack.append(items)
        elif opcode == b"e":
            if type(self._top()) is not list:
                raise _Refusal("items are appended to something that is no list")
            self._top().extend(items)
        else:
            if opcode == b"d":
                self._stack.append({})
            if type(self._top()) is not dict or len(items) % 2:
                raise _Refusal("key and value pairs are stored in something that is no dictionary")
            _store(self._top(), items)

    def _integer(self, opcode):
        try:
            if opcode == b"\x8a":  # LONG1
                count = self._number("<B")
                if count > 9:
                    raise _Refusal(f"an integer of {count} bytes, expected at most 64 bits")
                return int.from_bytes(self._take(count), "little", signed=True)
            text = self._line()  # INT: Python 2 writes integers beyond 32 bits as text, and its earlier pickles bools.
            if len(text) > 20:
                raise _Refusal("an integer of more than 20 digits, expected at most 64 bits")
            return {"00": False, "01": True}[text] if text in ("00", "01") else int(text)
        except ValueError:
            raise _Refusal("text that is no integer", _DAMAGED) from None

    def _number(self, layout):
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _check_left(self, count):
        if not 0 <= count <= self._left:
            raise _Refusal(f"the next {count} bytes should be read but {self._left} are left", _DAMAGED)

    def _take(self, count):
        self._check_left(count)  # Before reading: a buffer of `count` bytes would be allocated first.
        data = self._file.read(count)
        if len(data) != count:
            raise _Refusal("the file became shorter while it was read", _DAMAGED)
        self._left -= count
        return data

    def _line(self):
        line = self._file.readline(min(MAX_NAME_LENGTH, self._left))
        self._left -= len(line)
        if not line.endswith(b"\n"):
            raise _Refusal("a line of text does not end", _DAMAGED)
        return _decoded(line[:-1], "utf-8")

    def _top(self):
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _Refusal("a value is missing on the stack", _DAMAGED)
        return self._stack[-1]

    def _pop(self):
        self._top()
        return self._stack.pop()

    def _pop_to_mark(self):
        if not self._marks:
            raise _Refusal("a mark is missing on the stack", _DAMAGED)
        height = self._marks.pop()
        items = self._stack[height:]
        del self._stack[height:]
        return items

    def _recalled(self, index):
        if index not in self._memo:
            raise _Refusal(f"value {index} is used before it is stored", _DAMAGED)
        return self._memo[index]


def _decoded(data, encoding):
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise _Refusal(f"text that is not {encoding}", _DAMAGED) from None


def _known(module, name):
    if type(module) is not str or type(name) is not str:
        raise _Refusal("the name of a class or function is no text")
    if (module, name) not in _KNOWN_NAMES:
        raise _Refusal(f"it refers to {_shown(module + '.' + name)}, which no network pickle needs")
    return _KNOWN_NAMES[module, name]


def _recorded(kind, args, allowed):
    if type(kind) is not _Known or kind not in allowed or type(args) is not tuple:
        raise _Refusal(f"a call of {_described(kind)} that no network pickle needs")
    if kind in (_Known.NETWORK, _Known.DICT) and args:
        raise _Refusal(f"{kind.value} is made with arguments, expected none")
    return {} if kind is _Known.DICT else _Call(kind, args)


def _restore(target, state):
    """BUILD: remembers `state`. A dictionary class has none (old Pythons write an empty one)."""
    if type(target) is dict and type(state) is dict and not state:
        return
    if type(target) is not _Call or target.kind not in _BUILDABLE:
        raise _Refusal("the state of something is set that has none")
    if target.state is not None or state is None:
        raise _Refusal(f"the state of {target.kind.value} is set twice or empty")
    target.state = state


def _store(target, items):
    # Only text as a key: hashing a deeply nested tuple would overflow the interpreter's own stack.
    for key, value in zip(items[::2], items[1::2]):
        if type(key) is not str or key in target:
            raise _Refusal("a key of a dictionary is no text, or there twice")
        target[key] = value


def _shown(text):
    """A name from the file as it may be printed: short, on one line, without control characters."""
    return ascii(text if len(text) <= 80 else text[:80] + "...")


def _described(value):
    """What a value is, for a message; never its contents, which could be endless."""
    if type(value) in (_Known, _Call):
        return (value if type(value) is _Known else value.kind).value
    return "a value of type " + type(value).__name__


# Data types by NumPy's codes: numbers of fixed size, nothing that holds references.
_DTYPES = {code: np.dtype(code) for code in "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()}


class _Assembler:
    """Checks what the machine recorded and makes networks of it."""

    def __init__(self, size):
        self._bytes_left = size
        self._values_left = MAX_VALUES

    def networks(self, value):
        values = list(value) if type(value) in (tuple, list) else [value]
        if not values or not all(type(item) is _Call and item.kind is _Known.NETWORK for item in values):
            raise _Refusal("expected a network or a tuple (G, D, Gs) of networks, found something else")
        networks = [self._network(item, "network", MAX_NESTING) for item in values]
        for network in networks:
            names = set()
            for name, _ in _named_variables(network):
                if name in names:
                    raise _Refusal(f"network {_shown(network.name)} has the variable {_shown(name)} twice", _DAMAGED)
                names.add(name)
        return networks

    def _network(self, value, where, nesting):
        self._count(1)
        if nesting == 0:
            raise _Refusal("networks are nested too deeply, or one contains itself")
        if type(value) is not _Call or value.kind is not _Known.NETWORK or type(value.state) is not dict:
            raise _Refusal(f"{where} is no network with a dictionary as its state")
        version = _field(value.state, "version", int, where)
        if version not in (2, 3):
            raise _Refusal(f"{where} has format version {version}, expected 2 or 3",
                           "give a file that the authors' ProGAN or (first) StyleGAN code has written")
        name = _name(_field(value.state, "name", str, where), f"the name of a {where}")
        where = f"network {_shown(name)}"
        function = _name(_field(value.state, "build_func_name", str, where), f"build_func_name of {where}")
        function = function.rsplit(".", 1)[-1]
        if not function.isidentifier():
            raise _Refusal(f"build_func_name of {where} is no name of a function")
        kwargs = _field(value.state, "static_kwargs", dict, where)
        components = _field(value.state, "components", dict, where) if "components" in value.state else {}
        return PickledNetwork(
            name=name, version=version, build_function=function,
            static_kwargs=self._plain(kwargs, f"static_kwargs of {where}", MAX_NESTING),
            components={_name(role, f"a component of {where}"):
                        self._network(part, f"component {_shown(role)} of {where}", nesting - 1)
                        for role, part in components.items()},
            variables=self._variables(_field(value.state, "variables", list, where), where))

    def _variables(self, pairs, where):
        variables = {}
        for pair in pairs:
            self._count(1)
            if type(pair) not in (tuple, list) or len(pair) != 2:
                raise _Refusal(f"variables of {where} should be pairs of a name and an array")
            name = _name(pair[0], f"a variable of {where}")
            if name in variables:
                raise _Refusal(f"{where} has the variable {_shown(name)} twice", _DAMAGED)
            array = self._variable(pair[1], f"variable {_shown(name)} of {where}")
            variables[name] = array
        return variables

    def _plain(self, value, where, nesting):
        """JSON-like copy of a value of the static arguments."""
        self._count(1)
        if nesting == 0:
            raise _Refusal(f"{where} are nested too deeply")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) in (list, tuple):
            return [self._plain(item, where, nesting - 1) for item in value]
        if type(value) is dict:
            return {_name(key, f"a key in {where}"): self._plain(item, where, nesting - 1)
                    for key, item in value.items()}
        if type(value) is not _Call:
            raise _Refusal(f"{_described(value)} in {where}, expected plain values")
        array = self._array(value, f"a number in {where}")
        self._count(array.size)
        return array.tolist()

    def _variable(self, value, where):
        """Read-only float32 or integer array; the same one however often the file refers to it."""
        if type(value) is not _Call:
            raise _Refusal(f"{where} is {_described(value)}, expected an array of numbers")
        if value.array is None:
            array = self._array(value, where)
            if array.dtype == bool:
                raise _Refusal(f"{where} is of type bool, expected float or integer")
            with np.errstate(over="ignore", invalid="ignore"):
                array = np.asarray(array, dtype=np.float32 if array.dtype.kind == "f" else array.dtype, order="C")
            array.setflags(write=False)
            value.array = array
        return value.array

    def _array(self, call, where):
        """Array of numbers in this machine's byte order."""
        if call.kind not in _ARRAY_PARTS:
            raise _Refusal(f"{where} is {_described(call)}, expected an array of numbers")
        shape, dtype, data, order, axes = _ARRAY_PARTS[call.kind](call, where)
        dtype = _dtype(dtype, where)
        if type(shape) is not tuple or len(shape) > 8 or not all(type(n) is int and 1 <= n < 2**40 for n in shape):
            raise _Refusal(f"{where} has no valid shape")
        nbytes = math.prod(shape) * dtype.itemsize
        self._bytes_left -= nbytes  # Before a copy is made: many arrays could refer to the same bytes of the file.
        if self._bytes_left < 0:
            raise _Refusal(f"the arrays up to {where}, of shape {shape}, are larger than the file", _DAMAGED)
        array = np.frombuffer(_data(data, nbytes, where), dtype).reshape(shape, order=order)
        array = array if axes is None else array.transpose(axes)
        return array.astype(dtype.newbyteorder("="), copy=False)

    def _count(self, count):
        self._values_left -= count
        if self._values_left < 0:
            raise _Refusal(f"it holds more than {MAX_VALUES} values (with repetition)")


def _reconstruct_parts(call, where):
    """`_reconstruct(ndarray, (0,), b"b")`, then state (version 1, shape, dtype, column-major, data)."""
    state = call.state
    if len(call.args) != 3 or call.args[0] is not _Known.NDARRAY:
        raise _Refusal(f"{where} is an array of an unknown class")
    if type(state) is not tuple or len(state) != 5 or state[0] != 1 or type(state[3]) not in (bool, int):
        raise _Refusal(f"{where} has no valid state of an array")
    return state[1], state[2], state[4], "F" if state[3] else "C", None


def _frombuffer_parts(call, where):
    """`_frombuffer(data, dtype, shape, order)`; NumPy 2.3 adds "K" and the order of axes for transposed arrays."""
    if len(call.args) not in (4, 5):
        raise _Refusal(f"{where} has no valid buffer")
    data, dtype, shape, order = call.args[:4]
    axes = call.args[4] if len(call.args) == 5 else None
    if type(order) is not str or order not in ("C", "F", "K") or (order == "K") != (axes is not None):
        raise _Refusal(f"{where} has an unknown order of axes")
    if axes is not None and (type(axes) is not tuple or type(shape) is not tuple or len(axes) > 8
                             or not all(type(axis) is int for axis in axes)
                             or sorted(axes) != list(range(len(shape)))):
        raise _Refusal(f"{where} has an unknown order of axes")
    return shape, dtype, data, "C" if order == "K" else order, axes


def _scalar_parts(call, where):
    """`scalar(dtype, data)`."""
    if len(call.args) != 2:
        raise _Refusal(f"{where} is no valid number")
    return (), call.args[0], call.args[1], "C", None


_ARRAY_PARTS = {_Known.RECONSTRUCT: _reconstruct_parts, _Known.FROMBUFFER: _frombuffer_parts,
                _Known.SCALAR: _scalar_parts}


def _data(data, nbytes, where):
    """The bytes of an array; protocol 2 has them as latin1 text, directly or to be encoded."""
    if type(data) is _Call and data.kind is _Known.ENCODE and len(data.args) == 2:
        data, encoding = data.args
        if type(encoding) is not str or encoding not in ("latin1", "latin-1"):
            raise _Refusal(f"{where} has text for data that is not latin1")
    if type(data) not in (bytes, str):
        raise _Refusal(f"{where} has {_described(data)} for its data, expected bytes")
    if len(data) != nbytes:
        raise _Refusal(f"{where} needs {nbytes} bytes for its shape and type, found {len(data)}", _DAMAGED)
    try:
        return data.encode("latin-1") if type(data) is str else data
    except UnicodeEncodeError:
        raise _Refusal(f"{where} has text for data that is not latin1", _DAMAGED) from None


def _dtype(call, where):
    """`dtype("f4", False, True)`, then state (3, "<", None, None, None, -1, -1, 0)."""
    if type(call) is not _Call or call.kind is not _Known.DTYPE or not call.args or type(call.args[0]) is not str:
        raise _Refusal(f"{where} has no valid data type")
    code, state = call.args[0], call.state
    if code not in _DTYPES:
        raise _Refusal(f"{where} has data of type {_shown(code)}, expected plain numbers")
    if type(state) is not tuple or len(state) != 8 or any(state[i] is not None for i in (2, 3, 4)):
        raise _Refusal(f"{where} has a data type that is not that of plain numbers")
    orders = ("|",) if _DTYPES[code].itemsize == 1 else ("<", ">")
    if type(state[1]) is not str or state[1] not in orders:
        raise _Refusal(f"{where} has data of an unknown byte order")
    return _DTYPES[code].newbyteorder(state[1])


def _field(state, key, kind, where):
    if key not in state:
        raise _Refusal(f"{where} has no {key!r}", _DAMAGED)
    if type(state[key]) is not kind:
        raise _Refusal(f"{where} has {_described(state[key])} for {key!r}, expected {kind.__name__}")
    return state[key]


def _name(value, where):
    if type(value) is not str or not 1 <= len(value) <= MAX_NAME_LENGTH or not value.isprintable():
        raise _Refusal(f"{where} is no printable text of 1 to {MAX_NAME_LENGTH} characters")
    return value


def _named_variables(network):
    yield from network.variables.items()
    for part in network.components.values():
        for name, array in _named_variables(part):
            yield f"{part.name}/{name}", array


# First bytes of files that people have in place of a network pickle, and what to do.
_OTHER_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the real file with `git lfs pull`"),
    (b"\x1f\x8b", "gzip", "unpack it first"),
    (b"BZh", "bzip2", "unpack it first"),
    (b"\xfd7zXZ", "xz", "unpack it first"),
    (b"PK\x03\x04", "a zip archive (a PyTorch checkpoint or an .npz)", "give the authors' TensorFlow .pkl"),
    (b"\x89HDF", "HDF5", "give the authors' TensorFlow .pkl"),
    (b"<", "a web page (perhaps the error page of a failed download)", "download the file again"),
)


def _check_file_kind(head):
    if not head:
        raise _Refusal("expected a network pickle, found an empty file", "download or copy it again")
    for start, kind, advice in _OTHER_KINDS:
        if head.lstrip().startswith(start):
            raise _Refusal(f"expected a network pickle, found {kind}", advice)
