"""Pictures of a folder, or of any other data source, that are measured in place of a network's."""

import functools
import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

import numpy as np

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.data.sources import open_collection
from stylegan_tf.data.sources.collection import Collection
from stylegan_tf.data.sources.fitted import choose_resolution, to_pixels, to_square
from stylegan_tf.data.sources.image_files import note_left_out
from stylegan_tf.data.sources.opening import picture_size
from stylegan_tf.data.sources.reading import reading_picture, reading_source

_READERS = 8


class FolderPictures:
    """Like `GeneratedImages`: inputs of images by number, and the function on tensors that makes images of them."""

    def __init__(self, collection: Collection, options: PictureOptions, size: tuple[int, int], is_cropped: bool):
        """
        Args:
          options: how pictures become squares; without `fit` they stay as they are.
          size: (height, width) of all pictures after that.
          is_cropped: whether the bars of letterboxed pictures are removed already.
        """
        self._collection, self._options, self._is_cropped = collection, options, is_cropped
        self.size = size
        self._lock = threading.Lock()  # Readers of an archive or a database seek in one shared stream.

    def __len__(self) -> int:
        return len(self._collection)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all pictures, in their order, and of how they are read."""
        options = self._options  # In the words of earlier versions, whose results stay valid.
        how = f"resolution={options.resolution or max(self.size)}, num_channels={options.channels}, fit={options.fit!r}"
        how += f", filter={options.filter!r}, background=(255, 255, 255), white=None"
        digest = hashlib.sha256(f"(PictureOptions({how}), {self.size})".encode())
        for first in range(0, len(self), 256):
            (images,) = self.inputs(first, min(256, len(self) - first))
            digest.update(images.tobytes())
        return digest.hexdigest()

    def inputs(self, first: int, count: int) -> tuple[np.ndarray, ...]:
        """uint8 [count, H, W, C] of the pictures from `first` on. UserError for one that cannot be read."""
        with ThreadPoolExecutor(_READERS) as pool:
            return (np.stack(list(pool.map(self._read, range(first, first + count)))),)

    def images(self, images):
        return images

    def content_box(self, box: Optional[Sequence[float]]) -> Optional[Sequence[float]]:
        """The part of these images that is measured where the content box is `box`."""
        return None if self._is_cropped else box

    def _read(self, index: int) -> np.ndarray:
        name = self._collection.name(index)
        with reading_picture(name):
            with self._lock:
                picture = self._collection.read(index)
            image = to_square(picture, self._options).image if self._options.fit else to_pixels(picture, self._options)
        if image.shape[:2] != self.size:
            (height, width), (first_height, first_width) = image.shape[:2], self.size
            raise UserError(
                f"{name} has {width}x{height} pixels, the first picture {first_width}x{first_height}: "
                "`fit=crop`, pad or stretch makes all of them alike."
            )
        return image


def open_pictures(
    path: str,
    info: Optional[DatasetInfo],
    fit: Optional[str] = None,
    box: Optional[Sequence[float]] = None,
    note: Note = ignore,
) -> tuple[FolderPictures, Optional[int]]:
    """-> pictures, and the resolution of the dataset that they are compared with.

    Without `fit` it is their own size, or the resolution that has their size once the bars are cropped (`box`).
    """
    with reading_source(path):
        collection = open_collection(path)
        note_left_out(path, collection.left_out, note)
        channels = collection.num_channels if info is None else info.num_channels
        if fit is not None:
            level = choose_resolution(collection, fit) if info is None else info.resolution
            options = PictureOptions(level, channels, fit)
            return FolderPictures(collection, options, (level, level), False), level
        with reading_picture(collection.name(0)):
            width, height = picture_size(collection.read(0))
    options = PictureOptions(None, channels)
    if info is None:
        return FolderPictures(collection, options, (height, width), False), None
    if width == height and width in info.levels:
        return FolderPictures(collection, options, (height, width), False), width
    for level in info.levels:
        if crop_to_box(np.empty([1, level, level, 1]), box).shape[1:3] == (height, width):
            return FolderPictures(collection, options, (height, width), True), level
    raise UserError(
        f"the first picture of {path} has {width}x{height} pixels, and {info.folder} no images of that size "
        f"({', '.join(map(str, sorted(info.levels)))}): `fit=crop`, pad or stretch makes them {info.resolution}x"
        f"{info.resolution}."
    )
