"""Class balance in what training is fed."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.pipeline import training_dataset
from tests.helpers.array_source import write_numbered
from tests.helpers.tiny_run import write_images

SIZES = (12, 5, 1)


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    labels = np.eye(3, dtype=np.float32)[np.repeat([0, 1, 2], SIZES)]
    return find_dataset(write_images(tmp_path_factory.mktemp("data"), count=18, resolution=8, labels=labels))


def shown(info, batches, **options):
    dataset = training_dataset(info, 8, 6, balance_classes=True, **options).take(batches)
    return np.concatenate([batch["labels"] for batch in dataset.as_numpy_iterator()]).argmax(axis=1)


def test_an_epoch_has_as_many_images_of_every_class_as_of_the_largest(info):
    for epoch in (0, 36):
        assert np.bincount(shown(info, 6, first_image=epoch)).tolist() == [12, 12, 12]
    assert shown(info, 6).tolist() != sorted(shown(info, 6).tolist())


def test_a_sequence_resumes_where_it_was_stopped_and_is_divided_among_hosts(info):
    whole = shown(info, 12)
    np.testing.assert_array_equal(shown(info, 5, first_image=42), whole[42:])
    halves = [
        training_dataset(info, 8, 3, balance_classes=True, input_pipeline_index=host, num_input_pipelines=2).take(4)
        for host in (0, 1)
    ]
    labels = [[batch["labels"].argmax(axis=1) for batch in half.as_numpy_iterator()] for half in halves]
    np.testing.assert_array_equal(np.stack(labels, axis=2).reshape(-1), whole[:24])


def test_labels_that_are_no_classes_are_refused(tmp_path):
    with pytest.raises(UserError, match="balance_classes needs one class for every image"):
        training_dataset(find_dataset(write_numbered(tmp_path)), 8, 6, balance_classes=True)
