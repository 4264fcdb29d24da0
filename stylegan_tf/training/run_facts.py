"""What all processes of a run must have in common before they start: options, data, the program itself."""

import hashlib
import pathlib
from typing import Any

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.option import FROM_DATA_SET, option_fields
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.tfrecord_files import HEADER
from stylegan_tf.files.digests import file_sha256

_OF_A_MACHINE = ("data_dir", "run_dir", "init_from", "tpu")  # The same things may have other names elsewhere.


def run_facts(config: TrainConfig, info: DatasetInfo) -> dict[str, Any]:
    """By their names for the user."""
    facts = {"the program's source": _source_digest()}
    for part in (config, config.generator, config.discriminator, config.schedule, config.losses):
        for field in option_fields(type(part)):  # What the data set decides of the networks is not known yet.
            if field.metadata["option"].group is not FROM_DATA_SET and field.name not in _OF_A_MACHINE:
                facts[f"--{field.name}"] = _plain(getattr(part, field.name))
    facts.update({f"a data set with {name}": value for name, value in _data_facts(info).items()})
    return facts


def _plain(value: Any) -> Any:
    return {str(key): entry for key, entry in value.items()} if hasattr(value, "items") else value


def _data_facts(info: DatasetInfo) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in info.shards(info.resolution):
        with open(path, "rb") as stream:
            head = stream.read(HEADER.size)
            length = HEADER.unpack(head)[0] if len(head) == HEADER.size else 0
            digest.update(head + stream.read(min(length, 2**20)))
    if info.labels_path:
        digest.update(file_sha256(info.labels_path).encode())
    return {
        "images": info.count,
        "pixels": info.resolution,
        "channels": info.num_channels,
        "labels": info.label_size,
        "encoding": info.encoding,
        "images by shard": list(info.shard_counts),
        "content": digest.hexdigest()[:16],
    }


def _source_digest() -> str:
    digest = hashlib.sha256()
    package = pathlib.Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
