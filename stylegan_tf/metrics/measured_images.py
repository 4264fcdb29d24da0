"""The images that metrics measure: generated ones, or pictures of a folder or any other data source in their place.

Generated ones have no truncation and random noise; image i is made from (seed, i) alone. An interrupted metric can
therefore resume, and any number of replicas and any batch size give the same images.

Several latents may be mixed in one image at random crossovers, the stress test of Table 2. The paper gives the number
of latents (1 to 4) and says that the crossover points are random. Here they are distinct and uniform among the layers
after the first, so that each latent really styles a part of the image.
"""

import dataclasses
import functools
import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.data.making.report import ImageStatistics
from stylegan_tf.data.sources import open_collection
from stylegan_tf.data.sources.collection import Collection, own_channels
from stylegan_tf.data.sources.fitted import DecodedImage, choose_resolution, to_pixels, to_square
from stylegan_tf.data.sources.image_files import note_skipped
from stylegan_tf.data.sources.opening import picture_size
from stylegan_tf.data.sources.reading import reading_picture, reading_source
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.ops.resampling import enlarge_2d, to_uint8

_READERS = 8  # Threads that read pictures.


class GeneratedImages:
    """Inputs of images by number, as NumPy arrays, and the function on tensors that makes images of them."""

    is_cropped = False

    def __init__(
        self,
        generator: Generator,
        seed: int,
        real_labels: Optional[np.ndarray] = None,
        growth: Optional[Growth] = None,
        mixed_latents: int = 1,
    ):
        """
        Args:
          real_labels: [M, label_size]; image i of a conditional network gets a random one of them.
          growth: that of a network in training; None: the network's own. Images are enlarged to full resolution.
          mixed_latents: latents that style every image, see above.
        Raises:
          ValueError for a conditional network without `real_labels`; UserError if latents cannot be mixed.
        """
        self._generator = generator
        self._seed = seed
        self._labels = labels_to_draw_from(generator, real_labels)
        self._growth = growth or generator.growth
        self._mixed_latents = mixed_latents
        check_mixing(generator, mixed_latents, self._growth.resolution)

    def inputs(self, first: int, count: int) -> tuple[np.ndarray, ...]:
        """The arguments of `images` for images `first` to `first + count - 1`: [count, ...] each."""
        numbers = range(first, first + count)
        z = np.empty([count, self._mixed_latents, self._generator.config.latent_size], np.float32)
        chosen = np.empty([count], np.int64)
        num_layers = self._generator.synthesis.num_layers_at(self._growth.resolution)
        latent_of_layer = np.empty([count, num_layers], np.int32)
        for row, number in enumerate(numbers):
            random = np.random.default_rng([self._seed, number])
            z[row, 0] = random.standard_normal(z.shape[2])
            chosen[row] = random.integers(len(self._labels))
            z[row, 1:] = random.standard_normal(z[row, 1:].shape)  # The first latent is the same without mixing.
            latent_of_layer[row] = latent_of_layers(random, self._mixed_latents, num_layers)
        noise_seeds = np.array([[self._seed, number] for number in numbers], np.int32)
        return z, self._labels[chosen], noise_seeds, latent_of_layer

    def images(self, z, labels, noise_seeds, latent_of_layer) -> tf.Tensor:
        """-> uint8 [n, R, R, 1 or 3] at full resolution R.

        Args:
          z: [n, mixed_latents, latent_size].
          labels: [n, label_size].
          noise_seeds: int32 [n, 2].
          latent_of_layer: int32 [n, number of layers], 0 to mixed_latents - 1.
        """
        return to_uint8(self.images_of(self.ws(z, labels, latent_of_layer), noise_seeds))

    def ws(self, z, labels, latent_of_layer) -> tf.Tensor:
        """w of every layer: [n, L, W]; L = 1 for the traditional generator."""
        if self._mixed_latents == 1:
            w = self._generator.mapping_network(z[:, 0], labels=labels)
            return self._generator.broadcast(w, self._growth.resolution)
        return mixed_ws(self._generator, z, labels, latent_of_layer)

    def images_of(self, ws, noise_seeds) -> tf.Tensor:
        """ws: [n, L, W]; noise_seeds: int32 [n, 2] -> float32 [n, R, R, 1 or 3], about [-1, 1]."""
        resolution, alpha = self._growth.resolution, self._growth.alpha
        noise = self._generator.synthesis.draw_noise_of_images(noise_seeds, resolution)
        images = self._generator.synthesis(ws, resolution=resolution, alpha=alpha, noise=noise)
        return enlarge_2d(images, self._generator.config.resolution)


def labels_to_draw_from(generator: Generator, real_labels: Optional[np.ndarray]) -> np.ndarray:
    """[M, label_size]; [1, 0] for a network without labels. ValueError for one with labels if there are none."""
    size = generator.config.label_size
    if size and (real_labels is None or real_labels.shape[1:] != (size,)):
        raise ValueError(f"a network with labels needs real labels [M, {size}] to draw from.")
    return real_labels if size else np.zeros([1, 0], np.float32)


