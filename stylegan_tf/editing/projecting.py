"""Pictures in the latent space of a network: results in one call, or in folders with what other commands take."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_tf.config import INCEPTION, PictureOptions, ProjectionConfig, SourceOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.data.making.report import ImageStatistics
from stylegan_tf.data.sources import open_collection
from stylegan_tf.data.sources.fitted import FittedSource
from stylegan_tf.data.sources.image_files import IMAGE_SUFFIXES, note_skipped
from stylegan_tf.data.sources.opening import parse_background
from stylegan_tf.editing.projection import Projector
from stylegan_tf.files.arrays import file_sha256
from stylegan_tf.files.atomic_write import check_writable, write_json
from stylegan_tf.files.dlatents import load_dlatents, load_noise, save_dlatents
from stylegan_tf.files.file_errors import read_json, reading
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.features.image_distance import ImageDistance, load_distance
from stylegan_tf.networks.labels import class_label
from stylegan_tf.networks.network_file import Networks, find_network, load_networks
from stylegan_tf.visualize.animation import write_animation
from stylegan_tf.visualize.picture_files import as_rgb, image_grid, resized, save_image
from stylegan_tf.visualize.tile_table import scale_for

RECORD, VIDEO, _COMPARED = "projection.json", "projection.webp", "compared.png"
_FILES = ("dlatents.npz", "projected.png", "target.png")  # A result has all of them.
_VIDEO_FPS, _VIDEO_HOLD = 25, 25  # Frames per second, and repetitions of the last frame.
_VIDEO_FRAMES = 100
_Pixels = NDArray[np.uint8]


def fit_as_trained(content_box: Optional[Sequence[float]], aspect_ratio: Optional[float]) -> str:
    """The default of `fit`: as the network's training pictures were fitted."""
    return "pad" if content_box else "stretch" if aspect_ratio else "crop"


class Targets:
    """The pictures of a file, a folder or any other data source, in the size of the network's images.

    Args:
      options: how pictures are fitted; with a content box, only its inside is compared.
      max_images: limits them to the first.
    """

    def __init__(
        self,
        path: str,
        options: PictureOptions,
        content_box: Optional[Sequence[float]] = None,
        max_images: Optional[int] = None,
        note: Note = ignore,
    ):
        self.is_one_picture = path.lower().endswith(IMAGE_SUFFIXES) and not os.path.isdir(os.path.expanduser(path))
        collection = open_collection(path, options.resolution, max_images)
        note_skipped(path, collection.skipped, note)
        count = min(len(collection), max_images or len(collection))
        self._source = FittedSource(collection, options, None, count)
        self._content_box, self._white, self._statistics = content_box, options.white, ImageStatistics()
        self.names = _folder_names([collection.name(index) for index in range(count)])

    def image(self, index: int) -> _Pixels:
        """uint8 [h, w, C]."""
        square = self._source.read(index)
        self._statistics = self._statistics.joined(ImageStatistics.of([square]))
        cropped: _Pixels = crop_to_box(square.image[None], self._content_box)[0]
        return cropped

    def lines(self) -> Iterator[str]:
        """For the user: what was noticed about the pictures that were read."""
        return self._statistics.lines(self._white)


@dataclasses.dataclass(frozen=True)
class Result:
    """The projection of one picture."""

    target: _Pixels  # uint8 [h, w, C].
    projected: _Pixels
    ws: NDArray[np.float32]  # float32 [1, L, W].
    noise: Sequence[NDArray[np.float32]]  # float32 [1, r, r, 1] per layer, or empty.
    distance: float

    @property
    def pixel_error(self) -> float:
        """Root of the mean squared difference, 0 to 255."""
        difference = self.projected.astype(np.float64) - self.target
        return float(np.sqrt(np.mean(difference**2)))


