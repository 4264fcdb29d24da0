"""What figures and animations are drawn from: seeds and styles in, images in batches and pictures out."""

import copy
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box, unstretched
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.labels import class_labels
from stylegan_tf.networks.network_file import Networks, load_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.picture_files import as_rgb, to_uint8


def seed_latents(seeds: Iterable[int], latent_size: int) -> np.ndarray:
    """z of the given seeds: float32 [N, latent_size]. Seed s has `RandomState(s).randn(1, latent_size)`."""
    rows = [np.random.RandomState(seed).randn(1, latent_size) for seed in seeds]
    return np.concatenate(rows).astype(np.float32)


def random_w(generator: Generator, count: int, seed: int, label: Optional[np.ndarray] = None) -> np.ndarray:
    """w of latents, not truncated: float32 [count, W]. A network with labels gets `label`, or random classes."""
    random, label_size = np.random.RandomState(seed), generator.config.label_size
    z = random.randn(count, generator.config.latent_size).astype(np.float32)
    labels = None
    if label_size:
        classes = np.eye(label_size, dtype=np.float32)[random.randint(label_size, size=count)]
        labels = classes if label is None else np.tile(label, [count, 1])
    return generator.mapping_network(z, labels=labels).numpy()


class Sampler:
    """Latents in, uint8 images out, in batches that fit into memory. Traces once per resolution.

    Args:
      truncation: None: none; it does nothing to a traditional generator.
      noise_mode: see `SynthesisNetwork.call`.
      label: [label_size], the label of all images for which a call names none.
    """

    def __init__(
        self,
        generator: Generator,
        truncation: Optional[Truncation] = None,
        noise_mode: str = "const",
        label: Optional[np.ndarray] = None,
    ):
        self.generator, self.config, self.label = generator, generator.config, label
        self.truncation = truncation or Truncation()
        self.noise_mode = noise_mode
        self._traced = {}  # By resolution, whether it fades in, and whether the noise is given.

    def images(
        self, z: np.ndarray, labels: Optional[np.ndarray] = None, growth: Optional[Growth] = None
    ) -> Iterator[np.ndarray]:
        """Yields uint8 [n, r, r, C], batch after batch in order, for z [N, latent_size] and labels [N, label_size].

        growth: what to compute of a network in training; None: what the network says itself.
        Raises ValueError without labels for a conditional network.
        """
        growth = growth or self.generator.growth
        size = batch_size(growth.resolution)
        for start in range(0, len(z), size):
            batch = slice(start, start + size)
            ws = self.dlatents(z[batch], None if labels is None else labels[batch], growth.resolution)
            yield from self.images_of_dlatents(ws, growth=growth)

    def map(self, z: np.ndarray, labels: Optional[np.ndarray] = None) -> np.ndarray:
        """z [N, latent_size] -> w of the mapping network, not truncated: float32 [N, W]."""
        return self.generator.mapping_network(z, labels=self._labels(labels, len(z))).numpy()

    def dlatents(self, z: np.ndarray, labels: Optional[np.ndarray] = None, resolution=None) -> np.ndarray:
        """w of every layer up to `resolution` (None: that has grown), truncated: float32 [N, L, W]."""
        return self.broadcast(self.map(z, labels), labels, resolution=resolution)

    def broadcast(self, w: np.ndarray, labels=None, psi=None, resolution=None) -> np.ndarray:
        """The same w for every layer, truncated: [N, W] -> float32 [N, L, W]; L is 1 for the traditional generator."""
        ws = self.generator.broadcast(tf.convert_to_tensor(w, tf.float32), resolution)
        return self.truncate(ws, labels, psi)

    def truncate(self, ws: np.ndarray, labels=None, psi=None) -> np.ndarray:
        """ws [N, L, W] of images with these labels, truncated; with psi (a number or [N]) in place of the sampler's."""
        truncation = self.truncation if psi is None else self.truncation.at(psi)
        labels = self._labels(labels, len(ws))
        return self.generator.truncate(tf.convert_to_tensor(ws, tf.float32), truncation, labels).numpy()

    def _labels(self, labels, count):
        return np.tile(self.label, [count, 1]) if labels is None and self.label is not None else labels

    def images_of_dlatents(
        self,
        ws: np.ndarray,
        noise_seeds: Optional[Sequence[int]] = None,
        noise: Optional[Sequence[np.ndarray]] = None,
        growth: Optional[Growth] = None,
    ) -> Iterator[np.ndarray]:
        """Yields uint8 [n, r, r, C], batch after batch in order, for ws [N, L, W], which are used as they are.

        Args:
          noise_seeds: N numbers of at least 0; the images of equal numbers have equal noise, at any place in the
            batch. None: noise as the sampler's `noise_mode` says.
          noise: the maps themselves, [N, r, r, 1] for each layer, in place of `noise_seeds`.
          growth: as in `images`.
        """
        growth = growth or self.generator.growth
        size = batch_size(growth.resolution)
        synthesize = self._synthesis(growth, with_noise=noise_seeds is not None or noise is not None)
        for start in range(0, len(ws), size):
            batch = slice(start, start + size)
            maps = [layer[batch] for layer in noise or ()]
            if noise_seeds is not None:
                maps = self.draw_noise(noise_seeds[batch], growth.resolution)
            yield to_uint8(synthesize(np.asarray(ws[batch], np.float32), maps, np.float32(growth.alpha)).numpy())

    def draw_noise(self, seeds: Sequence[int], resolution: int) -> list[np.ndarray]:
        """One float32 [n, r, r, 1] per layer: each image's depends on its seed alone."""
        draws = [self.generator.synthesis.draw_noise(1, resolution, seed=tf.constant([seed, 0])) for seed in seeds]
        return [np.concatenate([draw.numpy() for draw in layer]) for layer in zip(*draws)]

    def _synthesis(self, growth, with_noise):
        fades, resolution = growth.alpha < 1, growth.resolution
        key = (resolution, fades, with_noise)
        if key not in self._traced:
            network = self.generator.synthesis
            # Any batch size, so that the last and smaller batch needs no trace of its own.
            noise = [tf.TensorSpec([None, *shape]) for shape in network.noise_shapes(resolution) if with_noise]
            signature = [tf.TensorSpec([None, None, self.generator.config.w_size]), noise, tf.TensorSpec([])]

            @tf.function(input_signature=signature)
            def synthesize(ws, noise, alpha):
                options = {"resolution": resolution, "alpha": alpha if fades else 1.0, "noise_mode": self.noise_mode}
                return network(ws, noise=noise or None, **options)

            self._traced[key] = synthesize
        return self._traced[key]


