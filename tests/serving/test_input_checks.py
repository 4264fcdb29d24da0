"""Checks of requests: `test_served` sends such requests to a server."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.serving import signatures
from stylegan_tf.serving.signatures import checked, checked_batch, checked_result, valid_rows, zero_invalid_rows

GOOD = np.arange(10, dtype=np.float32).reshape(2, 5)


def test_valid_inputs_pass_unchanged():
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
def test_invalid_inputs_are_an_invalid_argument_that_names_what_was_expected(value, shape, limits, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        checked("latents", tf.constant(value), shape, limits)


def test_inputs_of_different_length_are_reported():
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"psi must have as many rows as z; they have\] \[4\] \[3\]"
    ):
        checked_batch({"z": tf.zeros([3, 5]), "psi": tf.zeros([4])})


@pytest.fixture
def no_assertions(monkeypatch):
    """As in a runtime that drops assertions; test_read_elsewhere.py uses one."""
    monkeypatch.setattr(signatures, "_assertion", lambda condition, data: tf.constant(0))


NAN = np.array([[0, 1, 2, 3, 4], [5, np.nan, 7, 8, 9]], np.float32)


def test_nan_and_what_is_out_of_range_are_refused_without_assertions(no_assertions):
    infinite, seeds = np.array([1, np.inf], np.float32), np.array([0, 8])
    for value, shape, limits in ((NAN, [None, 5], None), (infinite, [None], None), (seeds, [None], (0, 7))):
        with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
            checked("latents", tf.constant(value), shape, limits)


def test_results_that_overflow_are_refused(no_assertions):
    np.testing.assert_array_equal(checked_result("images", tf.constant(GOOD)), GOOD)
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        checked_result("images", tf.constant(NAN))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_inputs_of_different_length_are_refused_without_assertions(no_assertions, count):
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        checked_batch({"z": tf.zeros([3, 5]), "psi": tf.ones([count])})


def test_each_row_is_validated_on_its_own():
    assert valid_rows(tf.constant(NAN)).numpy().tolist() == [True, False]
    assert valid_rows(tf.constant(NAN[:, 1] * np.inf)).numpy().tolist() == [False, False]
    assert valid_rows(tf.zeros([2, 3, 4])).numpy().tolist() == [True, True]
    assert valid_rows(tf.constant([-1, 0, 7, 8]), (0, 7)).numpy().tolist() == [False, True, True, False]
    assert valid_rows(tf.zeros([0, 5])).shape == [0]
    replaced = zero_invalid_rows(tf.constant(NAN), tf.constant([True, False]))
    np.testing.assert_array_equal(replaced, [[0, 1, 2, 3, 4], [0] * 5])
    assert zero_invalid_rows(tf.constant([3, 4]), tf.constant([False, True])).numpy().tolist() == [0, 4]
