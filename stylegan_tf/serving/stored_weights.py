"""The weights of an export: variables or constants, in float32 or a 16-bit format."""

import hashlib

import numpy as np
import tensorflow as tf

from stylegan_tf.errors import UserError

DTYPES = ("float32", "bfloat16", "float16")


class StoredWeights:
    """Named arrays in the form in which a graph reads them: stored as `dtype`, computed with in float32.

    Vectors (biases, noise strengths) stay float32, as they take next to no space. Raises UserError if a weight is too
    large for the dtype.
    """

    def __init__(self, arrays: dict[str, np.ndarray], dtype: str = "float32", as_constants: bool = False):
        if dtype not in DTYPES:
            raise UserError(f"`weights` must be one of {', '.join(DTYPES)}, got {dtype!r}.")
        self._arrays = {name: as_stored(name, value, dtype) for name, value in arrays.items()}
        self._variables = {}
        if not as_constants:
            for index, name in enumerate(sorted(arrays)):
                variable = tf.Variable(self._arrays[name], trainable=False, name=f"weight{index}")
                self._variables[name] = variable

    @property
    def variables(self) -> list[tf.Variable]:
        """What has to be saved with the graph."""
        return list(self._variables.values())

    @property
    def size_bytes(self) -> int:
        return sum(value.nbytes for value in self._arrays.values())

    def tensors(self, prefix: str) -> dict[str, tf.Tensor]:
        """The weights whose names start with `prefix`, which is removed, as float32 tensors of the current graph."""
        found = {name: value for name, value in self._arrays.items() if name.startswith(prefix)}
        return {name[len(prefix) :]: self._tensor(name, value) for name, value in found.items()}

    def sha256(self) -> str:
        """A fingerprint of all values: not of their names, which follow from how TensorFlow names operations."""
        values = [str(value.shape).encode() + value.tobytes() for value in self._arrays.values()]
        digests = sorted(hashlib.sha256(value).digest() for value in values)
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def _tensor(self, name, value):
        stored = self._variables[name] if name in self._variables else tf.constant(value)
        return tf.cast(tf.convert_to_tensor(stored), tf.float32)


def as_stored(name: str, value: np.ndarray, dtype: str, wider: str = "bfloat16") -> np.ndarray:
    """The array in `dtype`, vectors in float32. Raises UserError, which recommends `wider`, if it is too large."""
    value = np.asarray(value, np.float32)
    if value.ndim < 2:
        return value
    with np.errstate(over="ignore"):
        rounded = value.astype(tf.dtypes.as_dtype(dtype).as_numpy_dtype)
    if not np.isfinite(rounded.astype(np.float32)).all() and np.isfinite(value).all():
        raise UserError(
            f"the weight {name} reaches {np.abs(value).max():g}, too much for {dtype}: choose `weights={wider}`."
        )
    return rounded
