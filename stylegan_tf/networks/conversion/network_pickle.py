"""Reads the authors' network pickles without running anything that is in them.

`pickle_machine` turns the file into literals, containers and records of the calls that it asks for. Here the records
are checked and become networks of named arrays.

Memory: no shape is believed before it is compared with the bytes that are there; the arrays together cannot be
larger than the file (twice that for float16), and the nesting is limited.
"""

import math
from dataclasses import dataclass

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import kind_by_beginning
from stylegan_tf.files.pickle_machine import (
    DAMAGED,
    MAX_NAME_LENGTH,
    NETWORKS,
    Call,
    Known,
    Machine,
    Refusal,
    described,
    opened,
    shown,
)

MAX_VALUES = 100_000  # What the result may hold, counted with repetition: variables, networks, static arguments.
MAX_NESTING = 8


@dataclass(frozen=True, eq=False)
class PickledNetwork:
    """One network of the authors, as data."""

    name: str  # For example "Gs". A component's variables have its name as their prefix.
    version: int  # Version of the file's format: 2 or 3.
    build_function: str  # Without its module, for example "G_style" or "D_basic".
    static_kwargs: dict  # Arguments of that function: str -> None, bool, int, float, str, list or dict of these.
    components: dict  # Role ("mapping", "synthesis") -> network.
    variables: dict  # Local name -> read-only, C-ordered array in the authors' layout: float32, or an integer type.

    def all_variables(self):
        """Own and components' variables by full name, for example "lod", "G_mapping/Dense0/weight"."""
        return dict(_named_variables(self))


def read_network_pickle(path):
    """Returns the networks of the authors' pickle file at `path` as a list of `PickledNetwork`, in the file's order.

    The file holds one network or a tuple or list of networks (G, D, Gs), in pickle protocol 2 to 5.
    Raises `UserError` (one line, with the path) for anything else; nothing in the file is executed.
    """
    with opened(path, NETWORKS) as (file, size):
        kind = kind_by_beginning(file.read(512)) if size else "an empty file: download or copy it again"
        if kind:
            raise UserError(f"{path} is {kind}; expected a network pickle of the authors.")
        file.seek(0)
        return _Assembler(size).networks(Machine(file, size, NETWORKS).run())


# Data types by NumPy's codes: numbers of fixed size, nothing that holds references.
_DTYPES = {code: np.dtype(code) for code in ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]}


