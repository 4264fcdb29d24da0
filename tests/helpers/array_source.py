"""A source for tests: images that are in memory."""

import numpy as np

from stylegan_tf.config import WriteOptions
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources.fitted import DecodedImage


class ArraySource:
    """`images` uint8 [N, r, r, C]; `labels` float32 [N, L] or None; `box`: what is between the bars of all of them."""

    def __init__(self, images, labels=None, label_names=(), box=None):
        self.box = box
        self.images, self.labels, self.label_names = images, labels, label_names
        self.resolution, self.num_channels = images.shape[1], images.shape[3]
        self.skipped, self.notes, self.white, self.has_planes = (), (), None, False

    def __len__(self):
        return len(self.images)

    def name(self, index):
        return f"image {index}"

    def fingerprint(self, index):
        return self.images[index].tobytes().hex()

    def read(self, index):
        return DecodedImage(self.images[index], self.box)


def numbered_images(count, resolution=8, num_channels=3):
    """uint8 [N, r, r, C]: the left half of image i is i, its right half 255 - i, at every level."""
    images = np.zeros([count, resolution, resolution, num_channels], np.uint8)
    values = np.arange(count, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    images[:, :, : resolution // 2] = values
    images[:, :, resolution // 2 :] = 255 - values
    return images


def write_numbered(dest, count=24, shards=4, **options):
    """A dataset of `numbered_images`; the label of image i is [i]."""
    labels = np.arange(count, dtype=np.float32)[:, np.newaxis]
    return write_tfrecords(ArraySource(numbered_images(count), labels), dest, WriteOptions(shards, **options))
