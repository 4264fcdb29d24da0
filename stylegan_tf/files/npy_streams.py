"""One array from a stream in NumPy's format, for files that nobody vouches for."""

import numpy as np


def read_array(stream, size: int) -> np.ndarray:
    """A `.npy` stream of `size` bytes. Raises ValueError if its head claims more, before memory is taken, or less."""
    version = np.lib.format.read_magic(stream)
    head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = head(stream)
    expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.hasobject or expected > size:
        raise ValueError(f"it claims to hold {dtype} {list(shape)}, which {size:,} bytes cannot")
    data = stream.read(expected)
    if len(data) != expected:
        raise ValueError(f"it is cut off after {len(data):,} of {expected:,} bytes")
    if stream.read(1):  # At the end of a member its checksum is compared.
        raise ValueError(f"it holds more than the {dtype} {list(shape)} of its head")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