class ResultFolder:
    """The results of one picture. projection.json is written last and records the options."""

    def __init__(self, path: pathlib.Path, target: _Pixels, options: Mapping[str, Any]):
        """options: JSON values, everything that the result depends on besides the picture."""
        self.path = path
        digest = hashlib.sha256(np.ascontiguousarray(target).tobytes()).hexdigest()
        self._options = json.loads(json.dumps({**options, "target_sha256": digest}))

    def has_result(self, video: bool = False) -> bool:
        """Whether it has a complete result for the same picture and options; video: with projection.webp."""
        try:
            record = read_json(self.path / RECORD, "record of a projection")
        except UserError:  # Missing or damaged.
            return False
        if not isinstance(record, dict) or record.get("options") != self._options:
            return False
        sizes = record.get("bytes")
        return isinstance(sizes, dict) and all(
            name in sizes and sizes[name] == self._size(name) for name in (*_FILES, *[VIDEO] * video)
        )

    def _size(self, name: str) -> Optional[int]:
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def write(self, result: Result, frames: Sequence[_Pixels] = ()) -> None:
        """frames: images of the search, uint8 [h, w, C], for projection.webp."""
        (self.path / RECORD).unlink(missing_ok=True)  # It describes files that are about to be replaced.
        save_image(result.target, self.path / "target.png")
        save_image(result.projected, self.path / "projected.png")
        _save_compared(np.concatenate([result.target, result.projected], axis=1), result.target, self.path)
        save_dlatents(self.path / "dlatents.npz", result.ws.shape, [result.ws], result.noise)
        if len(frames):
            self._write_video(result.target, frames)
        sizes = {name: self._size(name) for name in (*_FILES, *[VIDEO] * bool(len(frames)))}
        record = {"distance": result.distance, "pixel_error": result.pixel_error, "options": self._options}
        record["bytes"] = sizes  # Detects truncated files.
        write_json(self.path / RECORD, record)

    def _write_video(self, target: _Pixels, frames: Sequence[_Pixels]) -> None:
        """The target next to the frames; the last one stays for a second."""
        scale = Fraction(scale_for(target.shape))
        images = [*frames, *[frames[-1]] * _VIDEO_HOLD]
        enlarged = (resized(as_rgb(np.concatenate([target, image], axis=1)), scale) for image in images)
        write_animation(enlarged, len(images), self.path / VIDEO, _VIDEO_FPS)


def write_overview(
    path: pathlib.Path,
    folders: Sequence[ResultFolder],
    dlatent_shape: tuple[int, int],
    noise_shapes: Sequence[tuple[int, int, int]],
) -> None:
    """The dlatents and noise maps of all pictures in one file, and a picture with all targets above their projections.

    noise_shapes: of the noise maps, which all folders have or none, see `load_noise`.
    """
    files = [folder.path / "dlatents.npz" for folder in folders]
    ws = (load_dlatents(file, *dlatent_shape) for file in files)
    maps = [load_noise(file, 1, noise_shapes) or [] for file in files]
    noise = (np.concatenate(layer) for layer in zip(*maps))
    save_dlatents(path / "dlatents.npz", (len(folders), *dlatent_shape), ws, noise)
    columns = min(len(folders), 8)
    pairs = []
    for first in range(0, len(folders), columns):
        row = folders[first : first + columns]
        for name in ("target.png", "projected.png"):
            images = np.stack([_read_image(folder.path / name) for folder in row])
            missing = np.full([columns - len(row), *images.shape[1:]], 255, np.uint8)
            pairs.append(image_grid(np.concatenate([images, missing]), columns))
    _save_compared(np.concatenate(pairs), images[0], path)


def _save_compared(picture: _Pixels, tile: _Pixels, folder: pathlib.Path) -> None:
    """Enlarged if its tiles are small."""
    save_image(resized(picture, Fraction(scale_for(tile.shape))), folder / _COMPARED)


def _read_image(path: pathlib.Path) -> _Pixels:
    with reading(path, "picture", "remove it and run the same command again"), Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _folder_names(names: list[str]) -> list[str]:
    """ "a/b.png" -> "a_b"; with suffixes, or else numbers, where names would collide."""
    short = [name.rpartition(".")[0] or name for name in names]
    if len(set(short)) < len(short):
        short = names
    found = ["".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name) for name in short]
    is_unique = len({name.casefold() for name in found}) == len(found)  # Also where case makes no difference.
    return found if is_unique else [f"{name}_{index:04d}" for index, name in enumerate(found)]


