"""What tells whether two files are the same."""

import hashlib
import os


def file_sha256(path: os.PathLike) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits. Reads it piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for piece in iter(lambda: stream.read(2**20), b""):
            digest.update(piece)
    return digest.hexdigest()
