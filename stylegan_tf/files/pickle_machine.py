"""The stack machine that reads a pickle without running anything that is in it.

A pickle is a program for a small stack machine; Python's `pickle` would import and call whatever it names.
This machine knows only the opcodes that files of weights need: a class or function named in the file becomes a label
of the reader's `Vocabulary` or the file is refused, and a "call" only records its arguments (`Call`).
So no callable is ever looked up by a name from the file, and no attribute of anything is set from it.
The readers (`networks.conversion.network_pickle`, `torch_weights`) check the records and make arrays of them.

Memory: every length is checked against the bytes that remain before anything is allocated; the number of opcodes is
limited.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Optional

MAX_OPCODES = 500_000  # A file (G, D, Gs) at 256x256 has about 6,000.
MAX_NAME_LENGTH = 200

DAMAGED = "the file is damaged or incomplete: download or copy it again"


class Refusal(Exception):
    """What was found in the file, and advice on what to do about it; None: that of the vocabulary."""

    def __init__(self, found, advice=None):
        super().__init__(found)
        self.found = found
        self.advice = advice


@dataclass(frozen=True)
class Vocabulary:
    """What a kind of file may name, and what it may do with it; everything else is refused.

    The labels are members of the reader's `Enum`, whose values describe them: there is nothing to call.
    """

    kind: str  # For messages, such as "network pickle".
    advice: str  # For the user whose file holds something else.
    names: Mapping[tuple[str, str], Enum]  # (module, name) -> label
    dictionaries: frozenset  # Labels of dictionary classes: made without arguments.
    reducible: frozenset  # May be called (dictionaries as well).
    newable: frozenset = frozenset()  # May be made without a call, and without arguments (dictionaries as well).
    buildable: frozenset = frozenset()  # Their calls may have a state.
    ordered_dictionaries: bool = False  # They may be made of a list of pairs, and have attributes, which are dropped.
    persistent: Optional[Enum] = None  # Kind of the call that stands for an object kept outside of the pickle.


class Call:
    """A recorded call: `kind` is what the file wanted to call, `state` what it wanted to restore afterwards."""

    __slots__ = ("args", "array", "kind", "state")

    def __init__(self, kind, args):
        self.kind = kind
        self.args = args
        self.state = None
        self.array = None  # Filled by the assembler: one array however often the file refers to it.


# Opcodes by what they push, in the notation of `struct` where they have a number after them.
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_STRINGS = {
    b"\x8c": ("<B", "utf-8"),
    b"X": ("<I", "utf-8"),
    b"\x8d": ("<Q", "utf-8"),
    b"U": ("<B", "latin-1"),
    b"T": ("<i", "latin-1"),
}  # The last two are Python 2's str.
_BYTES = {b"C": "<B", b"B": "<I", b"\x8e": "<Q", b"\x96": "<Q"}
_SHORT_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PUTS = {b"q": "<B", b"r": "<I"}
_GETS = {b"h": "<B", b"j": "<I"}
_FROM_MARK = {b"t", b"l", b"d", b"e", b"u"}  # TUPLE, LIST, DICT, APPENDS, SETITEMS


class Machine:
    """Runs the opcodes of a file's next `size` bytes on inert values: literals, lists, dicts, labels and `Call`."""

    def __init__(self, file, size, vocabulary):
        self._file = file
        self._vocabulary = vocabulary
        self._left = self._size = size
        self._stack = []
        self._marks = []  # Heights of the stack; nothing below the last one can be reached.
        self._memo = {}

    def run(self, to_the_end=True):
        """Returns the one value that the pickle leaves on the stack. to_the_end: no byte may follow it."""
        if self._take(1) != b"\x80" or not 2 <= self._take(1)[0] <= 5:
            raise Refusal(
                "expected a pickle of protocol 2 to 5, found another kind of file",
                f"check that it is a {self._vocabulary.kind}",
            )
        for _ in range(MAX_OPCODES):
            start = self._size - self._left
            opcode = self._take(1)
            if opcode == b".":
                return self._result(to_the_end)
            try:
                self._step(opcode)
            except Refusal as refusal:
                raise Refusal(f"{refusal.found} (byte {start})", refusal.advice) from None
        raise Refusal(f"the file has more than {MAX_OPCODES} opcodes")

    def _result(self, to_the_end):
        if self._left and to_the_end:
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
            self._stack.append(self._known(self._line(), self._line()))
        elif opcode == b"\x93":
            name, module = self._pop(), self._pop()
            self._stack.append(self._known(module, name))
        elif opcode in (b"R", b"\x81"):  # REDUCE, NEWOBJ
            args, kind = self._pop(), self._pop()
            self._stack.append(self._recorded(kind, args, called=opcode == b"R"))
        elif opcode == b"b":  # BUILD
            state = self._pop()
            self._restore(self._top(), state)
        elif opcode == b"Q" and self._vocabulary.persistent is not None:  # BINPERSID
            self._stack.append(Call(self._vocabulary.persistent, (self._pop(),)))
        else:
            raise Refusal(f"opcode 0x{opcode.hex()}, which no {self._vocabulary.kind} needs")

    def _known(self, module, name):
        if type(module) is not str or type(name) is not str:
            raise Refusal("the name of a class or function is not text")
        if (module, name) not in self._vocabulary.names:
            raise Refusal(f"it refers to {shown(module + '.' + name)}, which no {self._vocabulary.kind} needs")
        return self._vocabulary.names[module, name]

    def _recorded(self, kind, args, called):
        words = self._vocabulary
        allowed = words.dictionaries | (words.reducible if called else words.newable)
        if not isinstance(kind, Enum) or kind not in allowed or type(args) is not tuple:
            raise Refusal(f"a call of {described(kind)} that no {words.kind} needs")
        if kind in words.dictionaries and args and words.ordered_dictionaries:
            return _of_pairs(args[0])
        if kind in words.dictionaries | words.newable and args:
            raise Refusal(f"{kind.value} is made with arguments, expected none")
        return {} if kind in words.dictionaries else Call(kind, args)

    def _restore(self, target, state):
        """BUILD: remembers `state`. A dictionary class has none (old Pythons write an empty one)."""
        if type(target) is dict and type(state) is dict and (not state or self._vocabulary.ordered_dictionaries):
            return
        if type(target) is not Call or target.kind not in self._vocabulary.buildable:
            raise Refusal("the state of something that has none is set")
        if target.state is not None or state is None:
            raise Refusal(f"the state of {target.kind.value} is set twice or empty")
        target.state = state

    def _collect(self, opcode, items):
        """Makes a container of `items`, or adds them to the one on top of the stack."""
        if opcode == b"t":
            self._stack.append(tuple(items))
        elif opcode == b"l":
            self._stack.append(items)
        elif opcode == b"e":
            if type(self._top()) is not list:
                raise Refusal("items are appended to something that is not a list")
            self._top().extend(items)
        else:
            if opcode == b"d":
                self._stack.append({})
            if type(self._top()) is not dict or len(items) % 2:
                raise Refusal("key and value pairs are stored in something that is not a dictionary")
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
            raise Refusal("text that is not an integer", DAMAGED) from None

    def _number(self, layout):
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _check_left(self, count):
        if not 0 <= count <= self._left:
            raise Refusal(f"{count} bytes are expected next but {self._left} are left", DAMAGED)

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


