"""Finds directions in w by principal components, SeFa or planes that separate attributes, writes and draws them."""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np

from stylegan_tf.config import DirectionOptions
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.editing import DIRECTION_METHODS
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing.directions import Directions, save_directions
from stylegan_tf.files.arrays import file_sha256
from stylegan_tf.files.dlatents import load_dlatents
from stylegan_tf.files.file_errors import reading, short
from stylegan_tf.metrics.kinds.separability import classified_samples, separating_plane
from stylegan_tf.networks.generator import Generator
from stylegan_tf.visualize.painter import Painter, random_w
from stylegan_tf.visualize.picture_files import save_image
from stylegan_tf.visualize.style_mixing import parse_layers
from stylegan_tf.visualize.tile_table import Band, tile_table

# The SVM's C, divided by the number of points, for w of standard deviation 1. Chosen by looking at images: with 100
# times as much, the normal of a rare attribute of the demo network changes next to nothing in 3 deviations.
_COST = 2.5
_RARE = 0.2  # Below this share of the rarer kind, weighting the classes gives normals closer to the truth.


def principal_components(w: np.ndarray, count: int, layers: tuple[int, int]) -> Directions:
    """pca1, pca2, ...: the axes along which w [N, W] varies most (Härkönen et al., GANSpace)."""
    centred = np.asarray(w, np.float64) - w.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)  # In ascending order.
    return _numbered("pca", vectors.T[::-1], count, w, layers)


def style_factors(generator: Generator, w: np.ndarray, count: int, layers: tuple[int, int]) -> Directions:
    """sefa1, sefa2, ...: what changes the styles of the layers most, the eigenvectors of A'A (Shen and Zhou, SeFa).

    A stacks the weights of all style layers, a row per style, scaled to unit length as in the published method.
    """
    if not generator.config.use_styles:
        raise UserError("sefa needs styles, but this network is a traditional generator: use `method=pca`.")
    blocks = [layer for block in generator.synthesis.blocks.values() for layer in block]
    weights = [layer.style.scaled_weight().numpy().astype(np.float64) for layer in blocks[slice(*layers)]]  # [W, 2C]
    a = np.concatenate(weights, axis=1).T
    a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    _, vectors = np.linalg.eigh(a.T @ a)
    return _numbered("sefa", vectors.T[::-1], count, w, layers)


def attribute_normals(
    names: Sequence[str],
    w: np.ndarray,
    scores: np.ndarray,
    samples: np.ndarray,
    layers: tuple[int, int],
    note: Note = ignore,
) -> Directions:
    """For each attribute the normal of the plane that separates the w [N, W] of images with and without it.

    It points to those with it. The SVM is regularised more strongly than linear separability's: it may leave some
    images on the wrong side, but its normal lies where w varies, so that a few deviations along it change the image.
    Classes are weighted if one of them is rare. A step changes the attribute's own score by its standard deviation.

    Args:
      scores: [N, K], positive where an image has the attribute; NaN: unknown.
      samples: [M, W], the w over which the standard deviations are taken.
      note: gets a line per attribute on its balance and its SVM.
    """
    centre = samples.mean(axis=0)  # The SVM's regularisation includes the intercept.
    w = (w - centre) / ((samples - centre).std() or 1.0)
    normals, steps = [], []
    for index, name in enumerate(names):
        known = np.flatnonzero(np.isfinite(scores[:, index]))
        values = scores[known, index]
        if len(set(values)) < 2:
            raise UserError(f"attribute {name!r}: all of the {len(values)} labelled images have it, or none.")
        has_it = _attribute_mask(values)
        balanced = min(has_it.mean(), 1 - has_it.mean()) < _RARE
        normals.append(separating_plane(w[known], has_it, _COST / len(known), balanced).coef_[0])
        steps.append(_step_along(normals[-1], w[known], has_it, samples))
        note(f"{name}: {has_it.mean():.0%} of {len(known)} images, {'balanced' if balanced else 'plain'} SVM")
    found = Directions.from_vectors(names, np.stack(normals), samples, layers)
    return dataclasses.replace(found, deviations=np.float32(steps))


def _step_along(normal, w, has_it, samples):
    """How far along the normal the attribute's score b'w changes by its standard deviation.

    b is the least-squares fit to the labels, whose direction is that of any score of which the labels are a threshold.
    Few labels do not determine it; the step is then the standard deviation of w along the normal.
    """
    normal = normal / np.linalg.norm(normal)
    step = (samples @ normal).std()
    if len(w) > 4 * len(normal):
        b = np.linalg.lstsq(np.c_[w, np.ones(len(w))], has_it.astype(np.float64), rcond=1e-6)[0][:-1]
        slope, deviation = b @ normal, (samples @ b).std()
        step = np.clip(deviation / slope, step / 4, 4 * step) if slope > 0 else step
    return step


def _attribute_mask(scores):
    """Mask of the images that have the attribute. With a classifier, each side gets at least a fiftieth of them.

    An attribute may be rare, and a network that never shows it fully may still tend to it.
    """
    if set(scores) == {-1.0, 1.0}:  # Labels, all equally certain.
        return scores > 0
    least = max(1, len(scores) // 50)
    ranks = np.argsort(np.argsort(scores, kind="stable"))
    return ranks >= len(scores) - np.clip(np.sum(scores > 0), least, len(scores) - least)


def read_label_table(path) -> tuple[str, np.ndarray, tuple[str, ...], np.ndarray]:
    """A .csv with a first column `seed` or `image` and a column of 0 and 1 for each attribute; empty: unknown.

    -> ("seed" or "image", numbers [N], names of the attributes, scores [N, K]: 1, -1, NaN).
    """
    path = pathlib.Path(path)
    with reading(path, "table", "`labels` takes a .csv file in UTF-8"):
        with open(path, newline="", encoding="utf-8-sig") as stream:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if any(row)]
    if header[0] not in ("seed", "image") or len(header) < 2 or not rows:
        raise UserError(f"`labels` {path}: its first line should be like `seed,glasses,hat` or `image,glasses,hat`.")
    scores = {"1": 1.0, "0": -1.0, "": np.nan}
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header) or not row[0].isdecimal() or not set(row[1:]) <= set(scores):
            raise UserError(f"`labels` {path}, row {line}: expected a number, and 0, 1 or nothing for each attribute.")
        if len(row[0]) > 20 or int(row[0]) >= 2**32:
            raise UserError(f"`labels` {path}, row {line}: {short(row[0], 40)} is too large, they end at {2**32 - 1}.")
    numbers = np.array([int(row[0]) for row in rows])
    return header[0], numbers, tuple(header[1:]), np.array([[scores[cell] for cell in row[1:]] for row in rows])


def _numbered(name, vectors, count, w, layers):
    """The first `count` vectors; of both signs the one whose largest component is positive."""
    vectors = vectors[:count]
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    names = [f"{name}{index + 1}" for index in range(len(vectors))]
    return Directions.from_vectors(names, vectors * np.sign(largest)[:, None], w, layers)


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
    """Writes the file of directions of a network, and with `seeds` a picture of the same name next to it.

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
    numbers = parse_layers(text, painter.resolutions, "layers")
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
