"""Seeds and labels from text."""

import numpy as np
import pytest

from stylegan_tf.cli.seeds_and_labels import class_label, class_labels, parse_seeds
from stylegan_tf.errors import UserError


@pytest.mark.parametrize(
    "text, seeds",
    [("5", [5]), ("0-3,12", [0, 1, 2, 3, 12]), (" 7, 1-2 ", [7, 1, 2]), ("4294967295", [2**32 - 1]), ("3,3", [3, 3])],
)
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert list(parse_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1--2", "1,,2", "1.5", "²"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(UserError, match="--rows takes numbers and ranges like 0-7,12"):
        parse_seeds(text, "rows")


@pytest.mark.parametrize("text", ["3-1", "4294967296", "0-4294967296"])
def test_seeds_beyond_what_numpy_takes_are_refused(text):
    with pytest.raises(UserError, match="not a range within 0 to 4294967295"):
        parse_seeds(text)


def test_a_label_has_ones_in_its_columns():
    np.testing.assert_array_equal(class_label("1", 3), [0, 1, 0])
    np.testing.assert_array_equal(class_label("0=1, 2=1", 3), [1, 0, 1])
    assert class_label(None, 0) is None


def test_a_label_is_given_by_names_and_values():
    names = ("cat", "hat=no", "hat=yes", "a, b")
    for text, expected in [
        ("cat", [1, 0, 0, 0]),
        ("hat=yes", [0, 0, 1, 0]),
        ("cat=1, hat=no=1", [1, 1, 0, 0]),
        ("a, b", [0, 0, 0, 1]),
        ("cat=0.25,hat=yes=-2", [0.25, 0, -2, 0]),
        ("0=0.3,2=1", [0.3, 0, 1, 0]),
    ]:
        np.testing.assert_array_equal(class_label(text, 4, names), np.float32(expected), err_msg=text)
    np.testing.assert_array_equal(class_label("2", 3, ("1", "2", "5")), [0, 1, 0])  # Names come first.


@pytest.mark.parametrize(
    "text, names, expected",
    [
        ("hat=no,cat", ("cat", "hat=no"), {"hat=no": [0, 1], "cat": [1, 0]}),
        ("all", ("cat", "dog"), {"cat": [1, 0], "dog": [0, 1]}),
        ("all", ("all", "dog"), {"all": [1, 0]}),
        ("all", (), {"0": [1, 0], "1": [0, 1]}),
        ("1", (), {"1": [0, 1]}),
        ("0=0.5,1=0.5", (), {"0=0.5,1=0.5": [0.5, 0.5]}),
    ],
)
def test_several_classes_have_a_label_each(text, names, expected):
    found = class_labels(text, 2, names)
    assert {name: label.tolist() for name, label in found} == expected
    assert [name for name, _ in found] == list(expected)


@pytest.mark.parametrize(
    "text, size, names, message",
    [
        ("0", 0, (), "has no labels"),
        (None, 3, (), "choose .*numbers from 0 to 2"),
        (None, 2, ("cat", "dog"), "choose .*there are cat, dog"),
        ("x", 3, (), "'x' is none of .*from 0 to 2"),
        ("3", 3, (), "'3' is none of"),
        ("bird", 2, ("cat", "dog"), "'bird' is none of the network's; there are cat, dog"),
        ("0", 2, ("1", "2"), "'0' is none of"),
        ("0=nan", 2, (), "takes NAME or NAME=NUMBER, got '0=nan'"),
        ("0=1e39", 2, (), "takes NAME or NAME=NUMBER"),
        ("0=", 2, (), "takes NAME or NAME=NUMBER"),
        ("0=1,1", 2, (), "a mixed label gives each of its classes a number"),
        ("0,1", 2, (), "takes one class; the label of several at once is like a=1,b=1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(text, size, names, message):
    with pytest.raises(UserError, match=message):
        class_label(text, size, names)


def test_a_range_of_all_seeds_takes_no_memory():
    seeds = parse_seeds("5,0-4294967295,7-8", most=2**40)
    assert len(seeds) == 2**32 + 3
    assert [seeds[0], seeds[1], seeds[-3], seeds[-2], seeds[-1]] == [5, 0, 2**32 - 1, 7, 8]
    assert seeds[2**31 : 2**31 + 2] == [2**31 - 1, 2**31]
    with pytest.raises(IndexError):
        seeds[len(seeds)]
    with pytest.raises(UserError, match="--rows names 4,294,967,296 seeds: 65,536 is the most here"):
        parse_seeds("0-4294967295", "rows")


@pytest.mark.parametrize("text", ["4294967296", "0-4294967296", "9" * 5000, "\u0663", "-1", "1-", "nan", "1e3"])
def test_what_is_no_seed_is_told_in_a_short_line(text):
    with pytest.raises(UserError) as caught:
        parse_seeds(text)
    assert len(str(caught.value)) < 200