def project(
    network: Union[str, os.PathLike[str], Networks],
    pictures: NDArray[np.uint8],
    config: ProjectionConfig = ProjectionConfig(),
    image_distance: str = "pixels",
    feature_extractor: str = INCEPTION,
    label: Optional[Sequence[float]] = None,
    progress: StartProgress = Progress,
) -> list[Result]:
    """The latents whose images are nearest to pictures: a `Result` for each, with `.ws` and `.projected`.

    Args:
      network: a network file, a run folder (its newest network), "demo", or what `load_networks` returned.
      pictures: uint8 [N, h, w, C], as large as the images of the network (without the bars of letterboxed ones; the
        squares that stretched ones are).
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
    size, channels = projector.resolution, networks.best_generator.config.num_channels
    shape = crop_to_box(np.empty([1, size, size, channels]), networks.content_box).shape[1:]
    if pictures.dtype != np.uint8 or pictures.shape[1:] != shape:
        raise ValueError(f"expected uint8 [N, {str(shape)[1:-1]}], got {pictures.dtype} {list(pictures.shape)}")
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
    feature_extractor: str = INCEPTION,
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
      outdir: gets the files of `ResultFolder`; of several pictures a folder for each, and an overview. It must not be
        in the folder `target`.
      pictures: its max_images, fit (None: as the network's pictures were fitted), background, white and black.
      classes: see `class_label`; crop: leave the bars of letterboxed pictures out; video: also write projection.webp.
      note: takes a line for each result; warn: for pictures that are skipped.
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
    given = {name: getattr(pictures, name) for name in ("background", "white", "black")}
    targets = Targets(target, PictureOptions(size, channels, fit, **given), box, pictures.max_images, warn)
    _check_outdir(outdir, target)
    made_with = {"class": classes, "content_box": box, "fit": fit, "background": parse_background(pictures.background)}
    made_with.update(network_sha256=file_sha256(path), **distance.protocol(), **config.digest_fields())
    places = [outdir if targets.is_one_picture else outdir / name for name in targets.names]
    folders = [ResultFolder(place, targets.image(index), made_with) for index, place in enumerate(places)]
    for line in targets.lines():
        warn(line)
    todo = [index for index, folder in enumerate(folders) if not folder.has_result(video)]
    with progress(len(folders) * config.steps, "Projecting", "steps") as bar:
        done = (len(folders) - len(todo)) * config.steps
        bar.skip(done)
        rows = batch_size or projector.batch_size
        for first in range(0, len(todo), rows):
            chosen = todo[first : first + rows]
            images = np.stack([targets.image(index) for index in chosen])
            results, frames = _projected(projector, images, bar, done, video)
            for folder, result, recorded in zip((folders[index] for index in chosen), results, frames):
                folder.write(result, recorded)
                bar.clear()
                note(f"{folder.path}: distance {result.distance:.4g}, pixel error {result.pixel_error:.1f} of 255")
            done += len(chosen) * config.steps
    if not targets.is_one_picture:
        noise_shapes = generator.synthesis.noise_shapes(projector.resolution)
        write_overview(outdir, folders, projector.dlatent_shape, noise_shapes)


def _check_outdir(outdir: pathlib.Path, target: str) -> None:
    """UserError if results would replace the target, or be among the targets next time; OSError if not writable."""
    results, source = (pathlib.Path(os.path.realpath(os.path.expanduser(path))) for path in (outdir, target))
    if source.is_dir() and source in (results, *results.parents):
        raise UserError(f"`outdir` {outdir} is in the folder of the target pictures: give a folder outside it.")
    if source.parent == results and source.name.lower() in (*_FILES, _COMPARED, VIDEO):
        raise UserError(f"the results in `outdir` {outdir} would replace the target {target}: give another folder.")
    check_writable(outdir)


def choose_distance(image_distance: str, feature_extractor: str = INCEPTION) -> ImageDistance:
    """What projection minimises: "pixels", a file of LPIPS, or "features", those of `feature_extractor`."""
    extractor = load_extractor(feature_extractor) if image_distance == "features" else None
    return load_distance(image_distance, extractor)


def _projected(
    projector: Projector, targets: _Pixels, bar: Progress, done: int, video: bool = False
) -> tuple[list[Result], list[list[_Pixels]]]:
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
