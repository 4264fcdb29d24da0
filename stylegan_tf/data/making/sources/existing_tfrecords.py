"""TFRecords as a source, to write them anew: other shards, another encoding, a smaller resolution."""

import os
import pathlib
from typing import Optional

import numpy as np

from stylegan_tf.data import dataset_files, records, tfrecord_files
from stylegan_tf.data.making.decoding import BadPicture, Picture
from stylegan_tf.data.making.sources import reading
from stylegan_tf.data.making.sources.collection import Collection, Labels
from stylegan_tf.data.making.sources.image_files import others_in
from stylegan_tf.errors import UserError


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
        self.left_out = others_in(pathlib.Path(folder), [*used, dataset_files.DESCRIPTION_FILE])

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