class _Assembler:
    """Checks what the machine recorded and makes networks of it."""

    def __init__(self, size):
        self._bytes_left = size
        self._values_left = MAX_VALUES

    def networks(self, value):
        values = list(value) if type(value) in (tuple, list) else [value]
        if not values or not all(type(item) is Call and item.kind is Known.NETWORK for item in values):
            raise Refusal("expected a network or a tuple (G, D, Gs) of networks, found something else")
        networks = [self._network(item, "network", MAX_NESTING) for item in values]
        for network in networks:
            names = set()
            for name, _ in _named_variables(network):
                if name in names:
                    raise Refusal(f"network {shown(network.name)} has the variable {shown(name)} twice", DAMAGED)
                names.add(name)
        return networks

    def _network(self, value, where, nesting):
        self._count(1)
        if nesting == 0:
            raise Refusal("networks are nested too deeply, or one contains itself")
        if type(value) is not Call or value.kind is not Known.NETWORK or type(value.state) is not dict:
            raise Refusal(f"{where} is not a network with a dictionary as its state")
        version = _field(value.state, "version", int, where)
        if version not in (2, 3):
            raise Refusal(
                f"{where} has format version {version}, expected 2 or 3",
                "give a file that the authors' ProGAN or (first) StyleGAN code has written",
            )
        name = _name(_field(value.state, "name", str, where), f"the name of a {where}")
        where = f"network {shown(name)}"
        function = _name(_field(value.state, "build_func_name", str, where), f"build_func_name of {where}")
        function = function.rsplit(".", 1)[-1]
        if not function.isidentifier():
            raise Refusal(f"build_func_name of {where} is not the name of a function")
        kwargs = _field(value.state, "static_kwargs", dict, where)
        components = _field(value.state, "components", dict, where) if "components" in value.state else {}
        return PickledNetwork(
            name=name,
            version=version,
            build_function=function,
            static_kwargs=self._plain(kwargs, f"static_kwargs of {where}", MAX_NESTING),
            components={
                _name(role, f"a component of {where}"): self._network(
                    part, f"component {shown(role)} of {where}", nesting - 1
                )
                for role, part in components.items()
            },
            variables=self._variables(_field(value.state, "variables", list, where), where),
        )

    def _variables(self, pairs, where):
        variables = {}
        for pair in pairs:
            self._count(1)
            if type(pair) not in (tuple, list) or len(pair) != 2:
                raise Refusal(f"variables of {where} should be pairs of a name and an array")
            name = _name(pair[0], f"a variable of {where}")
            if name in variables:
                raise Refusal(f"{where} has the variable {shown(name)} twice", DAMAGED)
            array = self._variable(pair[1], f"variable {shown(name)} of {where}")
            variables[name] = array
        return variables

    def _plain(self, value, where, nesting):
        """JSON-like copy of a value of the static arguments."""
        self._count(1)
        if nesting == 0:
            raise Refusal(f"{where} are nested too deeply")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) in (list, tuple):
            return [self._plain(item, where, nesting - 1) for item in value]
        if type(value) is dict:
            return {
                _name(key, f"a key in {where}"): self._plain(item, where, nesting - 1) for key, item in value.items()
            }
        if type(value) is not Call:
            raise Refusal(f"{described(value)} in {where}, expected plain values")
        array = self._array(value, f"a number in {where}")
        self._count(array.size)
        return array.tolist()

    def _variable(self, value, where):
        """Read-only float32 or integer array; the same one however often the file refers to it."""
        if type(value) is not Call:
            raise Refusal(f"{where} is {described(value)}, expected an array of numbers")
        if value.array is None:
            array = self._array(value, where)
            if array.dtype == bool:
                raise Refusal(f"{where} is of type bool, expected float or integer")
            with np.errstate(over="ignore", invalid="ignore"):
                array = np.asarray(array, dtype=np.float32 if array.dtype.kind == "f" else array.dtype, order="C")
            array.setflags(write=False)
            value.array = array
        return value.array

    def _array(self, call, where):
        """Array of numbers in this machine's byte order."""
        if call.kind not in _ARRAY_PARTS:
            raise Refusal(f"{where} is {described(call)}, expected an array of numbers")
        shape, dtype, data, order, axes = _ARRAY_PARTS[call.kind](call, where)
        dtype = _dtype(dtype, where)
        if type(shape) is not tuple or len(shape) > 8 or not all(type(n) is int and 1 <= n < 2**40 for n in shape):
            raise Refusal(f"{where} has no valid shape")
        nbytes = math.prod(shape) * dtype.itemsize
        self._bytes_left -= nbytes  # Before a copy is made: many arrays could refer to the same bytes of the file.
        if self._bytes_left < 0:
            raise Refusal(f"the arrays up to {where}, of shape {shape}, are larger than the file", DAMAGED)
        array = np.frombuffer(_data(data, nbytes, where), dtype).reshape(shape, order=order)
        array = array if axes is None else array.transpose(axes)
        return array.astype(dtype.newbyteorder("="), copy=False)

    def _count(self, count):
        self._values_left -= count
        if self._values_left < 0:
            raise Refusal(f"it holds more than {MAX_VALUES} values (with repetition)")


def _reconstruct_parts(call, where):
    """`_reconstruct(ndarray, (0,), b"b")`, then state (version 1, shape, dtype, column-major, data)."""
    state = call.state
    if len(call.args) != 3 or call.args[0] is not Known.NDARRAY:
        raise Refusal(f"{where} is an array of an unknown class")
    if type(state) is not tuple or len(state) != 5 or state[0] != 1 or type(state[3]) not in (bool, int):
        raise Refusal(f"{where} has no valid state of an array")
    return state[1], state[2], state[4], "F" if state[3] else "C", None


