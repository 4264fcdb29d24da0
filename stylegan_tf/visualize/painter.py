"""What figures and animations are drawn from: seeds and styles in, pictures out that are ready to be shown."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Optional, Union

import numpy as np

from stylegan_tf.data.letterbox import crop_to_box, unstretched
from stylegan_tf.errors import UserError
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.labels import class_labels
from stylegan_tf.networks.network_file import load_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.picture_files import as_rgb
from stylegan_tf.visualize.sampling import Sampler, seed_latents


class Painter:
    """A generator with its truncation, label and content box. Pictures have the size that it has grown to.

    Args:
      label: [label_size], the label of all pictures, for a network with labels.
      content_box: what to cut out of letterboxed pictures, see `crop_to_box`.
      truncation: None: none; it does nothing to a traditional generator.
      noise_mode: see `SynthesisNetwork.call`; the figures about noise have their own.
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
        self.generator, self.config, self.label = generator, generator.config, label
        if self.config.num_channels not in (1, 3, 4):
            found = self.config.num_channels
            raise UserError(f"pictures have 1 channel (gray), 3 (RGB) or 4 (RGBA), but this network makes {found}.")
        self.truncation = truncation or Truncation()
        self.sampler = Sampler(generator, self.truncation, noise_mode)
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

    def latents(self, seeds: Iterable[int]) -> np.ndarray:
        """z [N, latent_size] of the seeds."""
        return seed_latents(seeds, self.config.latent_size)

    def dlatents(self, z: np.ndarray) -> np.ndarray:
        """z [N, latent_size] -> w of every layer [N, L, W], truncated."""
        return self.broadcast(self.map(z))

    def map(self, z: np.ndarray) -> np.ndarray:
        """z [N, latent_size] -> w [N, W], not truncated."""
        return self.sampler.map(z, self._labels(len(z)))

    def broadcast(self, w: np.ndarray, psi: Optional[np.ndarray] = None) -> np.ndarray:
        """w [N, W] -> w of every layer [N, L, W], truncated; with psi [N] in place of the painter's if it is given."""
        return self.sampler.broadcast(w, self._labels(len(w)), self._truncation_at(psi))

    def truncate(self, ws: np.ndarray, psi=None) -> np.ndarray:
        """The same for w of every layer [N, L, W]; psi: a number or [N]."""
        return self.sampler.truncate(ws, self._labels(len(ws)), self._truncation_at(psi))

    def _labels(self, count):
        return None if self.label is None else np.tile(self.label, [count, 1])

    def _truncation_at(self, psi):
        return self.truncation if psi is None else self.truncation.at(psi)

    def image_batches(self, ws: np.ndarray, noise_seeds=None, noise_layers=None, noise=None) -> Iterator[np.ndarray]:
        """Yields uint8 [n, h, w, C], without bars, not stretched; the arguments: see `Sampler.images_of_dlatents`."""
        for images in self.sampler.images_of_dlatents(ws, noise_seeds, noise_layers, noise=noise):
            yield self.in_shape(images)

    def in_shape(self, images: np.ndarray) -> np.ndarray:
        """Square images of the network [n, r, r, C] without bars, not stretched."""
        return unstretched(crop_to_box(images, self.content_box), self.aspect_ratio)

    def picture_batches(self, ws: np.ndarray, noise_seeds=None, noise_layers=None) -> Iterator[np.ndarray]:
        """`image_batches` in RGB: uint8 [n, h, w, 3]."""
        for images in self.image_batches(ws, noise_seeds, noise_layers):
            yield as_rgb(images)

    def pictures(self, ws: np.ndarray, noise_seeds=None, noise_layers=None) -> np.ndarray:
        """All pictures of ws [N, L, W]: uint8 [N, h, w, 3]."""
        return np.concatenate(list(self.picture_batches(ws, noise_seeds, noise_layers)))

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


def load_painters(
    path: Union[str, os.PathLike],
    classes: Optional[str] = None,
    labeled: bool = True,
    psi: float = 0.7,
    cutoff: Optional[int] = 8,
    centre: Optional[str] = None,
    noise_mode: str = "const",
    crop: bool = True,
) -> list[tuple[str, Painter]]:
    """(name, painter of a network file) for each class that `class_labels` makes of `classes`.

    labeled: False if a network with labels needs no class; centre: None: as the network file has it; crop: undo
    letterboxing and stretching.
    """
    networks = load_networks(path)
    generator = networks.best_generator
    size, names = generator.config.label_size, networks.label_names
    labels = class_labels(classes, size, names) if labeled or classes else [("", None)]
    painter = Painter(
        generator,
        content_box=networks.content_box if crop else None,
        truncation=Truncation(psi, cutoff, centre or networks.truncation_centre),
        noise_mode=noise_mode,
        aspect_ratio=networks.aspect_ratio if crop else None,
    )
    return [(name, painter.with_label(label)) for name, label in labels]
