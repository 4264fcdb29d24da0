"""How the weights of an export are stored."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.serving.network_parts import StoredWeights

ARRAYS = {"a/kernel": np.random.RandomState(0).randn(40, 30).astype(np.float32), "a/bias": np.full([30], 1 / 3)}


@pytest.mark.parametrize("as_constants", [False, True])
@pytest.mark.parametrize("dtype, bits", [("float32", 24), ("float16", 11), ("bfloat16", 8)])
def test_matrices_are_rounded_to_the_dtype_and_vectors_are_not(dtype, bits, as_constants):
    weights = StoredWeights(ARRAYS, dtype, as_constants)
    tensors = tf.function(lambda: weights.tensors("a/"), autograph=False)()
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {"kernel": tf.float32, "bias": tf.float32}
    error = np.abs(tensors["kernel"] / ARRAYS["a/kernel"] - 1).max()
    assert error <= 2.0**-bits and (error > 2.0 ** -(bits + 2) or dtype == "float32")
    np.testing.assert_array_equal(tensors["bias"], np.float32(1 / 3) * np.ones(30, np.float32))
    assert {variable.shape[0]: variable.dtype for variable in weights.variables} == (
        {} if as_constants else {40: tf.as_dtype(dtype), 30: tf.float32}
    )
    assert all(not variable.trainable for variable in weights.variables)


def test_only_the_weights_of_the_prefix_are_returned():
    assert set(StoredWeights({**ARRAYS, "b/kernel": np.ones([2, 2])}).tensors("b/")) == {"kernel"}


def test_the_fingerprint_is_of_values_and_not_of_names():
    one = StoredWeights(ARRAYS).sha256()
    assert one == StoredWeights({"x": ARRAYS["a/bias"], "y": ARRAYS["a/kernel"]}).sha256()
    changed = ARRAYS["a/kernel"].copy()
    changed[3, 4] += 1e-6
    assert one != StoredWeights({**ARRAYS, "a/kernel": changed}).sha256()


def test_weights_beyond_the_range_of_float16_are_refused():
    with pytest.raises(UserError, match="weight w reaches 70000, too much for float16: choose `weights=bfloat16`"):
        StoredWeights({"w": np.full([2, 2], 7e4, np.float32)}, "float16")
    (stored,) = StoredWeights({"w": np.full([2, 2], 7e4, np.float32)}, "bfloat16").variables
    assert stored.dtype == tf.bfloat16


def test_unknown_dtypes_are_reported():
    with pytest.raises(UserError, match="`weights` must be one of float32, bfloat16, float16, got 'int8'"):
        StoredWeights(ARRAYS, "int8")
