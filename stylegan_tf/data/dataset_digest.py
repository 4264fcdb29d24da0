"""What a dataset holds, in a few facts and in one number, for telling later whether it is still the same."""

import hashlib
from typing import Any

from stylegan_tf.data import tfrecord_files
from stylegan_tf.data.dataset_files import DatasetInfo, load_labels


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
    """SHA-256 of one level and of the labels.

    It depends on every byte of the records and on their order, and not on times and places of files. The checksums
    that lie beside the records stand for their bytes, so that not all of them need to be read.
    """
    digest = hashlib.sha256()
    for path in info.shards(resolution):
        with open(path, "rb") as stream:
            for record in tfrecord_files.scan(path):
                stream.seek(record.offset + record.length)
                digest.update(record.length.to_bytes(8, "little") + stream.read(tfrecord_files.CRC.size))
    digest.update(load_labels(info).tobytes())
    return digest.hexdigest()
