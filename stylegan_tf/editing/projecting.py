"""Pictures in the latent space of a network: results in one call, or in folders with what other commands take."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
from numpy.typing import NDArray

from stylegan_tf.config import PictureOptions, ProjectionConfig, SourceOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.data.sources.opening import parse_background
from stylegan_tf.editing.projection import Projector
from stylegan_tf.editing.projection_results import Result, ResultFolder, Targets, fit_as_trained, write_overview
from stylegan_tf.files.digests import file_sha256
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.features.image_distance import ImageDistance
from stylegan_tf.metrics.features.lpips import load_distance
from stylegan_tf.networks.labels import class_label
from stylegan_tf.networks.network_file import Networks, find_network, load_networks

_VIDEO_FRAMES = 100


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
    distance = choose_distance(image_distance, feature_extractor)
    one_hot = None if label is None else np.asarray(label, np.float32)
    projector = Projector(networks.best_generator, distance, config, one_hot, networks.content_box)
    results: list[Result] = []
    with progress(len(pictures) * config.steps, "Projecting", "steps") as bar:
        for first in range(0, len(pictures), projector.batch_size):
            targets = pictures[first : first + projector.batch_size]
            results += _projected(projector, targets, bar, first * config.steps)[0]
    return results


def project_files(
    network: Union[str, os.PathLike[str]],
    target: str,
    outdir: Union[str, os.PathLike[str]],
    config: ProjectionConfig = ProjectionConfig(),
    pictures: SourceOptions = SourceOptions(),
    image_distance: str = "pixels",
    feature_extractor: Optional[str] = None,
    classes: Optional[str] = None,
    crop: bool = True,
    video: bool = False,
    batch_size: Optional[int] = None,
    note: Note = ignore,
    warn: Note = ignore,
    progress: StartProgress = Progress,
) -> None:
    """Projects a picture, or each of a folder; complete results for the same pictures and options stay as they are.

    Args:
      target: a picture, a folder or another source of `create_tfrecords`.
      outdir: gets the files of `ResultFolder`; of several pictures a folder for each, and an overview.
      pictures: its max_images, fit (None: as the network's pictures were fitted) and background.
      classes: see `class_label`; crop: leave the bars of letterboxed pictures out; video: write projection.webp, too.
      note: takes a line for each result; warn: for pictures that are left out.
    """
    path, outdir = find_network(network), pathlib.Path(outdir)
    networks = load_networks(path)
    generator, box = networks.best_generator, networks.content_box if crop else None
    label = None  # Results in z depend on it; in w only the start does.
    if classes is not None:
        label = class_label(classes, generator.config.label_size, networks.label_names)
    distance = choose_distance(image_distance, feature_extractor)
    projector = Projector(generator, distance, config, label, box)
    fit = pictures.fit or fit_as_trained(box, networks.aspect_ratio)
    size, channels = projector.resolution, generator.config.num_channels
    targets = Targets(
        target, PictureOptions(size, channels, fit, background=pictures.background), box, pictures.max_images, warn
    )
    made_with = {"class": classes, "content_box": box, "fit": fit, "background": parse_background(pictures.background)}
    made_with.update(network_sha256=file_sha256(path), **distance.protocol(), **dataclasses.asdict(config))
    places = [outdir if targets.is_one_picture else outdir / name for name in targets.names]
    folders = [ResultFolder(place, targets.image(index), made_with) for index, place in enumerate(places)]
    todo = [index for index, folder in enumerate(folders) if not folder.has_result(video)]
    with progress(len(folders) * config.steps, "Projecting", "steps") as bar:
        done = (len(folders) - len(todo)) * config.steps
        bar.start_at(done)
        rows = batch_size or projector.batch_size
        for first in range(0, len(todo), rows):
            chosen = todo[first : first + rows]
            images = np.stack([targets.image(index) for index in chosen])
            results, frames = _projected(projector, images, bar, done, video)
            for folder, result, film in zip((folders[index] for index in chosen), results, frames):
                folder.write(result, film)
                bar.clear()
                note(f"{folder.path}: distance {result.distance:.4g}, pixel error {result.pixel_error:.1f} of 255")
            done += len(chosen) * config.steps
    if not targets.is_one_picture:
        write_overview(outdir, folders, projector.dlatent_shape)


def choose_distance(image_distance: str, feature_extractor: Optional[str] = None) -> ImageDistance:
    """What projection minimises: "pixels", a file of LPIPS, or "features", those of `feature_extractor`."""
    wants_features = image_distance == "features" and feature_extractor
    return load_distance(image_distance, load_extractor(feature_extractor) if wants_features else None)


def _projected(projector: Projector, targets: NDArray[np.uint8], bar: Progress, done: int, video: bool = False):
    """Searches for some pictures at once. done: steps before. -> results, frames of a video of each search."""
    steps, path = projector.config.steps, []
    every = -(-steps // _VIDEO_FRAMES)
    for state in projector.find(targets):
        if video and state.step % every == steps % every:
            path.append(state.ws.numpy())
        bar.update(done + state.step * len(targets))
    noise, ws = [maps.numpy() for maps in state.noise], state.ws.numpy()
    distances, results, frames = projector.distances(state, targets), [], []
    for i, picture in enumerate(projector.pictures(state.ws, noise)):
        maps = [layer[i : i + 1] for layer in noise]
        results.append(Result(targets[i], picture, ws[i : i + 1], maps, float(distances[i])))
        frames.append([projector.pictures(step[i : i + 1], maps)[0] for step in path])  # All with the final noise.
    return results, frames
