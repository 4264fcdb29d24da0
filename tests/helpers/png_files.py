"""PNG files of any depth; Pillow writes no colours of 16 bits."""

import struct
import zlib

import numpy as np


def png_bytes(values, depth, *chunks):
    """A PNG of unsigned numbers [H, W], [H, W, 3] or [H, W, 4], with further chunks (name, content)."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bits = [np.unpackbits(row.astype(">u2").view(np.uint8)).reshape(-1, 16)[:, 16 - depth :] for row in values]
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    colour_type = {(): 0, (3,): 2, (4,): 6}[values.shape[2:]]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour_type, 0, 0, 0)
    pieces = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*piece) for piece in pieces)
