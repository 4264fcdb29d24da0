"""What a dataset holds: its labels in words, its facts, and a digest that shows later whether it is still the same."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stylegan_tf.data import tfrecord_files
from stylegan_tf.data.dataset_files import DatasetInfo, load_labels

_LISTED = 20  # Classes or numbers.


def described_labels(labels: np.ndarray, names: Sequence[str]) -> str:
    """float32 [N, L] -> "labels: 2 classes: cat 10, dog 12"."""
    size = labels.shape[1]
    if not size:
        return "labels: none"
    if not np.isin(labels, (0, 1)).all():
        return f"labels: {_number(size, 'number')}: {_listed(map(_range, names, labels.T))}"
    counts = labels.sum(axis=0).astype(int)
    many = _listed(f"{name} {count:,}" for name, count in zip(names, counts))
    empty = f"; {_number(int((counts == 0).sum()), 'column')} without a picture" if not counts.all() else ""
    if (labels.sum(axis=1) == 1).all():
        return f"labels: {_number(size, 'class', 'classes')}: {many}{empty}"
    return f"labels: {_number(size, 'column')} of 0 and 1, with ones: {many}{empty}"


def described_use(info: DatasetInfo, used: bool) -> str:
    """The same for the labels of a dataset, and whether training uses them."""
    text = described_labels(load_labels(info), info.label_names)
    return text if used or not info.label_size else f"{text}; they are not used: `conditional`"


def _range(name: str, column: np.ndarray) -> str:
    return f"{name} from {column.min():g} to {column.max():g} (mean {column.mean():g})"


def _listed(parts: Iterable[str]) -> str:
    parts = list(parts)
    more = f" and {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    return ", ".join(parts[:_LISTED]) + more


def _number(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def dataset_facts(info: DatasetInfo) -> dict[str, Any]:
    """JSON values by name. "content" depends on every record of the smallest level, which is made of the others."""
    return {
        "images": info.count,
        "resolution": info.resolution,
        "channels": info.num_channels,
        "labels": info.label_size,
        "content": records_digest(info, min(info.levels))[:16],
    }


def records_digest(info: DatasetInfo, resolution: int) -> str:
    """SHA-256 of one level and of the labels: of contents and order, not of times and places of files.

    The checksums that follow the records stand for their bytes, so that not all of these need to be read.
    """
    digest = hashlib.sha256()
    for path in info.shards(resolution):
        with open(path, "rb") as stream:
            for record in tfrecord_files.scan(path):
                stream.seek(record.offset + record.length)
                digest.update(record.length.to_bytes(8, "little") + stream.read(tfrecord_files.CRC.size))
    digest.update(load_labels(info).tobytes())
    return digest.hexdigest()
