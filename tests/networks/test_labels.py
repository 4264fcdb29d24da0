"""Labels by the names of classes."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.labels import class_label, class_labels


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
        ("x", 3, (), "'x' is not one of .*from 0 to 2"),
        ("3", 3, (), "'3' is not one of"),
        ("bird", 2, ("cat", "dog"), "'bird' is not one of the network's; there are cat, dog"),
        ("0", 2, ("1", "2"), "'0' is not one of"),
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
