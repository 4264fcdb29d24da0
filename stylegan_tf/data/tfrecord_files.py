"""The container format of TFRecords: framing, checksums, offsets. Needs no TensorFlow.

A record is: its length (8 bytes, little endian), the masked CRC-32C of these, the data, the masked CRC-32C of the data.
Worker processes of a conversion write it without importing TensorFlow, which would cost each of them seconds and
hundreds of megabytes.
"""

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

import google_crc32c

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER = struct.Struct("<QI")  # Length and its checksum.
OVERHEAD = HEADER.size + CRC.size  # Bytes of a record that are not its data.


class Record(NamedTuple):
    """The position of one record, and its damage (None: it is sound)."""

    offset: int  # Of its data.
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


def is_sound(data_and_crc: bytes) -> bool:
    """Whether the data of one record agree with the 4 bytes of checksum after them."""
    return data_and_crc[-CRC.size :] == CRC.pack(masked_crc32c(data_and_crc[: -CRC.size]))


def scan(path, verify: bool = False) -> Iterator[Record]:
    """Walks the records of a file in order.

    Without `verify` only lengths are read. With it, checksums are compared, and a record whose data are damaged has a
    `damage`; the walk continues after it. It ends at a damaged length: what follows cannot be located.
    """
    if os.path.getsize(path) == 0:
        return
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position, end = 0, len(data)
        while position < end:
            start = position + HEADER.size
            if start > end:
                yield Record(position, 0, "it is cut off")
                return
            length, crc = HEADER.unpack_from(data, position)
            if verify and masked_crc32c(data[position : position + LENGTH.size]) != crc:
                yield Record(start, 0, "the checksum of its length is wrong; what follows cannot be read")
                return
            if start + length + CRC.size > end:
                yield Record(start, 0, "it is cut off")
                return
            position = start + length + CRC.size
            wrong = verify and not is_sound(data[start:position])
            yield Record(start, length, "its checksum is wrong" if wrong else None)


def wrong_length(path, found: Sequence[Record]) -> Optional[int]:
    """Index of the first record whose length does not match its checksum: no position after it can be trusted."""
    if not found:
        return None
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for index, record in enumerate(found):
            head = data[max(record.offset - HEADER.size, 0) : record.offset]
            if len(head) == HEADER.size and head[LENGTH.size :] != CRC.pack(masked_crc32c(head[: LENGTH.size])):
                return index
    return None
