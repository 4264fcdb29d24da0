"""Labelled real images for classifiers: which attributes a dataset has, and its images, split for validation."""

import dataclasses

import numpy as np
import tensorflow as tf

from stylegan_tf.data.dataset_files import DatasetInfo, load_labels
from stylegan_tf.data.pipeline import decoded_batches, default_shuffle_images
from stylegan_tf.errors import UserError


def attribute_columns(info: DatasetInfo) -> dict[str, int]:
    """Attribute -> the column of the labels that is 1 where an image has it.

    Of the columns `Smiling=no` and `Smiling=yes` the attribute is `Smiling`; other columns keep their names.
    Raises UserError for a dataset without labels.
    """
    if not info.label_size:
        raise UserError(
            f"the dataset in {info.folder} has no labels: write it with create_tfrecords and its option labels."
        )
    columns = {}
    for column, name in enumerate(info.label_names):
        attribute, _, value = name.rpartition("=")
        other = {"yes": "no", "no": "yes"}.get(value)
        if attribute and other and f"{attribute}={other}" in info.label_names:
            if value == "yes":
                columns[attribute] = column
        else:
            columns[name] = column
    return columns


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images of a dataset at one resolution, and whether they have an attribute. Every tenth is held out."""

    info: DatasetInfo
    resolution: int
    has_attribute: np.ndarray  # bool [count], in record order.

    VALIDATION_PERIOD = 10

    @property
    def validation(self) -> np.ndarray:
        """bool [count]: which images are held out."""
        return np.arange(self.info.count) % self.VALIDATION_PERIOD == 0

    def training_batches(self, batch_size: int, seed: int) -> tf.data.Dataset:
        """Endless and shuffled: uint8 [batch_size, R, R, C], bool [batch_size]."""
        shuffle = default_shuffle_images(self.info, self.resolution)
        dataset = self._records(validation=False).shuffle(shuffle, seed=seed, reshuffle_each_iteration=True).repeat()
        return decoded_batches(dataset, self.info, self.resolution, batch_size, drop_remainder=True)

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """Each image once, in order; the last batch may be smaller."""
        return decoded_batches(self._records(validation=True), self.info, self.resolution, batch_size)

    def _records(self, validation: bool) -> tf.data.Dataset:
        """(serialised Example, whether it has the attribute)."""
        paths = list(self.info.shards(self.resolution))
        truth = tf.data.Dataset.from_tensor_slices((self.has_attribute, self.validation))
        numbered = tf.data.Dataset.zip((tf.data.TFRecordDataset(paths), truth))
        chosen = numbered.filter(lambda _, truth: truth[1] == validation)
        return chosen.map(lambda record, truth: (record, truth[0]))


def labelled_images(info: DatasetInfo, resolution: int, attribute: str) -> LabelledImages:
    """Raises UserError for an unknown attribute, labels other than 0 and 1, and one that all images have, or none."""
    columns = attribute_columns(info)
    if attribute not in columns:
        raise UserError(f"the dataset in {info.folder} has no attribute {attribute!r}, it has: {', '.join(columns)}.")
    values = load_labels(info)[:, columns[attribute]]
    if not np.isin(values, (0, 1)).all():
        raise UserError(f"attribute {attribute!r} of {info.folder} has other values than 0 and 1.")
    images = LabelledImages(info, resolution, values == 1)
    for part in (images.validation, ~images.validation):
        if len(set(values[part])) < 2:
            raise UserError(f"attribute {attribute!r} of {info.folder}: (nearly) all images have it, or none.")
    return images
