"""LSUN's lmdb databases: a folder with `data.mdb`, whose values are image files.

The file is read here, page by page (LMDB's format of 64-bit little-endian machines). Its own library maps the file
into memory and trusts it: one that is cut off or damaged ends the process without a word.
"""

import os
import pathlib
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.collection import Collection
from stylegan_tf.data.sources.decoding import BadPicture
from stylegan_tf.data.sources.image_files import other_entries
from stylegan_tf.errors import UserError

_FILE, _LOCK = "data.mdb", "lock.mdb"
_MAGIC = 0xBEEFC0DE
_PAGE = struct.Struct("<QHHHH")  # Number, (unused), flags, end of the table of nodes, end of the free space.
_META = struct.Struct("<IIQQ 4xHH5Q 4xHH5Q QQ")  # ... the free list, the main database, last page, transaction.
_NODE = struct.Struct("<HHHH")  # Low and high half of the value's size (or child page), flags, size of the key.
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4  # Flags of pages.
_BIG, _SUB, _DUPLICATES = 1, 2, 4  # Flags of nodes.
_NO_PAGE = 2**64 - 1


class _Value(NamedTuple):
    key: bytes
    offset: int
    size: int


class LmdbCollection(Collection):
    """The values of a database in the order of their keys."""

    def __init__(self, folder: str):
        self._path, self._stream = os.path.join(folder, _FILE), None
        with reading.reading_source(folder, "an lmdb database"), open(self._path, "rb") as stream:
            values = list(_Reader(stream).values())
        if not values:
            raise UserError(f"`source` {folder} is an empty lmdb database.")
        self._keys = [value.key for value in values]
        self._places = np.array([(value.offset, value.size) for value in values], np.int64)
        self._fingerprint = reading.fingerprint(self._path)
        self.left_out = other_entries(pathlib.Path(folder), (_FILE, _LOCK))

    def __getstate__(self):
        return {**self.__dict__, "_stream": None}

    def __len__(self) -> int:
        return len(self._keys)

    def name(self, index: int) -> str:
        return self._keys[index].decode("utf-8", "backslashreplace")

    def read(self, index: int) -> bytes:
        if self._stream is None:
            self._stream = open(self._path, "rb")
        offset, size = map(int, self._places[index])
        if size > reading.MAX_FILE_BYTES:
            raise BadPicture(f"has {size:,} bytes, more than a picture may have ({reading.MAX_FILE_BYTES:,})")
        self._stream.seek(offset)
        data = self._stream.read(size)
        if len(data) != size:
            raise BadPicture("is cut off: the database ends before it")
        return data

    def fingerprint(self, index: int) -> str:
        return self._fingerprint


class _Reader:
    """Walks the tree of the main database. Raises ValueError for what cannot be."""

    def __init__(self, stream: BinaryIO):
        self._stream, self._size = stream, os.fstat(stream.fileno()).st_size
        self._seen: set[int] = set()  # Pages.
        # Page 0 and page 1 hold the two newest states; a page has the size that the first of them gives.
        stream.seek(_PAGE.size)
        self.page_size = struct.unpack_from("<24xI", self._at_most(28))[0]
        if not 256 <= self.page_size <= 2**16 or self.page_size & (self.page_size - 1):
            raise ValueError("it does not begin as a database does")
        states = [self._state(number) for number in (0, 1)]
        self.root, self.entries, self.last_page, _ = max(states, key=lambda state: state[-1])
        if (self.last_page + 1) * self.page_size > self._size:
            raise ValueError(f"it is cut off: {self._size:,} of {(self.last_page + 1) * self.page_size:,} bytes")

    def values(self) -> Iterator[_Value]:
        """All, in the order of their keys."""
        count = 0
        if self.root != _NO_PAGE:
            for value in self._below(self.root):
                count += 1
                yield value
        if count != self.entries:
            raise ValueError(f"its tree holds other than the {self.entries:,} entries that its head says")

    def _state(self, number: int) -> tuple[int, int, int, int]:
        """-> root, entries, last page and transaction that a meta page tells."""
        fields = _META.unpack_from(self._page(number), _PAGE.size)
        if fields[0] != _MAGIC:
            raise ValueError("it does not begin as a database does")
        return fields[17], fields[16], fields[18], fields[19]

    def _below(self, number: int) -> Iterator[_Value]:
        if number in self._seen:
            raise ValueError("its tree has a loop")
        self._seen.add(number)
        page = self._page(number)
        _, _, flags, lower, _ = _PAGE.unpack_from(page)
        if not flags & (_BRANCH | _LEAF) or not _PAGE.size <= lower <= self.page_size:
            raise ValueError(f"page {number} is damaged")
        for position in struct.unpack_from(f"<{(lower - _PAGE.size) // 2}H", page, _PAGE.size):
            if position + _NODE.size > self.page_size:
                raise ValueError(f"page {number} is damaged")
            low, high, node_flags, key_size = _NODE.unpack_from(page, position)
            if flags & _BRANCH:
                yield from self._below(low | high << 16 | node_flags << 32)
            else:
                yield self._value(number, page, position + _NODE.size, key_size, low | high << 16, node_flags)

    def _value(self, number: int, page: bytes, start: int, key_size: int, size: int, flags: int) -> _Value:
        after = start + key_size
        if flags & (_SUB | _DUPLICATES):
            raise ValueError("it holds databases inside of the database, which LSUN's do not")
        if after + (8 if flags & _BIG else size) > self.page_size:
            raise ValueError(f"page {number} is damaged")
        offset = number * self.page_size + after
        if flags & _BIG:
            elsewhere = struct.unpack_from("<Q", page, after)[0]
            if not _PAGE.unpack_from(self._page(elsewhere))[2] & _OVERFLOW:
                raise ValueError(f"page {elsewhere} is damaged")
            offset = elsewhere * self.page_size + _PAGE.size
        if offset + size > self._size:
            raise ValueError(f"a value of page {number} ends behind the file's end")
        return _Value(page[start:after], offset, size)

    def _page(self, number: int) -> bytes:
        if (number + 1) * self.page_size > self._size:
            raise ValueError(f"page {number} is behind the file's end")
        self._stream.seek(number * self.page_size)
        return self._at_most(self.page_size)

    def _at_most(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise ValueError("it is cut off")
        return data
