"""Python's own unpickler, cut down to what files of numbers need: nothing that is in a file is run.

A pickle is a program for a small stack machine. `Machine` takes from `pickle` the opcodes that make literals, lists and
tuples, has its own for those that would look up, call or change something, and refuses all others. A class or function
named in the file becomes a label of the reader's `Vocabulary` or the file is refused, and a "call" only records its
arguments (`Call`). So no callable is ever looked up by a name from the file, and no attribute of anything is set from
it. The readers (`networks.conversion.network_pickle`, `torch_weights`) check the records and make arrays of them.

Memory: every length is checked against the bytes that remain before anything is allocated; the number of reads, of
which each opcode needs one at least, is limited.
"""

import contextlib
import os
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, ClassVar

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import reason_of, short

MAX_READS = 1_000_000  # A file (G, D, Gs) at 256x256 needs about 12,000.
MAX_NAME_LENGTH = 200

DAMAGED = "the file is damaged or incomplete: download or copy it again"


class Refusal(Exception):
    """What was found in the file, and advice on what to do about it; None: that of the vocabulary."""

    def __init__(self, found, advice=None):
        super().__init__(found)
        self.found = found
        self.advice = advice


class Known(Enum):
    """What a (module, name) pair in a file may stand for, and a description: there is nothing to call."""

    NETWORK = "Network"
    DICT = "a dictionary class"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy's _reconstruct"
    FROMBUFFER = "numpy's _frombuffer"
    SCALAR = "numpy's scalar"
    ENCODE = "_codecs.encode"
    TENSOR = "a tensor"
    TENSOR_OF_PYTORCH_0 = "a tensor of PyTorch before 0.4"
    PARAMETER = "a parameter"
    STORAGE = "a storage"


_OF_NUMPY = (Known.DTYPE, Known.RECONSTRUCT, Known.FROMBUFFER, Known.SCALAR, Known.ENCODE)
_CALLED = (Known.DICT, *_OF_NUMPY, Known.TENSOR, Known.TENSOR_OF_PYTORCH_0, Known.PARAMETER)
_MADE = (Known.DICT, Known.NETWORK)  # Without a call, and without arguments.
_WITH_STATE = (Known.NETWORK, Known.DTYPE, Known.RECONSTRUCT)


@dataclass(frozen=True)
class Vocabulary:
    """What a kind of file may name; everything else is refused."""

    kind: str  # For messages, such as "network pickle".
    advice: str  # For the user whose file holds something else.
    names: Mapping[tuple[str, str], Enum]  # (module, name) -> one of `Known`, or a label that nothing is done with.
    ordered_dictionaries: bool = False  # They may be made of a list of pairs, and have attributes, which are dropped.
    storages: bool = False  # There may be records of storages, which are outside the pickle.


class Call:
    """A recorded call: `kind` is what the file wanted to call, `state` what it wanted to restore afterwards."""

    __slots__ = ("args", "array", "kind", "state")

    def __init__(self, kind, args):
        self.kind = kind
        self.args = args
        self.state = None
        self.array = None  # Filled by the assembler: one array however often the file refers to it.


