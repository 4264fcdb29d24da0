"""Collections that need no files: the embedded demo set, and random pictures for smoke tests."""

from typing import Optional

import numpy as np
from PIL import Image

from stylegan_tf.data import demo, records
from stylegan_tf.data.making.sources.collection import Collection
from stylegan_tf.errors import UserError


class DemoCollection(Collection):
    """The demo set, at 64x64 or a smaller level."""

    def __init__(self, resolution: Optional[int] = None):
        images = demo.load_demo_images()
        if (resolution or 4) > images.shape[1]:
            raise UserError(f"--resolution {resolution}: the demo set has {images.shape[1]}x{images.shape[1]} pixels.")
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