def _frombuffer_parts(call, where):
    """`_frombuffer(data, dtype, shape, order)`; NumPy 2.3 adds "K" and the order of axes for transposed arrays."""
    if len(call.args) not in (4, 5):
        raise Refusal(f"{where} has no valid buffer")
    data, dtype, shape, order = call.args[:4]
    axes = call.args[4] if len(call.args) == 5 else None
    if type(order) is not str or order not in ("C", "F", "K") or (order == "K") != (axes is not None):
        raise Refusal(f"{where} has an unknown order of axes")
    if axes is not None and not _is_order_of_axes(axes, shape):
        raise Refusal(f"{where} has an unknown order of axes")
    return shape, dtype, data, "C" if order == "K" else order, axes


def _is_order_of_axes(axes, shape):
    if type(axes) is not tuple or type(shape) is not tuple or len(axes) > 8:
        return False
    return all(type(axis) is int for axis in axes) and sorted(axes) == list(range(len(shape)))


def _scalar_parts(call, where):
    """`scalar(dtype, data)`."""
    if len(call.args) != 2:
        raise Refusal(f"{where} is not a valid number")
    return (), call.args[0], call.args[1], "C", None


_ARRAY_PARTS = {Known.RECONSTRUCT: _reconstruct_parts, Known.FROMBUFFER: _frombuffer_parts, Known.SCALAR: _scalar_parts}


def _data(data, nbytes, where):
    """The bytes of an array; protocol 2 has them as latin1 text, directly or to be encoded."""
    if type(data) is Call and data.kind is Known.ENCODE and len(data.args) == 2:
        data, encoding = data.args
        if type(encoding) is not str or encoding not in ("latin1", "latin-1"):
            raise Refusal(f"{where} has text for data that is not latin1")
    if type(data) not in (bytes, str):
        raise Refusal(f"{where} has {described(data)} for its data, expected bytes")
    if len(data) != nbytes:
        raise Refusal(f"{where} needs {nbytes} bytes for its shape and type, found {len(data)}", DAMAGED)
    try:
        return data.encode("latin-1") if type(data) is str else data
    except UnicodeEncodeError:
        raise Refusal(f"{where} has text for data that is not latin1", DAMAGED) from None


def _dtype(call, where):
    """`dtype("f4", False, True)`, then state (3, "<", None, None, None, -1, -1, 0)."""
    if type(call) is not Call or call.kind is not Known.DTYPE or not call.args or type(call.args[0]) is not str:
        raise Refusal(f"{where} has no valid data type")
    code, state = call.args[0], call.state
    if code not in _DTYPES:
        raise Refusal(f"{where} has data of type {shown(code)}, expected plain numbers")
    if type(state) is not tuple or len(state) != 8 or any(state[i] is not None for i in (2, 3, 4)):
        raise Refusal(f"{where} has a data type that is not that of plain numbers")
    orders = ("|",) if _DTYPES[code].itemsize == 1 else ("<", ">")
    if type(state[1]) is not str or state[1] not in orders:
        raise Refusal(f"{where} has data of an unknown byte order")
    return _DTYPES[code].newbyteorder(state[1])


def _field(state, key, kind, where):
    if key not in state:
        raise Refusal(f"{where} has no {key!r}", DAMAGED)
    if type(state[key]) is not kind:
        raise Refusal(f"{where} has {described(state[key])} for {key!r}, expected {kind.__name__}")
    return state[key]


def _name(value, where):
    if type(value) is not str or not 1 <= len(value) <= MAX_NAME_LENGTH or not value.isprintable():
        raise Refusal(f"{where} is not printable text of 1 to {MAX_NAME_LENGTH} characters")
    return value


def _named_variables(network):
    yield from network.variables.items()
    for part in network.components.values():
        for name, array in _named_variables(part):
            yield f"{part.name}/{name}", array
