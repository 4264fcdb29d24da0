"""The stack machine that reads a pickle without running anything that is in it.

A pickle is a program for a small stack machine; Python's `pickle` would import and call whatever it names.
This machine knows only the opcodes that the authors' network pickles need: a class or function named in the file
becomes a member of `Known` or the file is refused, and a "call" only records its arguments (`Call`).
So no callable is ever looked up by a name from the file, and no attribute of anything is set from it.
`network_pickle` checks the records and makes arrays of them.

Memory: no length is believed before it is compared with the bytes that are there; the opcodes are limited.
"""

import struct
from enum import Enum

MAX_OPCODES = 500_000  # A file (G, D, Gs) at 256x256 has about 6,000.
MAX_NAME_LENGTH = 200

DAMAGED = "the file is damaged or incomplete: download or copy it again"
FOREIGN = "nothing in it was run; only network pickles of the authors' ProGAN and StyleGAN code can be read"


class Refusal(Exception):
    """What was found in the file, and what to do about it."""

    def __init__(self, found, advice=FOREIGN):
        super().__init__(found)
        self.found = found
        self.advice = advice


class Known(Enum):
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
    ("dnnlib.tflib.network", "Network"): Known.NETWORK,
    ("tfutil", "Network"): Known.NETWORK,  # ProGAN
    ("dnnlib.util", "EasyDict"): Known.DICT,
    ("dnnlib", "EasyDict"): Known.DICT,
    ("config", "EasyDict"): Known.DICT,
    ("collections", "OrderedDict"): Known.DICT,
    ("numpy", "ndarray"): Known.NDARRAY,
    ("numpy", "dtype"): Known.DTYPE,
    ("_codecs", "encode"): Known.ENCODE,  # How protocol 2 spells bytes.
}
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and NumPy 2
    _KNOWN_NAMES[_core + ".multiarray", "_reconstruct"] = Known.RECONSTRUCT
    _KNOWN_NAMES[_core + ".multiarray", "scalar"] = Known.SCALAR
    _KNOWN_NAMES[_core + ".numeric", "_frombuffer"] = Known.FROMBUFFER

# What each opcode may be applied to; everything else is refused.
_REDUCIBLE = {Known.DICT, Known.DTYPE, Known.RECONSTRUCT, Known.FROMBUFFER, Known.SCALAR, Known.ENCODE}
_NEWABLE = {Known.NETWORK, Known.DICT}
_BUILDABLE = {Known.NETWORK, Known.DTYPE, Known.RECONSTRUCT}


class Call:
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


