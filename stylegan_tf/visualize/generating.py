"""Images of seeds or of files of styles: in one call, or as files that an interrupted command adds to."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional, Union

import numpy as np
from numpy.typing import NDArray

from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.files.arrays import file_sha256
from stylegan_tf.files.dlatents import load_dlatents, load_noise, save_dlatents
from stylegan_tf.networks.network_file import Networks, load_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.image_folders import open_image_folder
from stylegan_tf.visualize.painter import Painter, painter_of
from stylegan_tf.visualize.picture_files import as_shown, check_picture_size, grid_shape
from stylegan_tf.visualize.tile_table import scale_for

_Part = tuple[NDArray[np.float32], Optional[list[NDArray[np.float32]]]]
_Offset = Union[int, NDArray[np.float32]]
_LARGEST_GRID = 4096  # Pixels of the longer side up to which images are enlarged without being asked.
_CHUNK = 1024  # Images whose names and styles are in memory at once.


def generate_images(
    network: Union[str, os.PathLike[str], Networks],
    seeds: Iterable[int],
    truncation_psi: float = 0.7,
    truncation_cutoff: Optional[int] = 8,
    label: Optional[Sequence[float]] = None,
    noise_mode: str = "const",
) -> NDArray[np.uint8]:
    """The images of seeds: uint8 [N, H, W, C], without the bars of letterboxed training pictures, not stretched.

    Args:
      network: a network file, a run folder (its newest network), "demo", or what `load_networks` returned.
      seeds: the latent of seed s is numpy.random.RandomState(s).randn(1, latent_size).
      truncation_psi: 1: the full variety, 0: the mean image; truncation_cutoff: of this many layers, None: of all.
      label: [label_size], for a network with labels.
      noise_mode: "const", "random" or "none".

    >>> from stylegan_tf import generate_images
    >>> generate_images("demo", seeds=range(4), truncation_psi=1.0).shape
    (4, 32, 32, 3)
    """
    networks = network if isinstance(network, Networks) else load_networks(network)
    truncation = Truncation(truncation_psi, truncation_cutoff, None)
    one_label = None if label is None else np.asarray(label, np.float32)
    painter = painter_of(networks, truncation, noise_mode, label=one_label)
    ws = painter.dlatents(painter.latents(seeds))
    return np.concatenate(list(painter.image_batches(ws)))


@dataclasses.dataclass(frozen=True)
class Styles:
    """A set of images to generate: their names, and the styles and noise maps they are made of."""

    painter: Painter
    count: int
    name: Callable[[int], str]  # File name of an index, without its suffix.
    part: Callable[[Sequence[int]], _Part]  # w float32 [n, L, W] of indices; noise maps, or None for the painter's.
    options: Mapping[str, Any]  # What the images depend on, for their record.
    folder: str = ""  # Within the folder of all sets.

    def chunks(self) -> Iterator[range]:
        """The indices of all images."""
        for start in range(0, self.count, _CHUNK):
            yield range(start, min(start + _CHUNK, self.count))


def styles_of_seeds(
    painters: Sequence[tuple[str, Painter]], seeds: Sequence[int], classes: Optional[str], offset: _Offset = 0
) -> list[Styles]:
    """One set for each class, in a folder of its own if there are several.

    painters, classes: see `load_painters`; offset: added to the styles, see `Directions.offset`.
    """
    if len(painters) == 1:
        return [_styles_of_class(painters[0][1], seeds, classes, offset)]
    folders = _folder_names(painters)
    return [_styles_of_class(painter, seeds, name, offset, to) for (name, painter), to in zip(painters, folders)]


def _styles_of_class(
    painter: Painter, seeds: Sequence[int], label: Optional[str], offset: _Offset, folder: str = ""
) -> Styles:
    """label: the class as the user named it."""
    psi, cutoff, centre = dataclasses.astuple(painter.truncation)
    options = {"truncation_psi": psi, "truncation_cutoff": cutoff, "class": label}
    if painter.label is not None and centre != "all":  # Records of earlier versions have none.
        options["truncation_centre"] = centre

    def part(indices: Sequence[int]) -> _Part:
        return painter.dlatents(painter.latents(seeds[index] for index in indices)) + offset, None

    return Styles(painter, len(seeds), lambda index: f"seed{seeds[index]:04d}", part, options, folder)


def _folder_names(painters: Sequence[tuple[str, Painter]]) -> list[str]:
    """The names of classes that can be those of folders, and numbers for others; numbers where names would collide."""
    numbered = [f"class{np.asarray(painter.label).argmax()}" for _, painter in painters]
    found = [name if re.fullmatch(r"\w[\w .+()-]*", name) else number for (name, _), number in zip(painters, numbered)]
    return found if len({name.casefold() for name in found}) == len(found) else numbered


def styles_of_file(painter: Painter, path: str, offset: _Offset = 0, note: Note = ignore) -> Styles:
    """The styles in a file of dlatents, with its noise maps if the painter's noise is const."""
    ws = load_dlatents(path, *painter.dlatent_shape, note) + offset
    noise = load_noise(path, len(ws), painter.noise_shapes) if painter.noise_mode == "const" else None

    def part(indices: Sequence[int]) -> _Part:
        rows = list(indices)
        return ws[rows], noise and [maps[rows] for maps in noise]

    options = {"dlatents_sha256": file_sha256(path)}
    return Styles(painter, len(ws), lambda index: f"image{index:04d}", part, options)


