"""What `nearest` tells of generated images or given ones: a picture, a table, and whether a network repeats images."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np

from stylegan_tf.config import NearestOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.metrics.images.folder import open_pictures
from stylegan_tf.metrics.images.real import RealImages
from stylegan_tf.metrics.nearest import ImageVectors, Nearest, find_nearest, images_at
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import as_rgb, save_image
from stylegan_tf.visualize.tile_table import Band, tile_table

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)


def report_nearest(
    source: Union[Painter, str],
    seeds: Sequence[int],
    data_dir: str,
    held_out_dir: Optional[str],
    output: Union[str, os.PathLike[str]],
    table: Optional[str] = None,
    options: NearestOptions = NearestOptions(),
    note: Note = ignore,
    progress: StartProgress = Progress,
) -> Nearest:
    """Writes a picture of the nearest real images, and their numbers and distances; notes the conclusion.

    Args:
      source: a network, whose images of `seeds` are searched for, or the place of pictures of the dataset's size.
      held_out_dir: a dataset of the same source as `data_dir` that the network has not seen.
      output: the picture; table: a file for all distances, .json.
    """
    infos = [find_dataset(folder) for folder in (data_dir, held_out_dir) if folder]
    if isinstance(source, str):
        pictures, _ = open_pictures(source, infos[0])
        names, (images,) = [str(number) for number in range(len(pictures))], pictures.inputs(0, len(pictures))
    else:
        names, ws = [f"seed {seed}" for seed in seeds], source.dlatents(source.latents(seeds))
        images = np.concatenate(list(source.sampler.images_of_dlatents(ws)))
    if {info.num_channels for info in infos} != {images.shape[3]}:
        raise UserError(f"the images have {images.shape[3]} channel(s), those of the dataset {infos[0].num_channels}.")
    vectors = ImageVectors(options.image_distance, options.feature_extractor, options.compare_size)
    training, *held_out = (RealImages(info, images.shape[1]) for info in infos)
    found = find_nearest(images, vectors, training, held_out[0] if held_out else None, options, progress)
    pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
    save_image(_picture(training, images, names, found, options.rows), output)
    note(os.fspath(output))
    if table:
        kind = "to_held_out" if held_out_dir else "real_to_real"
        _write_table(pathlib.Path(table), vectors.name, kind, names, found)
        note(table)
    note(f"{vectors.name}: {found.conclusion.sentence}")
    return found


def _picture(training: RealImages, images: np.ndarray, names: Sequence[str], found: Nearest, rows: int) -> np.ndarray:
    """A row for each image: itself, then its nearest real ones."""
    rows, numbers = min(rows, len(images)), found.numbers
    reals = images_at(training, [number for number in numbers[:rows].ravel() if number >= 0])
    tiles = [
        [as_rgb(images[row : row + 1])[0]] + [as_rgb(reals[number][None])[0] for number in numbers[row] if number >= 0]
        for row in range(rows)
    ]
    above = [Band("image", 0, 0), Band("nearest real images, from left to right", 1, len(tiles[0]) - 1)]
    beside = [Band(f"{names[row]}: {found.distances[row, 0]:.3g}", row, row) for row in range(rows)]
    return tile_table(tiles, None, above, beside, breaks_beside={1})


def _write_table(path: pathlib.Path, distance: str, kind: str, names: Sequence[str], found: Nearest) -> None:
    quantiles = {str(q): float(np.quantile(found.reference, q)) for q in _QUANTILES}
    rows = [
        {"image": image, "records": numbers[numbers >= 0].tolist(), "distances": distances[numbers >= 0].tolist()}
        for image, numbers, distances in zip(names, found.numbers, found.distances)
    ]
    conclusion = dataclasses.asdict(found.conclusion)
    content = {"distance": distance, "conclusion": conclusion, f"quantiles_{kind}": quantiles, "images": rows}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
