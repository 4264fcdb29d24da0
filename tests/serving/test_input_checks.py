"""Checks of requests: `test_served` sends such requests to a server."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.serving.input_checks import checked, checked_batch

GOOD = np.arange(10, dtype=np.float32).reshape(2, 5)


def test_what_is_right_passes_unchanged():
    np.testing.assert_array_equal(checked("latents", tf.constant(GOOD), [None, 5]), GOOD)
    np.testing.assert_array_equal(checked("seeds", tf.constant([0, 7]), [None], (0, 7)), [0, 7])
    batch = checked_batch({"a": tf.zeros([3]), "b": tf.zeros([3, 2])})
    assert {name: tensor.shape.as_list() for name, tensor in batch.items()} == {"a": [3], "b": [3, 2]}


@pytest.mark.parametrize(
    "value, shape, limits, message",
    [
        (GOOD[:, :4], [None, 5], None, r"latents must have the shape \[N, 5\], got\] \[2 4\]"),
        (GOOD[0], [None, 5], None, r"latents must have the shape \[N, 5\], got\] \[5\]"),
        (np.float32(0), [None], None, r"latents must have the shape \[N\], got"),
        (GOOD[None], [None, 5], None, r"latents must have the shape \[N, 5\], got\] \[1 2 5\]"),
        (GOOD[None], [None, 3, 5], None, r"latents must have the shape \[N, 3, 5\], got\] \[1 2 5\]"),
        (np.full([2, 5], np.nan, np.float32), [None, 5], None, "latents must be finite, got NaN or infinity"),
        (np.full([1, 5], -np.inf, np.float32), [None, 5], None, "latents must be finite, got NaN or infinity"),
        (np.array([3, 8]), [None], (0, 7), r"latents must lie within 0 to 7, got\] \[3 8\]"),
        (np.array([3, -1]), [None], (0, 7), r"latents must lie within 0 to 7, got\] \[3 -1\]"),
    ],
)
def test_what_is_wrong_is_an_invalid_argument_that_names_what_was_expected(value, shape, limits, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        checked("latents", tf.constant(value), shape, limits)


def test_inputs_of_different_length_are_told():
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"psi must have as many rows as z; they have\] \[4\] \[3\]"
    ):
        checked_batch({"z": tf.zeros([3, 5]), "psi": tf.zeros([4])})