def save_styles(path: Union[str, os.PathLike[str]], sets: Sequence[Styles]) -> None:
    """The styles of all sets as one file of dlatents."""
    shape = (sum(styles.count for styles in sets), *sets[0].painter.dlatent_shape)
    save_dlatents(path, shape, (styles.part(indices)[0] for styles in sets for indices in styles.chunks()))


def made_with(
    network: pathlib.Path, directions: Optional[str] = None, move: Optional[str] = None, **options: Any
) -> dict[str, Any]:
    """What all images of a command depend on, for their record."""
    found: dict[str, Any] = {"network": network.name, "network_sha256": file_sha256(network)}
    if directions:
        found.update(directions_sha256=file_sha256(directions), move=move)
    return {**found, **options}


def write_images(
    path: Union[str, os.PathLike[str]],
    sets: Sequence[Styles],
    made_with: Mapping[str, Any],
    suffix: str = "png",
    scale: int = 1,
    progress: StartProgress = Progress,
    keep: bool = False,
) -> list[NDArray[np.uint8]]:
    """One file for each image in a folder or a .zip; those with the same record are not generated again.

    Args:
      made_with: what the images depend on besides the options of their set.
      suffix: png, jpg or webp; scale: how often pixels are repeated.
      keep: return all images, in order, of planes those that are shown; else none.
    """
    kept: list[NDArray[np.uint8]] = []
    done, (height, width) = 0, sets[0].painter.picture_shape
    channels = as_shown(np.empty([0, sets[0].painter.config.num_channels])).shape[-1]
    check_picture_size(f"{sets[0].name(0)}.{suffix}", height * scale, width * scale)
    with progress(sum(styles.count for styles in sets), "Generating", "images") as bar:
        for styles in sets:
            place = os.path.join(path, styles.folder) if styles.folder else path
            shown: dict[str, NDArray[np.uint8]] = {}
            with open_image_folder(pathlib.Path(place), {**made_with, **styles.options}) as folder:
                for indices in styles.chunks():
                    wanted = {f"{styles.name(index)}.{suffix}": index for index in indices}
                    missing = {name: index for name, index in wanted.items() if not folder.has(name)}
                    done += len(indices) - len(missing)  # Existing ones, or named twice.
                    bar.skip(len(indices) - len(missing))
                    if keep:
                        existing = [name for name in wanted if name not in missing and name not in shown]
                        shown.update(zip(existing, folder.images(existing, channels)))
                    for names, images in _drawn(styles, missing, scale):
                        folder.add(names, images)
                        shown.update(zip(names, as_shown(images)) if keep else ())
                        done += len(names)
                        bar.update(done)
            kept += [shown[f"{styles.name(index)}.{suffix}"] for index in range(styles.count if keep else 0)]
    return kept


def draw_images(sets: Sequence[Styles], scale: int = 1, progress: StartProgress = Progress) -> list[NDArray[np.uint8]]:
    """All images, without files."""
    kept: list[NDArray[np.uint8]] = []
    with progress(sum(styles.count for styles in sets), "Generating", "images") as bar:
        for styles in sets:
            for _, images in _drawn(styles, {str(index): index for index in range(styles.count)}, scale):
                kept += list(as_shown(images))
                bar.update(len(kept))
    return kept


def check_grid(
    path: Union[str, os.PathLike[str]],
    sets: Sequence[Styles],
    scale: Optional[int] = None,
    columns: Optional[int] = None,
) -> int:
    """UserError if one picture of so many images could not be written, before they are generated.

    scale: of the images, which are then not enlarged; None: 1, and the enlargement that makes small images legible,
    unless the grid gets large, is returned.
    """
    rows, columns = grid_shape(sum(styles.count for styles in sets), columns)
    height, width = sets[0].painter.picture_shape
    check_picture_size(path, rows * height * (scale or 1), columns * width * (scale or 1))
    enlargement = 1 if scale else scale_for((height, width))
    while enlargement > 1 and enlargement * max(rows * height, columns * width) > _LARGEST_GRID:
        enlargement //= 2
    return enlargement


def _drawn(styles: Styles, missing: Mapping[str, int], scale: int) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """Yields (names, images) of some images. missing: their indices by name."""
    names = list(missing)
    if not names:
        return
    ws, noise = styles.part(list(missing.values()))
    for images in styles.painter.image_batches(ws, noise=noise):
        yield names[: len(images)], images.repeat(scale, axis=1).repeat(scale, axis=2)
        names = names[len(images) :]