@contextlib.contextmanager
def opened(path, vocabulary: Vocabulary) -> Iterator[tuple[BinaryIO, int]]:
    """The file at `path` and its size. Whatever the block raises becomes a UserError: one line, with the path."""
    try:
        if not os.path.isfile(path):
            found = "a folder" if os.path.isdir(path) else "no file"
            raise Refusal(f"expected a {vocabulary.kind}, found {found}", "check the path")
        with open(path, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except (UserError, MemoryError):
        raise
    except Refusal as refusal:
        raise UserError(f"{path}: {refusal.found}; {refusal.advice or vocabulary.advice}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # Damaged bytes can raise almost anything.
        raise UserError(f"{path}: a damaged {vocabulary.kind} ({short(reason_of(error), 100)}); {DAMAGED}") from None


class _Bytes:
    """The part of a file that a machine reads: `left` bytes."""

    def __init__(self, file, left):
        self._file = file
        self._reads = 0
        self.left = left

    def read(self, count):
        self._reads += 1
        if self._reads > MAX_READS:
            raise Refusal(f"the file takes more than {MAX_READS} reads")
        if not 0 <= count <= self.left:  # Before reading: a buffer of `count` bytes would be allocated first.
            raise Refusal(f"{count} bytes are expected next but {self.left} are left", DAMAGED)
        data = self._file.read(count)
        if len(data) != count:
            raise Refusal("the file became shorter while it was read", DAMAGED)
        self.left -= count
        return data

    def readline(self):
        line = self._file.readline(min(MAX_NAME_LENGTH, self.left))
        if not line.endswith(b"\n"):
            raise Refusal("a line of text does not end", DAMAGED)
        self.left -= len(line)
        return line


_UNCHANGED = (
    b"N\x88\x89KMJG"  # None, bools, numbers.
    b"\x8cX\x8dUTCB\x8e"  # Text of Python 3 and 2, bytes.
    b")\x85\x86\x87t]lae}("  # Tuples, lists, the empty dictionary, the mark.
    b"\x94qrhj"  # The memo.
    b"c\x93Q"  # GLOBAL and STACK_GLOBAL, which use `find_class`; BINPERSID, which uses `persistent_load`.
    b"."
)


class Machine(pickle._Unpickler):
    """Runs the opcodes of a file's next `size` bytes on inert values: literals, lists, dicts, labels and `Call`."""

    def __init__(self, file, size, vocabulary):
        self._bytes = _Bytes(file, size)
        self._vocabulary = vocabulary
        super().__init__(self._bytes, encoding="latin-1")  # That of Python 2's str.

    def run(self, to_the_end=True):
        """Returns the value that the pickle leaves on the stack. to_the_end: no byte may follow it."""
        try:
            if self._bytes.read(1) != b"\x80" or not 2 <= self._bytes.read(1)[0] <= 5:
                raise Refusal(
                    "expected a pickle of protocol 2 to 5, found another kind of file",
                    f"check that it is a {self._vocabulary.kind}",
                )
            value = self.load()
        except (Refusal, OSError, MemoryError):
            raise
        except Exception as error:  # Damaged bytes can raise almost anything.
            raise Refusal(f"a damaged pickle ({short(reason_of(error), 100)})", DAMAGED) from None
        if self._bytes.left and to_the_end:
            raise Refusal(f"{self._bytes.left} bytes follow the end of the pickle", DAMAGED)
        return value

    def find_class(self, module, name):
        """The label of a name. Nothing is imported."""
        if (module, name) not in self._vocabulary.names:
            raise Refusal(f"it refers to {shown(module + '.' + name)}, which no {self._vocabulary.kind} needs")
        return self._vocabulary.names[module, name]

    def persistent_load(self, pid):
        """The record of something outside the pickle."""
        if not self._vocabulary.storages:
            self._refuse()
        return Call(Known.STORAGE, (pid,))

    def _refuse(self):
        raise Refusal(f"an opcode that no {self._vocabulary.kind} needs")

    def _skip_frame(self):
        self.read(8)  # A frame is only a hint for reading ahead.

    def _int(self):
        self.load_int()
        self._check_integer()

    def _long(self):
        self.load_long1()
        self._check_integer()

    def _check_integer(self):
        if self.stack[-1].bit_length() > 64:
            raise Refusal("an integer of more than 64 bits")

    def _reduce(self):
        args, kind = self.stack.pop(), self.stack.pop()
        self.append(self._recorded(kind, args, _CALLED))

    def _new(self):
        args, kind = self.stack.pop(), self.stack.pop()
        self.append(self._recorded(kind, args, _MADE))

    def _recorded(self, kind, args, allowed):
        if kind not in allowed or type(args) is not tuple:
            raise Refusal(f"a call of {described(kind)} that no {self._vocabulary.kind} needs")
        if kind is Known.DICT and args and self._vocabulary.ordered_dictionaries:
            return _of_pairs(args[0])
        if kind in _MADE and args:
            raise Refusal(f"{kind.value} is made with arguments, expected none")
        return {} if kind is Known.DICT else Call(kind, args)

    def _build(self):
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is dict and type(state) is dict and (not state or self._vocabulary.ordered_dictionaries):
            return  # Old Pythons write an empty one for every dictionary class.
        if type(target) is not Call or target.kind not in _WITH_STATE:
            raise Refusal("the state of something that has none is set")
        if target.state is not None or state is None:
            raise Refusal(f"the state of {target.kind.value} is set twice or empty")
        target.state = state

    def _dict(self):
        items = self.pop_mark()
        self.append({})
        _store(self.stack[-1], items)

    def _set_item(self):
        value, key = self.stack.pop(), self.stack.pop()
        _store(self.stack[-1], [key, value])

    def _set_items(self):
        items = self.pop_mark()
        _store(self.stack[-1], items)

    dispatch: ClassVar = {
        **dict.fromkeys(range(256), _refuse),
        **{code: pickle._Unpickler.dispatch[code] for code in _UNCHANGED},
        pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],
        pickle.FRAME[0]: _skip_frame,
        pickle.INT[0]: _int,
        pickle.LONG1[0]: _long,
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _new,
        pickle.BUILD[0]: _build,
        pickle.DICT[0]: _dict,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
    }


def _store(target, items):
    if type(target) is not dict or len(items) % 2:
        raise Refusal("key and value pairs are stored in something that is not a dictionary")
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


# What the authors' network pickles, and pickles of NumPy arrays, may name.
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
)
