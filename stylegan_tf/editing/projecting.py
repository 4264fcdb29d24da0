"""Pictures in the latent space of a network, in one call."""

import os
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
from numpy.typing import NDArray

from stylegan_tf.config import ProjectionConfig
from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.editing.projection import Projector
from stylegan_tf.editing.projection_results import Result
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.features.lpips import load_distance
from stylegan_tf.networks.network_file import Networks, load_networks


def project(
    network: Union[str, os.PathLike[str], Networks],
    pictures: NDArray[np.uint8],
    config: ProjectionConfig = ProjectionConfig(),
    image_distance: str = "pixels",
    feature_extractor: Optional[str] = None,
    label: Optional[Sequence[float]] = None,
    progress: StartProgress = Progress,
) -> list[Result]:
    """The latents whose images are nearest to pictures: a `Result` for each, with `.ws` and `.projected`.

    Args:
      network: a network file, a run folder (its newest network), "demo", or what `load_networks` returned.
      pictures: uint8 [N, h, w, C], as large as the images of the network (without the bars of letterboxed ones).
      image_distance: "pixels", a file of stylegan_tf.build_lpips, or "features", those of `feature_extractor`.
      label: [label_size], for projection in z into a network with labels.

    >>> from stylegan_tf import ProjectionConfig, generate_images, project
    >>> (result,) = project("demo", generate_images("demo", seeds=[5]), ProjectionConfig(steps=3))
    >>> result.ws.shape, result.projected.shape
    ((1, 8, 128), (32, 32, 3))
    """
    networks = network if isinstance(network, Networks) else load_networks(network)
    extractor = load_extractor(feature_extractor) if feature_extractor else None
    distance = load_distance(image_distance, extractor)
    one_hot = None if label is None else np.asarray(label, np.float32)
    projector = Projector(networks.best_generator, distance, config, one_hot, networks.content_box)
    results: list[Result] = []
    with progress(len(pictures) * config.steps, "Projecting", "steps") as bar:
        for first in range(0, len(pictures), projector.batch_size):
            targets = pictures[first : first + projector.batch_size]
            for state in projector.find(targets):
                bar.update(first * config.steps + state.step * len(targets))
            noise = [maps.numpy() for maps in state.noise]
            ws, distances = state.ws.numpy(), projector.distances(state, targets)
            for i, picture in enumerate(projector.pictures(state.ws, noise)):
                maps = [layer[i : i + 1] for layer in noise]
                results.append(Result(targets[i], picture, ws[i : i + 1], maps, float(distances[i])))
    return results