def batch_size(resolution: int) -> int:
    """Images per call that need about the same memory at every resolution: 64 up to 64x64, 4 from 1024x1024."""
    return max(4, min(64, 4096 // resolution))


class Painter(Sampler):
    """A generator with its truncation, label and content box. Pictures have the size that it has grown to.

    Args:
      label: [label_size], the label of all pictures, for a network with labels.
      content_box: what to cut out of letterboxed pictures, see `crop_to_box`.
      noise_mode: the figures about noise have their own.
      aspect_ratio: width by height of what was stretched to squares: pictures get this shape back.
    """

    def __init__(
        self,
        generator: Generator,
        label: Optional[np.ndarray] = None,
        content_box: Optional[Sequence[float]] = None,
        truncation: Optional[Truncation] = None,
        noise_mode: str = "const",
        aspect_ratio: Optional[float] = None,
    ):
        super().__init__(generator, truncation, noise_mode, label)
        self.resolutions = tuple(r for r in self.config.resolutions if r <= generator.growth.resolution)
        self.content_box, self.aspect_ratio = content_box, aspect_ratio

    def with_label(self, label: Optional[np.ndarray]) -> "Painter":
        """The same, sharing what is traced, for pictures of another label."""
        other = copy.copy(self)
        other.label = label
        return other

    @property
    def dlatent_shape(self) -> tuple[int, int]:
        """(L, W): layers with a w of their own (1 in a traditional generator) and width of w."""
        return (2 * len(self.resolutions) if self.config.use_styles else 1), self.config.w_size

    @property
    def noise_shapes(self) -> list[tuple[int, int, int]]:
        """(r, r, 1) of one image's noise in every layer; empty without noise inputs."""
        return self.generator.synthesis.noise_shapes(self.resolutions[-1])

    @property
    def picture_shape(self) -> tuple[int, int]:
        """(h, w) of `image_batches`."""
        size = self.resolutions[-1]
        return self.in_shape(np.zeros([1, size, size, 1], np.uint8)).shape[1:3]

    def latents(self, seeds: Iterable[int]) -> np.ndarray:
        """z [N, latent_size] of the seeds."""
        return seed_latents(seeds, self.config.latent_size)

    def image_batches(self, ws: np.ndarray, noise_seeds=None, noise=None) -> Iterator[np.ndarray]:
        """Yields uint8 [n, h, w, C], without bars, not stretched; the arguments: see `Sampler.images_of_dlatents`."""
        for images in self.images_of_dlatents(ws, noise_seeds, noise):
            yield self.in_shape(images)

    def in_shape(self, images: np.ndarray) -> np.ndarray:
        """Square images of the network [n, r, r, C] without bars, not stretched."""
        return unstretched(crop_to_box(images, self.content_box), self.aspect_ratio)

    def picture_batches(self, ws: np.ndarray, noise_seeds=None, noise=None) -> Iterator[np.ndarray]:
        """`image_batches` in RGB: uint8 [n, h, w, 3]."""
        return map(as_rgb, self.image_batches(ws, noise_seeds, noise))

    def pictures(self, ws: np.ndarray, noise_seeds=None, noise=None) -> np.ndarray:
        """All pictures of ws [N, L, W]: uint8 [N, h, w, 3]."""
        return np.concatenate(list(self.picture_batches(ws, noise_seeds, noise)))

    def check_styles(self, what: str) -> None:
        if not self.config.use_styles:
            raise UserError(
                f"{what} needs styles, but this network is a traditional generator (the paper's configurations "
                "A and B), where w feeds the first layer only: it does not apply."
            )

    def check_noise(self, what: str) -> None:
        if not self.config.use_noise:
            raise UserError(
                f"{what} needs noise inputs, but this network has none (they came with the paper's configuration E): "
                "it does not apply."
            )


def painter_of(
    networks: Networks,
    truncation: Truncation,
    noise_mode: str = "const",
    crop: bool = True,
    label: Optional[np.ndarray] = None,
) -> Painter:
    """truncation: centre None is that of the networks; crop: undo letterboxing and stretching."""
    if truncation.centre is None:
        truncation = dataclasses.replace(truncation, centre=networks.truncation_centre)
    box, ratio = (networks.content_box, networks.aspect_ratio) if crop else (None, None)
    return Painter(networks.best_generator, label, box, truncation, noise_mode, ratio)


def load_painters(
    path: Union[str, os.PathLike],
    classes: Optional[str],
    truncation: Truncation,
    labeled: bool = True,
    noise_mode: str = "const",
    crop: bool = True,
) -> list[tuple[str, Painter]]:
    """(name, `painter_of` a network file) for each class that `class_labels` makes of `classes`.

    labeled: False if a network with labels needs no class.
    """
    networks = load_networks(path)
    size, names = networks.best_generator.config.label_size, networks.label_names
    labels = class_labels(classes, size, names) if labeled or classes else [("", None)]
    painter = painter_of(networks, truncation, noise_mode, crop)
    return [(name, painter.with_label(label)) for name, label in labels]
