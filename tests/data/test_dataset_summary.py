"""Labels in words."""

import numpy as np

from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.dataset_summary import described_labels, described_use
from tests.helpers.array_source import write_numbered


def test_classes_are_counted_and_empty_ones_reported():
    labels = np.eye(3, dtype=np.float32)[[0, 0, 2]]
    assert described_labels(labels, ("cat", "dog", "owl")) == (
        "labels: 3 classes: cat 2, dog 0, owl 1; 1 column without a picture"
    )
    assert described_labels(np.ones([2, 1], np.float32), ("all",)) == "labels: 1 class: all 2"


def test_switches_and_numbers_are_distinguished():
    switches = np.array([[1, 1], [0, 1]], np.float32)
    assert described_labels(switches, ("hat", "beard")) == "labels: 2 columns of 0 and 1, with ones: hat 1, beard 2"
    numbers = np.array([[0.5, -1], [1.5, 3]], np.float32)
    assert described_labels(numbers, ("age", "pose")) == (
        "labels: 2 numbers: age from 0.5 to 1.5 (mean 1), pose from -1 to 3 (mean 1)"
    )


def test_many_classes_are_cut_short():
    text = described_labels(np.eye(50, dtype=np.float32), [f"c{number}" for number in range(50)])
    assert text.endswith("c18 1, c19 1 and 30 more")


def test_training_is_told_of_labels_that_it_does_not_use(tmp_path):
    info = find_dataset(write_numbered(tmp_path / "set"))
    assert described_use(info, used=False).endswith("label0 from 0 to 23 (mean 11.5); they are not used: `conditional`")
    assert described_use(info, used=True) == "labels: 1 number: label0 from 0 to 23 (mean 11.5)"