class Machine:
    """Runs the opcodes of one file of `size` bytes on inert values: literals, lists, dicts, `Known` and `Call`."""

    def __init__(self, file, size):
        self._file = file
        self._left = self._size = size
        self._stack = []
        self._marks = []  # Heights of the stack; nothing below the last one can be reached.
        self._memo = {}

    def run(self):
        """Returns the one value that the file leaves on the stack."""
        if self._take(1) != b"\x80" or not 2 <= self._take(1)[0] <= 5:
            raise Refusal("expected a pickle of protocol 2 to 5, found another kind of file",
                          "check that it is the .pkl file of a network")
        for _ in range(MAX_OPCODES):
            start = self._size - self._left
            opcode = self._take(1)
            if opcode == b".":
                return self._result()
            try:
                self._step(opcode)
            except Refusal as refusal:
                raise Refusal(f"{refusal.found} (byte {start})", refusal.advice) from None
        raise Refusal(f"the file has more than {MAX_OPCODES} opcodes")

    def _result(self):
        if self._left:
            raise Refusal(f"{self._left} bytes follow the end of the pickle", DAMAGED)
        value = self._pop()
        if self._stack or self._marks:
            raise Refusal("the pickle ends with unused values on its stack", DAMAGED)
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
            raise Refusal(f"opcode 0x{opcode.hex()}, which no network pickle needs")

    def _collect(self, opcode, items):
        """Makes a container of `items`, or adds them to the one on top of the stack."""
        if opcode == b"t":
            self._stack.append(tuple(items))
        elif opcode == b"l":
            self._stack.append(items)
        elif opcode == b"e":
            if type(self._top()) is not list:
                raise Refusal("items are appended to something that is no list")
            self._top().extend(items)
        else:
            if opcode == b"d":
                self._stack.append({})
            if type(self._top()) is not dict or len(items) % 2:
                raise Refusal("key and value pairs are stored in something that is no dictionary")
            _store(self._top(), items)

    def _integer(self, opcode):
        try:
            if opcode == b"\x8a":  # LONG1
                count = self._number("<B")
                if count > 9:
                    raise Refusal(f"an integer of {count} bytes, expected at most 64 bits")
                return int.from_bytes(self._take(count), "little", signed=True)
            text = self._line()  # INT: Python 2 writes integers beyond 32 bits as text, and its earlier pickles bools.
            if len(text) > 20:
                raise Refusal("an integer of more than 20 digits, expected at most 64 bits")
            return {"00": False, "01": True}[text] if text in ("00", "01") else int(text)
        except ValueError:
            raise Refusal("text that is no integer", DAMAGED) from None

    def _number(self, layout):
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _check_left(self, count):
        if not 0 <= count <= self._left:
            raise Refusal(f"the next {count} bytes should be read but {self._left} are left", DAMAGED)

    def _take(self, count):
        self._check_left(count)  # Before reading: a buffer of `count` bytes would be allocated first.
        data = self._file.read(count)
        if len(data) != count:
            raise Refusal("the file became shorter while it was read", DAMAGED)
        self._left -= count
        return data

    def _line(self):
        line = self._file.readline(min(MAX_NAME_LENGTH, self._left))
        self._left -= len(line)
        if not line.endswith(b"\n"):
            raise Refusal("a line of text does not end", DAMAGED)
        return _decoded(line[:-1], "utf-8")

    def _top(self):
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Refusal("a value is missing on the stack", DAMAGED)
        return self._stack[-1]

    def _pop(self):
        self._top()
        return self._stack.pop()

    def _pop_to_mark(self):
        if not self._marks:
            raise Refusal("a mark is missing on the stack", DAMAGED)
        height = self._marks.pop()
        items = self._stack[height:]
        del self._stack[height:]
        return items

    def _recalled(self, index):
        if index not in self._memo:
            raise Refusal(f"value {index} is used before it is stored", DAMAGED)
        return self._memo[index]


def _decoded(data, encoding):
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise Refusal(f"text that is not {encoding}", DAMAGED) from None


def _known(module, name):
    if type(module) is not str or type(name) is not str:
        raise Refusal("the name of a class or function is no text")
    if (module, name) not in _KNOWN_NAMES:
        raise Refusal(f"it refers to {shown(module + '.' + name)}, which no network pickle needs")
    return _KNOWN_NAMES[module, name]


def _recorded(kind, args, allowed):
    if type(kind) is not Known or kind not in allowed or type(args) is not tuple:
        raise Refusal(f"a call of {described(kind)} that no network pickle needs")
    if kind in (Known.NETWORK, Known.DICT) and args:
        raise Refusal(f"{kind.value} is made with arguments, expected none")
    return {} if kind is Known.DICT else Call(kind, args)


def _restore(target, state):
    """BUILD: remembers `state`. A dictionary class has none (old Pythons write an empty one)."""
    if type(target) is dict and type(state) is dict and not state:
        return
    if type(target) is not Call or target.kind not in _BUILDABLE:
        raise Refusal("the state of something is set that has none")
    if target.state is not None or state is None:
        raise Refusal(f"the state of {target.kind.value} is set twice or empty")
    target.state = state


def _store(target, items):
    # Only text as a key: hashing a deeply nested tuple would overflow the interpreter's own stack.
    for key, value in zip(items[::2], items[1::2]):
        if type(key) is not str or key in target:
            raise Refusal("a key of a dictionary is no text, or there twice")
        target[key] = value


def shown(text):
    """A name from the file as it may be printed: short, on one line, without control characters."""
    return ascii(text if len(text) <= 80 else text[:80] + "...")


def described(value):
    """What a value is, for a message; never its contents, which could be endless."""
    if type(value) in (Known, Call):
        return (value if type(value) is Known else value.kind).value
    return "a value of type " + type(value).__name__
