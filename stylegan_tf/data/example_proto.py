"""The few bytes of protocol buffers that a tf.train.Example of ours needs, without TensorFlow.

An Example is Features{feature: {name: BytesList | FloatList | Int64List}}; every message is a sequence of
(tag, length, content), where a tag is field number * 8 + wire type.
"""

from collections.abc import Iterator, Sequence
from typing import Union

Feature = Union[bytes, tuple[int, ...], None]  # One string, integers, or something else.

_VARINT, _BYTES = 0, 2  # Wire types.
_SKIPPED = {1: 8, 5: 4}  # Wire types of fixed size.


def serialize(features: dict[str, Union[bytes, Sequence[int]]]) -> bytes:
    """The bytes that TensorFlow's own deterministic serialisation gives, sorted by name."""
    entries = [field(1, _entry(name, features[name])) for name in sorted(features)]
    return field(1, b"".join(entries))


def parse(serialized: bytes) -> dict[str, Feature]:
    """The inverse. Raises ValueError if it is not a tf.train.Example."""
    features: dict[str, Feature] = {}
    for number, content in _fields(serialized):
        if number == 1:
            for inner, entry in _fields(content):
                if inner == 1:
                    parts = dict(_fields(entry))
                    features[bytes(parts.get(1, b"")).decode("utf-8")] = _value(parts.get(2, b""))
    return features


def _entry(name: str, value) -> bytes:
    if isinstance(value, bytes):
        feature = field(1, field(1, value))
    else:
        feature = field(3, field(1, b"".join(_varint(number) for number in value)))
    return field(1, name.encode("utf-8")) + field(2, feature)


def field(number: int, content: bytes) -> bytes:
    """One field of a message whose content is a string, bytes or a message; `number` up to 15."""
    return bytes([number << 3 | _BYTES]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """7 bits a byte, the lowest first; the highest bit says that more follow."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _value(content) -> Feature:
    for number, kind in _fields(content):
        values = list(_fields(kind)) if isinstance(kind, memoryview) else []
        if number == 1 and len(values) == 1 and isinstance(values[0][1], memoryview):
            return bytes(values[0][1])
        if number == 3:
            return tuple(integer for _, value in values for integer in _integers(value))
    return None


def _integers(value) -> list[int]:
    """A single integer, or a packed list of them."""
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = _read_varint(value, position)
        numbers.append(number)
    return numbers


def _fields(content) -> Iterator[tuple[int, Union[int, memoryview]]]:
    """(field number, its content: a memoryview, or an integer)."""
    if isinstance(content, int):
        raise ValueError("it is not a tf.train.Example")
    view, position = memoryview(content), 0
    while position < len(view):
        tag, position = _read_varint(view, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value, position = _read_varint(view, position)
            yield tag >> 3, value
            continue
        if wire_type == _BYTES:
            size, position = _read_varint(view, position)
        elif wire_type in _SKIPPED:
            size = _SKIPPED[wire_type]
        else:
            raise ValueError("it is not a tf.train.Example")
        if position + size > len(view):
            raise ValueError("it is not a tf.train.Example")
        yield tag >> 3, view[position : position + size]
        position += size


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(view) and shift < 64:
        byte = view[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7
    raise ValueError("it is not a tf.train.Example")
