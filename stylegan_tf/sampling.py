"""Pictures from a generator, in batches, as NumPy arrays."""

from collections.abc import Iterable, Iterator
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.generator import Generator
from stylegan_tf.visualize import to_uint8


def seed_latents(seeds: Iterable[int], latent_size: int) -> np.ndarray:
    """z of the given seeds: float32 [N, latent_size]. Seed s has `RandomState(s).randn(1, latent_size)`."""
    rows = [np.random.RandomState(seed).randn(1, latent_size) for seed in seeds]
    return np.concatenate(rows).astype(np.float32)


class Sampler:
    """Latents in, uint8 images out, in batches that fit into memory. Traces once per resolution."""

    def __init__(self, generator: Generator, truncation_psi=None, truncation_cutoff=None, noise_mode: str = "const"):
        """The options are those of `Generator.call`."""
        self._generator = generator
        self._options = {
            "truncation_psi": truncation_psi,
            "truncation_cutoff": truncation_cutoff,
            "noise_mode": noise_mode,
        }
        # Any batch size, so that the last and smaller batch needs no trace of its own.
        sizes = (generator.config.latent_size, generator.config.label_size)
        self._signature = [tf.TensorSpec([None, size]) for size in sizes] + [tf.TensorSpec([])]
        self._traced = {}  # By resolution.

    def images(
        self, z: np.ndarray, labels: Optional[np.ndarray] = None, resolution: Optional[int] = None, alpha=1.0
    ) -> Iterator[np.ndarray]:
        """Yields uint8 [n, r, r, C], batch after batch in order, for z [N, latent_size] and labels [N, label_size].

        Raises ValueError without labels for a conditional network.
        """
        resolution = resolution or self._generator.config.resolution
        if resolution not in self._traced:
            self._traced[resolution] = self._trace(resolution)
        if labels is None and self._generator.config.label_size:
            raise ValueError(f"expected labels [N, {self._generator.config.label_size}] for a conditional network.")
        if labels is None:
            labels = np.zeros([len(z), self._generator.config.label_size], np.float32)
        size = _batch_size(resolution)
        for start in range(0, len(z), size):
            batch = slice(start, start + size)
            yield to_uint8(self._traced[resolution](z[batch], labels[batch], np.float32(alpha)).numpy())

    def _trace(self, resolution):
        @tf.function(input_signature=self._signature)
        def generate(z, labels, alpha):
            return self._generator(z, labels=labels, resolution=resolution, alpha=alpha, **self._options)

        return generate


def _batch_size(resolution: int) -> int:
    """Images per call that need about the same memory at every resolution: 64 up to 64x64, 4 from 1024x1024."""
    return max(4, min(64, 4096 // resolution))
