"""The real images that metrics look at: the first records of a dataset, in the order of its files."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.data.dataset_files import DatasetInfo, data_errors_named, load_labels
from stylegan_tf.data.dataset_summary import records_digest
from stylegan_tf.data.pipeline import decoded_batches


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
        dataset = tf.data.TFRecordDataset(list(self.info.shards(self.resolution)))
        if self.label_column is not None:
            mask = tf.data.Dataset.from_tensor_slices(np.isin(np.arange(self.info.count), self._chosen))
            chosen = tf.data.Dataset.zip((dataset, mask)).filter(lambda _, is_chosen: is_chosen)
            dataset = chosen.map(lambda record, _: record)
        dataset = dataset.skip(first).take(end - first)
        with data_errors_named(self.info, self.resolution):
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
