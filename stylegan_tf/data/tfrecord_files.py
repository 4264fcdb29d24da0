"""The container format of TFRecords, in NumPy: framing, checksums, offsets. Needs no TensorFlow.

A record is: its length (8 bytes, little endian), the masked CRC-32C of these, the data, the masked CRC-32C of the data.
Worker processes of a conversion write it without importing TensorFlow, which would cost each of them seconds and
hundreds of megabytes.
"""

import functools
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

import numpy as np

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER = struct.Struct("<QI")  # Length and its checksum.
OVERHEAD = HEADER.size + CRC.size  # Bytes of a record that are not its data.

_POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed.
_BLOCK = 64  # Bytes; blocks are run through the table side by side and combined afterwards.


class Record(NamedTuple):
    """Where one record is, and what is wrong with it (None: nothing)."""

    offset: int  # Of its data.
    length: int
    damage: Optional[str] = None


def crc32c(messages: Sequence[bytes]) -> np.ndarray:
    """CRC-32C (RFC 3720) of each message of at least 4 bytes -> uint32 [N].

    The register is a linear function of itself and the data, so that all blocks of all messages are run at once,
    from zero, and pairs of neighbours are then combined until one is left of each message.
    """
    length = max(map(len, messages))
    padded = -(-length // _BLOCK) * _BLOCK
    blocks = 1 << (padded // _BLOCK - 1).bit_length()
    data = np.zeros([len(messages), blocks * _BLOCK], np.uint8)
    for row, message in zip(data, messages):  # Zeros in front leave a register of zeros as it is.
        row[-len(message) :] = np.frombuffer(message, np.uint8)
        row[-len(message) : row.size - len(message) + 4] ^= 0xFF  # The register starts with ones.
    words = data.view("<u2").reshape(-1, _BLOCK // 2)
    table = _table()
    register = np.zeros([len(words)], np.uint32)
    for column in np.ascontiguousarray(words.T):
        register = table[(register & 0xFFFF) ^ column] ^ (register >> np.uint32(16))
    register = register.reshape(len(messages), blocks)
    size = _BLOCK
    while register.shape[1] > 1:
        register = _shift(register[:, 0::2], size) ^ register[:, 1::2]
        size *= 2
    return ~register[:, 0]


def frame(records: Sequence[bytes]) -> bytes:
    """-> the bytes of a file, or of a piece of one, with these records."""
    if not records:
        return b""
    lengths = [LENGTH.pack(len(record)) for record in records]
    length_crcs, data_crcs = _masked(crc32c(lengths)), _masked(crc32c(records))
    pieces = []
    for length, length_crc, record, data_crc in zip(lengths, length_crcs, records, data_crcs):
        pieces += [length, CRC.pack(length_crc), record, CRC.pack(data_crc)]
    return b"".join(pieces)


def is_sound(data_and_crc: bytes) -> bool:
    """Whether the data of one record agree with the 4 bytes of checksum after them."""
    data = data_and_crc[: -CRC.size]
    return len(data) >= 4 and _masked(crc32c([data]))[0] == CRC.unpack(data_and_crc[-CRC.size :])[0]


def scan(path, verify: bool = False, batch_bytes: int = 2**24) -> Iterator[Record]:
    """Walks the records of a file in order.

    Without `verify` only lengths are looked at. With it, checksums are compared, and a record whose data are damaged
    is told by its `damage`; the walk goes on after it. It ends at a damaged length: what follows cannot be found.
    """
    if os.path.getsize(path) == 0:
        return
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        waiting: list[Record] = []
        size = 0
        for record in _walk(data, verify):
            if not verify or record.damage:
                yield from _verified(data, waiting)
                waiting, size = [], 0
                yield record
                continue
            waiting.append(record)
            size += record.length
            if size >= batch_bytes or len(waiting) >= 1024:
                yield from _verified(data, waiting)
                waiting, size = [], 0
        yield from _verified(data, waiting)


def wrong_length(path, found: Sequence[Record]) -> Optional[int]:
    """The first of a file's records whose length does not fit its checksum: from there on nothing is where it seems."""
    if not found:
        return None
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = [record.offset - HEADER.size for record in found if record.offset >= HEADER.size]
        heads = [data[start : start + HEADER.size] for start in starts]
    heads = [head for head in heads if len(head) == HEADER.size]
    crcs = _masked(crc32c([head[: LENGTH.size] for head in heads]))
    stored = np.array([HEADER.unpack(head)[1] for head in heads], np.uint32)
    wrong = np.flatnonzero(crcs != stored)
    return int(wrong[0]) if len(wrong) else None


def _walk(data, verify: bool) -> Iterator[Record]:
    position, end = 0, len(data)
    while position < end:
        start = position + HEADER.size
        if start > end:
            yield Record(position, 0, "it is cut off")
            return
        length, crc = HEADER.unpack_from(data, position)
        if verify and _masked(crc32c([data[position : position + 8]]))[0] != crc:
            yield Record(start, 0, "the checksum of its length is wrong; what follows cannot be read")
            return
        if start + length + CRC.size > end:
            yield Record(start, 0, "it is cut off")
            return
        yield Record(start, length)
        position = start + length + CRC.size


def _verified(data, found: list[Record]) -> Iterator[Record]:
    if not found:
        return
    crcs = _masked(crc32c([data[record.offset : record.offset + max(record.length, 4)] for record in found]))
    for record, crc in zip(found, crcs):
        end = record.offset + record.length
        wrong = record.length < 4 or CRC.unpack_from(data, end)[0] != crc
        yield record._replace(damage="its checksum is wrong") if wrong else record


def _masked(crcs: np.ndarray) -> np.ndarray:
    """TFRecords store checksums turned and offset, so that a checksum of data with checksums stays useful."""
    return ((crcs >> np.uint32(15)) | (crcs << np.uint32(17))) + np.uint32(0xA282EAD8)


@functools.cache
def _table() -> np.ndarray:
    """What 16 bits at the low end of the register become: uint32 [65536]."""
    table = np.arange(2**16, dtype=np.uint32)
    for _ in range(16):
        table = (table >> np.uint32(1)) ^ np.where(table & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return table


@functools.cache
def _shift_columns(size: int) -> tuple[int, ...]:
    """What each of the 32 bits of the register becomes after `size` zero bytes (a power of two, at least 2)."""
    if size == 2:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return tuple(int(value) for value in _table()[bits & 0xFFFF] ^ (bits >> np.uint32(16)))
    half = _shift_columns(size // 2)
    return tuple(functools.reduce(int.__xor__, (half[i] for i in range(32) if column >> i & 1), 0) for column in half)


@functools.cache
def _shift_tables(size: int) -> np.ndarray:
    """The same for each byte of the register: uint32 [4, 256]."""
    columns = np.array(_shift_columns(size), np.uint32).reshape(4, 8)
    bits = (np.arange(256)[:, np.newaxis] >> np.arange(8)) & 1  # [256, 8]
    chosen = np.where(bits[np.newaxis].astype(bool), columns[:, np.newaxis], np.uint32(0))  # [4, 256, 8]
    return np.bitwise_xor.reduce(chosen, axis=2)


def _shift(register: np.ndarray, size: int) -> np.ndarray:
    """The register after `size` zero bytes."""
    tables = _shift_tables(size)
    shifted = tables[0][register & 0xFF]
    for byte in range(1, 4):
        shifted = shifted ^ tables[byte][(register >> np.uint32(8 * byte)) & 0xFF]
    return shifted
