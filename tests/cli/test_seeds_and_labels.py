"""Seeds and labels from text."""

import numpy as np
import pytest

from stylegan_tf.cli.seeds_and_labels import class_label, parse_seeds
from stylegan_tf.errors import UserError


@pytest.mark.parametrize(
    "text, seeds",
    [("5", [5]), ("0-3,12", [0, 1, 2, 3, 12]), (" 7, 1-2 ", [7, 1, 2]), ("4294967295", [2**32 - 1]), ("3,3", [3, 3])],
)
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1--2", "1,,2", "1.5", "²"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(UserError, match="--rows takes numbers and ranges like 0-7,12"):
        parse_seeds(text, "rows")


@pytest.mark.parametrize("text", ["3-1", "4294967296", "0-4294967296"])
def test_seeds_beyond_what_numpy_takes_are_refused(text):
    with pytest.raises(UserError, match="not a range within 0 to 4294967295"):
        parse_seeds(text)


def test_a_label_has_ones_where_it_is_told():
    np.testing.assert_array_equal(class_label("1", 3), [0, 1, 0])
    np.testing.assert_array_equal(class_label("0, 2", 3), [1, 0, 1])
    assert class_label(None, 0) is None


@pytest.mark.parametrize(
    "text, size, message", [("0", 0, "has no labels"), (None, 3, "choose"), ("x", 3, "from 0 to 2")]
)
def test_labels_that_do_not_fit_are_refused(text, size, message):
    with pytest.raises(UserError, match=message):
        class_label(text, size)
