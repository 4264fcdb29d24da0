"""The real images that metrics look at: the first records of a dataset, in the order of its files."""

import dataclasses
import functools
from collections.abc import Iterator

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

    def count(self, wanted: int) -> int:
        """Records that a metric on `wanted` images uses: all, if there are fewer."""
        return min(wanted, self.info.count)

    def batches(self, first: int, end: int, batch_size: int) -> Iterator[np.ndarray]:
        """uint8 [n, R, R, C] of records first, ..., end - 1, n <= batch_size. Raises UserError for damaged records."""
        paths = list(self.info.shards(self.resolution))
        dataset = tf.data.TFRecordDataset(paths).skip(first).take(end - first)
        with data_errors_named(self.info, self.resolution):
            for (images,) in decoded_batches(dataset, self.info, self.resolution, batch_size).as_numpy_iterator():
                yield images

    def labels(self) -> np.ndarray:
        """float32 [records, label_size]."""
        return load_labels(self.info)

    @functools.cached_property
    def digest(self) -> str:
        """See `records_digest`."""
        return records_digest(self.info, self.resolution)
