"""Images of seeds, in one call."""

import os
from collections.abc import Iterable, Sequence
from typing import Optional, Union

import numpy as np
from numpy.typing import NDArray

from stylegan_tf.networks.network_file import Networks, load_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter


def generate_images(
    network: Union[str, os.PathLike[str], Networks],
    seeds: Iterable[int],
    truncation_psi: float = 0.7,
    truncation_cutoff: Optional[int] = 8,
    label: Optional[Sequence[float]] = None,
    noise_mode: str = "const",
) -> NDArray[np.uint8]:
    """The images of seeds: uint8 [N, H, W, C], without the bars of letterboxed training pictures.

    Args:
      network: a network file, a run folder (its newest network), "demo", or what `load_networks` returned.
      seeds: the latent of seed s is numpy.random.RandomState(s).randn(1, latent_size).
      truncation_psi: 1: the full variety, 0: the mean image; truncation_cutoff: of so many layers, None: of all.
      label: [label_size], for a network with labels.
      noise_mode: "const", "random" or "none".

    >>> from stylegan_tf import generate_images
    >>> generate_images("demo", seeds=range(4), truncation_psi=1.0).shape
    (4, 32, 32, 3)
    """
    networks = network if isinstance(network, Networks) else load_networks(network)
    painter = Painter(
        networks.best_generator,
        label=None if label is None else np.asarray(label, np.float32),
        content_box=networks.content_box,
        truncation=Truncation(truncation_psi, truncation_cutoff, networks.truncation_centre),
        noise_mode=noise_mode,
    )
    ws = painter.dlatents(painter.latents(seeds))
    return np.concatenate(list(painter.image_batches(ws)))
