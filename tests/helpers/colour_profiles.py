"""Colour profiles, byte by byte as ICC.1 describes them."""

import itertools
import struct

# Columns: red, green and blue as XYZ under D50.
SRGB = ((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410))
DISPLAY_P3 = ((0.51512, 0.29198, 0.1571), (0.2412, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
SEEN = (0, 185, 23)  # (40, 180, 60) of Display P3 with gamma 2.2, in sRGB.
_WHITE = (0.9642, 1.0, 0.8249)


def rgb_profile(matrix, gamma):
    """Of primaries (rows X, Y, Z) and one exponent."""
    columns = {f"{name}XYZ": _xyz([row[place] for row in matrix]) for place, name in enumerate("rgb")}
    return _profile(b"RGB ", b"XYZ ", {**columns, **{f"{name}TRC": _curve(gamma) for name in "rgb"}})


def gray_profile(gamma):
    return _profile(b"GRAY", b"XYZ ", {"kTRC": _curve(gamma)})


def cmyk_profile(lightness):
    """`lightness(c, m, y, k)`, 0 to 100, at the corners of the cube; in between it is linear."""
    ramp = bytes(range(256))
    corners = [round(lightness(*corner) * 2.55) for corner in itertools.product((0, 1), repeat=4)]
    table = b"".join(bytes([level, 128, 128]) for level in corners)
    head = struct.pack(">4s4xBBBx9i", b"mft1", 4, 3, 2, *(65536 if place in (0, 4, 8) else 0 for place in range(9)))
    return _profile(b"CMYK", b"Lab ", {"A2B0": head + ramp * 4 + table + ramp * 3})


def _xyz(values):
    return struct.pack(">4s4x3i", b"XYZ ", *(round(value * 65536) for value in values))


def _curve(gamma):
    return struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))


def _profile(space, connection, tags):
    tags = {"wtpt": _xyz(_WHITE), **tags}
    offset, entries, contents = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        entries += struct.pack(">4sII", name.encode(), offset + len(contents), len(content))
        contents += content
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4xI4s4s4s12x4s24x", offset + len(contents), 0x02400000, kind, space, connection, b"acsp")
    head += struct.pack(">I3i", 0, *(round(value * 65536) for value in _WHITE))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + contents
