"""Real images of a dataset: the first records, in the order of its files; and those with labels, for classifiers."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import DatasetInfo, load_labels, translate_data_errors
from stylegan_tf.data.inspection import records_digest
from stylegan_tf.data.pipeline import decoded_batches, default_shuffle_images, level_records


@dataclasses.dataclass(frozen=True)
class RealImages:
    """Images of a dataset at one resolution, with mirrored copies if `mirror` is set (as the networks saw them)."""

    info: DatasetInfo
    resolution: int
    mirror: bool = False
    label_column: Optional[int] = None  # Only the records whose label is 1 there.

    def count(self, wanted: int) -> int:
        """Records that a metric on `wanted` images uses: all, if there are fewer."""
        return min(wanted, self.info.count if self.label_column is None else len(self._chosen))

    def batches(self, first: int, end: int, batch_size: int) -> Iterator[np.ndarray]:
        """uint8 [n, R, R, C] of images first, ..., end - 1, n <= batch_size. Raises UserError for damaged records."""
        dataset = level_records(self.info, self.resolution)
        if self.label_column is not None:
            dataset = _filtered(dataset, np.isin(np.arange(self.info.count), self._chosen))
        dataset = dataset.skip(first).take(end - first)
        with translate_data_errors(self.info, self.resolution):
            for (images,) in decoded_batches(dataset, self.info, self.resolution, batch_size).as_numpy_iterator():
                yield images

    def labels(self) -> np.ndarray:
        """float32 [records, label_size]."""
        labels = load_labels(self.info)
        return labels if self.label_column is None else labels[self._chosen]

    @functools.cached_property
    def _chosen(self) -> np.ndarray:
        """Numbers of the records of the class."""
        return np.flatnonzero(load_labels(self.info)[:, self.label_column] == 1)

    @functools.cached_property
    def digest(self) -> str:
        """See `records_digest`."""
        digest = records_digest(self.info, self.resolution)
        return digest if self.label_column is None else f"{digest}-{self.label_column}"


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
        truth = tf.data.Dataset.from_tensor_slices(self.has_attribute)
        records = tf.data.Dataset.zip((level_records(self.info, self.resolution), truth))
        return _filtered(records, self.validation == validation)


def _filtered(dataset: tf.data.Dataset, mask: np.ndarray) -> tf.data.Dataset:
    """The elements for which the mask, bool [count], is true."""
    masked = tf.data.Dataset.zip((dataset, tf.data.Dataset.from_tensor_slices(mask)))
    return masked.filter(lambda _, is_chosen: is_chosen).map(lambda element, _: element)


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