def _store(target, items):
    # Only text as a key: hashing a deeply nested tuple would overflow the interpreter's own stack.
    for key, value in zip(items[::2], items[1::2]):
        if type(key) is not str or key in target:
            raise Refusal("a key of a dictionary is not text, or a duplicate")
        target[key] = value


def _of_pairs(pairs):
    """Python 2's OrderedDict is made of the list [[key, value], ...]."""
    if type(pairs) is not list or not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
        raise Refusal("a dictionary is made of something other than a list of pairs")
    result = {}
    _store(result, [item for pair in pairs for item in pair])
    return result


def shown(text):
    """A name from the file as it may be printed: short, on one line, without control characters."""
    return ascii(text if len(text) <= 80 else text[:80] + "...")


def described(value):
    """What a value is, for a message; never its contents, which could be of any length."""
    if isinstance(value, Enum) or type(value) is Call:
        return (value.kind if type(value) is Call else value).value
    return "a value of type " + type(value).__name__


# ---- What the authors' network pickles, and pickles of NumPy arrays, may name.


class Known(Enum):
    """What a (module, name) pair in the file may stand for."""

    NETWORK = "Network"
    DICT = "a dictionary class"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy's _reconstruct"
    FROMBUFFER = "numpy's _frombuffer"
    SCALAR = "numpy's scalar"
    ENCODE = "_codecs.encode"


_NAMES = {
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
    _NAMES[_core + ".multiarray", "_reconstruct"] = Known.RECONSTRUCT
    _NAMES[_core + ".multiarray", "scalar"] = Known.SCALAR
    _NAMES[_core + ".numeric", "_frombuffer"] = Known.FROMBUFFER
NETWORKS = Vocabulary(
    kind="network pickle",
    advice="nothing in it was run; only network pickles of the authors' ProGAN and StyleGAN code can be read",
    names=_NAMES,
    dictionaries=frozenset({Known.DICT}),
    reducible=frozenset({Known.DTYPE, Known.RECONSTRUCT, Known.FROMBUFFER, Known.SCALAR, Known.ENCODE}),
    newable=frozenset({Known.NETWORK}),
    buildable=frozenset({Known.NETWORK, Known.DTYPE, Known.RECONSTRUCT}),
)
