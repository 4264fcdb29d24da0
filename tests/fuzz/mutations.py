"""Damage of the kinds that disks, copies and people do to files."""

import random

_NUMBERS = (
    *(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x80", b"\x01\0\0\0", b"-1", b"0"),
    *(b"99999999999999999999", b"1e999", b"nan", b"NaN", b"../", b"\xc3\xa4", b"\xff\xfe", b"\n", b'"', b","),
    b"[" * 2000,
)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """1 to 4 changes, of which most are small."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(_CHANGES)(data, chance)
    return bytes(data)


def _place(data, chance):
    """Anywhere; heads and ends are where formats keep their numbers."""
    size = len(data)
    return chance.choice(
        (chance.randrange(size + 1), chance.randrange(min(size, 64) + 1), size - chance.randrange(min(size, 64) + 1))
    )


def _flip(data, chance):
    if data:
        data[min(_place(data, chance), len(data) - 1)] ^= 1 << chance.randrange(8)


def _byte(data, chance):
    if data:
        data[min(_place(data, chance), len(data) - 1)] = chance.randrange(256)


def _cut(data, chance):
    del data[_place(data, chance) :]


def _remove(data, chance):
    start = _place(data, chance)
    del data[start : start + chance.choice((1, 2, 16, 512))]


def _insert(data, chance):
    start = _place(data, chance)
    data[start:start] = chance.choice((chance.choice(_NUMBERS), chance.randbytes(chance.randrange(1, 40))))


def _number(data, chance):
    start, number = _place(data, chance), chance.choice(_NUMBERS)
    data[start : start + len(number)] = number


def _zeros(data, chance):
    start, size = _place(data, chance), chance.choice((4, 64, 512))
    data[start : start + size] = bytes(min(size, max(len(data) - start, 0)))


def _repeat(data, chance):
    start, size = _place(data, chance), chance.choice((8, 64, 600))
    data[start:start] = data[start : start + size]


def _swap(data, chance):
    first, second = sorted((_place(data, chance), _place(data, chance)))
    size = min(chance.choice((1, 8, 128)), second - first, len(data) - second)
    piece = data[first : first + size]
    data[first : first + size] = data[second : second + size]
    data[second : second + size] = piece


_CHANGES = (_flip, _flip, _byte, _cut, _remove, _insert, _number, _number, _zeros, _repeat, _swap)