def check_mixing(generator: Generator, num_latents: int, resolution: int) -> None:
    """Raises UserError if the network has too few layers for this many latents, or no styles at all."""
    layers = generator.synthesis.num_layers_at(resolution)
    if num_latents > 1 and not generator.config.use_styles:
        raise UserError("the traditional generator has no styles: its latents cannot be mixed.")
    if num_latents > layers:
        raise UserError(f"{num_latents} latents cannot be mixed in the {layers} layers of a {resolution}x{resolution}.")


def latent_of_layers(random: np.random.Generator, num_latents: int, num_layers: int) -> np.ndarray:
    """Which latent styles each layer of one image: int32 [num_layers], 0 ... 0 1 ... 1 up to num_latents - 1."""
    crossovers = random.choice(np.arange(1, num_layers), num_latents - 1, replace=False)
    return np.sum(np.arange(num_layers) >= crossovers[:, np.newaxis], axis=0, dtype=np.int32)


def mixed_ws(generator: Generator, z: tf.Tensor, labels: tf.Tensor, latent_of_layer: tf.Tensor) -> tf.Tensor:
    """z [n, M, Z], labels [n, label_size], latent_of_layer int32 [n, L] -> w of every layer [n, L, W]."""
    num_latents = z.shape[1]
    labels = tf.repeat(labels, num_latents, axis=0)
    w = generator.mapping_network(tf.reshape(z, [-1, z.shape[2]]), labels=labels)  # [n * M, W]
    return tf.gather(tf.reshape(w, [-1, num_latents, w.shape[-1]]), latent_of_layer, axis=1, batch_dims=1)


class FolderPictures:
    """Like `GeneratedImages`: inputs of images by number, and the function on tensors that makes images of them."""

    def __init__(self, collection: Collection, options: PictureOptions, size: tuple[int, int], is_cropped: bool):
        """
        Args:
          options: how pictures become squares; without `fit` they stay as they are.
          size: (height, width) of all pictures after that.
          is_cropped: whether the bars of letterboxed pictures are removed already.
        """
        self._collection, self._options, self.is_cropped = collection, options, is_cropped
        self.size = size
        self._noticed: dict[int, DecodedImage] = {}  # Without their pixels.
        self._lock = threading.Lock()  # Readers of an archive or a database seek in one shared stream.

    def __len__(self) -> int:
        return len(self._collection)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all pictures, in their order, and of how they are read."""
        options = self._options  # In the words of earlier versions, whose results stay valid.
        channels = options.num_channels
        how = f"resolution={options.resolution or max(self.size)}, num_channels={channels}, fit={options.fit!r}"
        how += f", filter={options.filter!r}, background=(255, 255, 255), white={options.white}"
        how += f", black={options.black}" * (options.black is not None) + ", planes" * (options.planes is not None)
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

    def lines(self) -> Iterator[str]:
        """For the user: what was noticed about the pictures that were read."""
        return ImageStatistics.of([*self._noticed.values()]).lines(self._options.white)

    def _read(self, index: int) -> np.ndarray:
        name = self._collection.name(index)
        with reading_picture(name):
            with self._lock:
                picture = self._collection.read(index)
            read = (to_square if self._options.fit else to_pixels)(picture, self._options)
        image = read.image
        if read.peak is not None or read.noticed:
            self._noticed[index] = DecodedImage(np.empty(0, np.uint8), None, read.peak, noticed=read.noticed)
        if image.shape[:2] != self.size:
            (height, width), (first_height, first_width) = image.shape[:2], self.size
            raise UserError(
                f"{name} has {width}x{height} pixels, the first picture {first_width}x{first_height}: "
                "make all of them alike with `fit=crop`, pad or stretch."
            )
        return image


def open_pictures(
    path: str,
    info: Optional[DatasetInfo],
    reading: PictureOptions = PictureOptions(),
    box: Optional[Sequence[float]] = None,
    note: Note = ignore,
) -> tuple[FolderPictures, Optional[int]]:
    """-> pictures, and the resolution of the dataset that they are compared with.

    Without `fit` it is their own size, or the resolution that has their size once the bars are cropped (`box`).
    reading: fit, white and black; resolution and channels are those of the dataset.
    """
    fit = reading.fit
    with reading_source(path):
        collection = open_collection(path)
        note_skipped(path, collection.skipped, note)
        options = dataclasses.replace(reading, **own_channels(collection if info is None else info))
        if fit is not None:
            level = choose_resolution(collection, fit) if info is None else info.resolution
            options = dataclasses.replace(options, resolution=level)
            return FolderPictures(collection, options, (level, level), False), level
        with reading_picture(collection.name(0)):
            width, height = picture_size(collection.read(0))
    if info is None:
        return FolderPictures(collection, options, (height, width), False), None
    if width == height and width in info.levels:
        return FolderPictures(collection, options, (height, width), False), width
    for level in info.levels:
        if crop_to_box(np.empty([1, level, level, 1]), box).shape[1:3] == (height, width):
            return FolderPictures(collection, options, (height, width), True), level
    raise UserError(
        f"the first picture of {path} has {width}x{height} pixels, and {info.folder} no images of that size "
        f"({', '.join(map(str, sorted(info.levels)))}): make them {info.resolution}x{info.resolution} with "
        "`fit=crop`, pad or stretch."
    )
