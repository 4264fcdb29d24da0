"""Finds directions of a network by one or several methods, writes their file, and draws what they do."""

import os
import pathlib
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np

from stylegan_tf.config import DirectionOptions
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.editing import DIRECTION_METHODS
from stylegan_tf.editing.direction_methods import (
    attribute_normals,
    principal_components,
    read_label_table,
    style_factors,
)
from stylegan_tf.editing.directions import Directions, save_directions
from stylegan_tf.errors import UserError
from stylegan_tf.files.digests import file_sha256
from stylegan_tf.files.dlatents import load_dlatents
from stylegan_tf.metrics.kinds.separability import classified_samples
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import save_image
from stylegan_tf.visualize.sampling import random_w
from stylegan_tf.visualize.style_mixing import parse_layers
from stylegan_tf.visualize.tile_table import Band, tile_table


def find_directions(
    painter: Painter, options: DirectionOptions = DirectionOptions(), note: Note = ignore, warn: Note = ignore
) -> Directions:
    """All directions of `options.methods`, in the order of `DIRECTION_METHODS`.

    Args:
      painter: its network and, if that has labels, the label of all samples.
      note: takes a line about each attribute; warn: about a file of dlatents that can be read in two ways.
    """
    layers = _layers(painter, options.layers)
    w = random_w(painter.generator, options.samples, options.seed, painter.label)
    found = {
        "pca": lambda: principal_components(w, options.count, layers),
        "sefa": lambda: style_factors(painter.generator, w, options.count, layers),
        "attributes": lambda: attribute_normals(*_attributes(painter, options, warn), w, layers, note),
    }
    first, *others = [found[method]() for method in DIRECTION_METHODS if method in options.methods]
    return sum(others, first)


def write_directions(
    network: Union[str, os.PathLike[str]],
    painter: Painter,
    output: Union[str, os.PathLike[str]],
    options: DirectionOptions = DirectionOptions(),
    seeds: Sequence[int] = (),
    amounts: Sequence[float] = (-3, -2, -1, 0, 1, 2, 3),
    scale: Optional[int] = None,
    note: Note = ignore,
    warn: Note = ignore,
) -> None:
    """Writes the file of directions of a network, and with `seeds` a picture of the same name beside it.

    Args:
      network: its file; painter: for it.
      seeds: of the images in the picture, a row for each and each direction; amounts: a column for each.
    """
    directions, output = find_directions(painter, options, note, warn), pathlib.Path(output)
    made_with = {"network_sha256": file_sha256(network), "method": list(options.methods), "seed": options.seed}
    save_directions(output, directions, made_with)
    note(f"{output}: {', '.join(directions.names)}")
    if len(seeds):
        picture = output.with_suffix(".png")
        save_image(directions_picture(painter, directions, seeds, amounts, scale), picture)
        note(str(picture))


def directions_picture(
    painter: Painter,
    directions: Directions,
    seeds: Sequence[int],
    amounts: Sequence[float],
    scale: Optional[int] = None,
) -> np.ndarray:
    """A row for each seed and direction, a column for each amount: uint8 [H, W, C]."""
    tiles, beside = [], []
    ws = painter.dlatents(painter.latents(seeds))
    for index, name in enumerate(directions.names):
        beside.append(Band(name, index * len(seeds), (index + 1) * len(seeds) - 1))
        offsets = np.stack([directions.offset({name: amount}, ws.shape[1]) for amount in amounts])
        tiles += [list(painter.pictures(w + offsets)) for w in ws]
    above = [Band(f"{amount:+g}", column, column) for column, amount in enumerate(amounts)]
    return tile_table(tiles, scale, above, beside, breaks_above={band.first for band in beside[1:]})


def _layers(painter: Painter, text: Optional[str]) -> tuple[int, int]:
    """The first layer, and the one after the last."""
    if text is None:
        return 0, painter.dlatent_shape[0]
    painter.check_styles("`layers`")
    numbers = parse_layers(text, painter.resolutions)
    first, end = numbers[0], numbers[-1] + 1
    if len(numbers) != end - first:
        raise UserError(f"`layers` takes neighbouring layers, got {text}.")
    return first, end


def _attributes(painter: Painter, options: DirectionOptions, warn: Note) -> tuple:
    """-> names, w [N, W], scores [N, K]."""
    if options.classifiers:
        return classified_samples(painter.generator, painter.label, options.classifiers, options.samples, options.seed)
    kind, numbers, names, scores = read_label_table(options.labels)
    if kind == "seed":
        return names, painter.map(painter.latents(numbers)), scores
    if not options.dlatents:
        raise UserError("`labels` has numbers of images: give the file that they are in as `dlatents`.")
    ws = load_dlatents(options.dlatents, *painter.dlatent_shape, warn)
    if numbers.max() >= len(ws):
        raise UserError(f"`labels` names image {numbers.max()}, {options.dlatents} has {len(ws)}, counted from 0.")
    return names, ws[numbers].mean(axis=1), scores
