"""The project's own images as sources: the demo set, synthetic blobs, and TFRecords, to convert them once more."""

import os
import pathlib
from typing import Optional

import numpy as np
from PIL import Image

from stylegan_tf.data import dataset_files, demo, records, tfrecord_files
from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.collection import Collection, Labels
from stylegan_tf.data.sources.decoding import BadPicture, Picture
from stylegan_tf.data.sources.image_files import other_entries
from stylegan_tf.errors import UserError


class DemoCollection(Collection):
    """The demo set, at 64x64 or a smaller level."""

    def __init__(self, resolution: Optional[int] = None):
        images = demo.load_demo_images()
        if (resolution or 4) > images.shape[1]:
            raise UserError(f"`resolution={resolution}`: the demo set has {images.shape[1]}x{images.shape[1]} pixels.")
        # Levels, not pictures resized by a filter: a set at 32x32 is the set at 64x64 without its largest level.
        self._resolution = resolution or images.shape[1]
        self._images: Optional[np.ndarray] = records.image_levels(images)[self._resolution]
        self._count = len(images)

    def __getstate__(self):
        return {**self.__dict__, "_images": None}

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> np.ndarray:
        if self._images is None:
            self._images = records.image_levels(demo.load_demo_images())[self._resolution]
        return self._images[index]

    def attributes(self) -> dict[str, demo.Attribute]:
        return demo.load_demo_attributes()


class SyntheticCollection(Collection):
    """Soft random blobs: picture i is always the same."""

    def __init__(self, count: int, resolution: int):
        self._count, self._resolution = count, resolution

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> np.ndarray:
        coarse = np.random.RandomState(index).randint(0, 256, [4, 4, 3]).astype(np.uint8)
        size = (self._resolution, self._resolution)
        return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


class TFRecordCollection(Collection):
    """The largest level of a dataset of ours or of the authors, in the order of its records."""

    def __init__(self, folder):
        self._info = dataset_files.find_dataset(folder)
        self.num_channels, self.content_box = self._info.num_channels, self._info.content_box
        self.resolution, self.aspect_ratio = self._info.resolution, self._info.aspect_ratio
        self._paths = self._info.shards(self._info.resolution)
        found = [
            [(record.offset, record.length) for record in dataset_files.find_records(path)] for path in self._paths
        ]
        counts = tuple(map(len, found))
        if counts != self._info.shard_counts:
            raise UserError(f"{folder} holds {sum(counts)} records, its sizes say {self._info.count}: write it again.")
        self._shards = np.repeat(np.arange(len(found)), [len(shard) for shard in found])
        self._places = np.array([place for shard in found for place in shard], np.int64)  # [N, 2]
        self._streams: dict[int, object] = {}
        self._fingerprints = [reading.fingerprint(path) for path in self._paths]
        others = [self._info.labels_path, *(path for paths in self._info.levels.values() for path in paths)]
        used = [os.path.basename(path) for path in others if path]
        self.left_out = other_entries(pathlib.Path(folder), [*used, dataset_files.DESCRIPTION_FILE])

    def fingerprint(self, index: int) -> str:
        return self._fingerprints[self._shards[index]]

    def __getstate__(self):
        return {**self.__dict__, "_streams": {}}

    def __len__(self) -> int:
        return len(self._places)

    def name(self, index: int) -> str:
        shard = self._shards[index]
        return f"record {index - int(np.searchsorted(self._shards, shard))} of {self._paths[shard]}"

    def read(self, index: int) -> Picture:
        shard = int(self._shards[index])
        if shard not in self._streams:
            self._streams[shard] = open(self._paths[shard], "rb")
        offset, length = map(int, self._places[index])
        self._streams[shard].seek(offset)
        data = self._streams[shard].read(length + tfrecord_files.CRC.size)
        if not tfrecord_files.is_sound(data):
            raise BadPicture("is damaged: its checksum is wrong")
        try:
            example = data[: -tfrecord_files.CRC.size]
            image = records.decode_example(example)
            # As a file it can be kept: a JPEG suffers from being encoded once more.
            return records.example_file(example) if self._info.encoding == "jpeg" else image
        except ValueError as error:
            raise BadPicture(f"is damaged: {error}") from error

    def classes(self) -> Optional[Labels]:
        if not self._info.label_size:
            return None
        return Labels(dataset_files.load_labels(self._info), self._info.label_names)
