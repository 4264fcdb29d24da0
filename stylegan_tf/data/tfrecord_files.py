"""The format of TFRecord files: framing, checksums, offsets, and the message `tf.train.Example`.

A record is: its length (8 bytes, little endian), the masked CRC-32C of these, the data, the masked CRC-32C of the data.
Worker processes of a conversion write it without importing TensorFlow, which would cost each of them seconds and
hundreds of megabytes.
"""

import functools
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Union

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER = struct.Struct("<QI")  # Length and its checksum.
OVERHEAD = HEADER.size + CRC.size  # Bytes of a record that are not its data.
CUT_OFF = "it is cut off"
DAMAGED_DATA = "its checksum is wrong"
DAMAGED_LENGTH = "the checksum of its length is wrong; what follows cannot be read"
# On the wire a map is a list of entries; a list leaves their order to the writer.
_EXAMPLE_PROTO = """
name: "example.proto" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 type_name: "BytesList" type: TYPE_MESSAGE oneof_index: 0 }
  field { name: "int64_list" number: 3 type_name: "Int64List" type: TYPE_MESSAGE oneof_index: 0 }
}
message_type {
  name: "Entry"
  field { name: "key" number: 1 type: TYPE_STRING }
  field { name: "value" number: 2 type_name: "Feature" type: TYPE_MESSAGE }
}
message_type {
  name: "Features" field { name: "feature" number: 1 label: LABEL_REPEATED type_name: "Entry" type: TYPE_MESSAGE }
}
message_type { name: "Example" field { name: "features" number: 1 type_name: "Features" type: TYPE_MESSAGE } }
"""


class Record(NamedTuple):
    """The position of one record, and its damage (None: it is intact)."""

    offset: int  # Offset of its data.
    length: int
    damage: Optional[str] = None


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720), rotated and offset, so that a checksum of data that hold checksums stays useful."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(records: Sequence[bytes]) -> bytes:
    """-> the bytes of a file, or of a piece of one, with these records."""
    pieces = []
    for record in records:
        length = LENGTH.pack(len(record))
        pieces += [length, CRC.pack(masked_crc32c(length)), record, CRC.pack(masked_crc32c(record))]
    return b"".join(pieces)


def matches_checksum(data_and_crc: bytes) -> bool:
    """Whether the data of one record agree with the 4 bytes of checksum after them."""
    return data_and_crc[-CRC.size :] == CRC.pack(masked_crc32c(data_and_crc[: -CRC.size]))


def length_matches_checksum(header: bytes) -> bool:
    """Whether the length of a record agrees with its checksum, which follows it."""
    return header[LENGTH.size :] == CRC.pack(masked_crc32c(header[: LENGTH.size]))


def scan(path, verify: bool = False) -> Iterator[Record]:
    """`walk` over a file."""
    if os.path.getsize(path) == 0:
        return
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from walk(data, verify)


def walk(data: Union[bytes, mmap.mmap], verify: bool = False) -> Iterator[Record]:
    """The records of a file's content, in order, up to a damaged length: what follows cannot be located.

    With `verify`, the data are compared with their checksums; the walk continues after a damaged record.
    """
    position, end = 0, len(data)
    while position < end:
        start = position + HEADER.size
        length = HEADER.unpack_from(data, position)[0] if start <= end else 0
        if start <= end and not length_matches_checksum(data[position:start]):
            yield Record(start, 0, DAMAGED_LENGTH)
            return
        if start + length + CRC.size > end:
            yield Record(start, 0, CUT_OFF)
            return
        position = start + length + CRC.size
        wrong = verify and not matches_checksum(data[start:position])
        yield Record(start, length, DAMAGED_DATA if wrong else None)


@functools.cache
def _example_class() -> type:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_EXAMPLE_PROTO, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))


def serialize_example(features: Mapping[str, Union[bytes, Sequence[int]]]) -> bytes:
    """The bytes that TensorFlow's own deterministic serialisation gives, sorted by name."""
    example = _example_class()()
    for name, value in sorted(features.items()):
        feature = example.features.feature.add(key=name).value
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.int64_list.value.extend(value)
    return example.SerializeToString()


def parse_example(serialized: bytes) -> dict[str, Union[bytes, tuple[int, ...], None]]:
    """The inverse; None for features of other kinds. Raises ValueError if it is not a tf.train.Example."""
    example = _example_class()()
    try:
        example.ParseFromString(serialized)
    except DecodeError:
        raise ValueError("it is not a tf.train.Example") from None
    return {entry.key: _feature_value(entry.value) for entry in example.features.feature}


def _feature_value(feature) -> Union[bytes, tuple[int, ...], None]:
    if feature.HasField("int64_list"):
        return tuple(feature.int64_list.value)
    return feature.bytes_list.value[0] if len(feature.bytes_list.value) == 1 else None
