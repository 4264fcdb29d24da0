"""The nearest real images of others, and whether a network repeats its training images.

Distances are Euclidean, between vectors of the images (`ImageVectors`). The search is exact; real images pass by in
blocks, of which nothing but the nearest is kept.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config import NearestOptions, PictureOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.files.atomic_write import write_json
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.features.image_distance import load_lpips
from stylegan_tf.metrics.measured_images import open_pictures
from stylegan_tf.metrics.real_images import RealImages
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import as_rgb, check_picture_path, save_image
from stylegan_tf.visualize.tile_table import Band, tile_table

_BATCH = 64  # Real images at a time.
_RESAMPLES = 2000
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)


class ImageVectors:
    """uint8 images [n, R, R, C] -> float32 [n, D].

    Args:
      handle: "pixels" in [0, 255], as root mean square; "features" of `feature_extractor`; or a file of
        `stylegan_tf.build_lpips`, whose squared distances are LPIPS.
      size: larger images are shrunk to it (means of boxes) for pixels and LPIPS.
    """

    def __init__(self, handle: str, feature_extractor: str, size: int):
        self._size = size
        self.name = handle if handle in ("pixels", "features") else "lpips"
        self._extractor = load_extractor(feature_extractor) if handle == "features" else None
        self._lpips = load_lpips(handle).compute if self.name == "lpips" else None
        self._traced = tf.function(self._vectors, autograph=False, reduce_retracing=True)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self._traced(images).numpy()

    def _vectors(self, images):
        if self._extractor:
            return self._extractor(images)["features"]
        images = tf.cast(images, tf.float32)
        factor = -(-images.shape[1] // self._size)
        if factor > 1:
            images = tf.nn.avg_pool2d(images, factor, factor, "SAME")
        if self._lpips:
            images = tf.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
            return self._lpips.vectors(images / 127.5 - 1.0)
        return tf.reshape(images, [tf.shape(images)[0], -1]) / np.sqrt(np.prod(images.shape[1:]))


def nearest_rows(
    queries: np.ndarray, blocks: Iterable[np.ndarray], count: int, own: Optional[np.ndarray] = None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest rows of queries [Q, D] among all rows of `blocks` [n, D]: (distances, row numbers), [Q, count].

    own: [Q], a row of each query that is not to be found: the query itself. Of equally near rows the first counts.
    Missing ones (fewer rows than `count`) have distance inf and number -1.
    """
    from sklearn.metrics.pairwise import euclidean_distances  # Late: it takes a second to import.

    found, numbers = np.full([len(queries), count], np.inf), np.full([len(queries), count], -1)
    first = 0
    for block in blocks:
        distances = euclidean_distances(queries, block)  # Computed in float64 also for float32.
        here = np.broadcast_to(np.arange(first, first + len(block)), distances.shape)
        if own is not None:
            distances[here == own[:, None]] = np.inf
        both = np.concatenate([found, distances], axis=1)
        order = np.argsort(both, axis=1, kind="stable")[:, :count]
        found = np.take_along_axis(both, order, axis=1)
        numbers = np.take_along_axis(np.concatenate([numbers, here], axis=1), order, axis=1)
        first += len(block)
    numbers[np.isinf(found)] = -1
    return found, numbers


def vector_blocks(reals: RealImages, vectors: ImageVectors, progress: StartProgress = Progress) -> Iterator[np.ndarray]:
    """Vectors of all images of a dataset, in order."""
    count, done = reals.count(reals.info.count), 0
    with progress(count, "Real", "images") as bar:
        for images in reals.batches(0, count, _BATCH):
            yield vectors(images)
            done += len(images)
            bar.update(done)


def images_at(reals: RealImages, numbers: Iterable[int]) -> dict[int, np.ndarray]:
    """Record number -> uint8 [R, R, C], in one pass over the dataset."""
    wanted, found, first = set(numbers), {}, 0
    for images in reals.batches(0, max(wanted) + 1, _BATCH):
        found.update({first + row: image for row, image in enumerate(images) if first + row in wanted})
        first += len(images)
    return found


@dataclasses.dataclass(frozen=True)
class Memorization:
    """Whether generated images lie nearer to training images than chance explains."""

    share: float
    low: float  # 95 % interval of the share.
    high: float
    expected: float  # Share for a network that does not memorise.
    sentence: str


class Nearest(NamedTuple):
    """The nearest training images of Q images, in order, and what follows from their distances."""

    distances: np.ndarray  # [Q, neighbours]; inf where there are fewer training images.
    numbers: np.ndarray  # Numbers of their records; -1 for none.
    reference: np.ndarray  # Distances of the images to held-out ones, or of training images to each other.
    conclusion: Memorization


def find_nearest(
    images: np.ndarray,
    vectors: ImageVectors,
    training: RealImages,
    held_out: Optional[RealImages],
    options: NearestOptions,
    progress: StartProgress = Progress,
) -> Nearest:
    """images: uint8 [Q, R, R, C]."""
    queries = [vectors(images[first : first + _BATCH]) for first in range(0, len(images), _BATCH)]
    own = np.full([len(images)], -1)
    if held_out is None:  # Training images search along with the others, each for its nearest other one.
        chosen = np.unique(np.linspace(0, training.info.count - 1, options.reference_images).astype(int))
        reals = images_at(training, chosen.tolist())
        for first in range(0, len(chosen), _BATCH):
            queries.append(vectors(np.stack([reals[number] for number in chosen[first : first + _BATCH].tolist()])))
        own = np.concatenate([own, chosen])
    rows = np.concatenate(queries)
    distances, numbers = nearest_rows(rows, vector_blocks(training, vectors, progress), options.neighbours, own)
    distances, reference = distances[: len(images)], distances[len(images) :, 0]
    if held_out is None:
        conclusion = against_reals(distances[:, 0], reference, options.seed)
    else:
        reference = nearest_rows(rows, vector_blocks(held_out, vectors, progress), 1)[0][:, 0]
        conclusion = against_held_out(distances[:, 0], reference, (training.info.count, held_out.info.count))
    return Nearest(distances, numbers[: len(images)], reference, conclusion)


def against_held_out(training: np.ndarray, held_out: np.ndarray, sizes: tuple[int, int]) -> Memorization:
    """training, held_out: [Q], distances to the nearest image of each set; sizes: of the sets.

    If the generator knows the training images no better than the held-out ones, the nearest image of both sets together
    is any of them with the same probability. The interval is Clopper and Pearson's; ties count half.
    """
    nearer = (training < held_out).sum() + 0.5 * (training == held_out).sum()
    count, expected = len(training), sizes[0] / sum(sizes)
    share, (low, high) = nearer / count, _binomial_interval(nearer, count)
    evidence = "evidence that the network repeats training images, provided that both sets come from one source."
    text = (
        f"{share:.1%} of {count} images (95 % interval {low:.1%} to {high:.1%}) are nearer to a training image than to "
        f"any held-out one; {expected:.1%} are expected without memorisation"
    )
    return Memorization(share, low, high, expected, f"{text}: {_conclusion(low, high, expected, evidence)}")


def against_reals(generated: np.ndarray, reals: np.ndarray, seed: int = 0) -> Memorization:
    """generated: [Q], distances to the nearest training image; reals: [M], of training images to their nearest other.

    The share of pairs in which the generated image is the nearer one, ties half (Mann and Whitney's U); the interval is
    a bootstrap's over both samples. Other than with held-out images, a share below a half does not prove variety, and
    one above may come from images that are simpler than the real ones.
    """
    random, ordered = np.random.default_rng(seed), np.sort(reals)
    ranks = 0.5 * (np.searchsorted(ordered, generated, "left") + np.searchsorted(ordered, generated, "right"))
    share = 1 - ranks.mean() / len(reals)
    samples = []
    for _ in range(_RESAMPLES):
        some, others = random.choice(generated, len(generated)), np.sort(random.choice(reals, len(reals)))
        below = np.searchsorted(others, some, "left") + np.searchsorted(others, some, "right")
        samples.append(1 - 0.5 * below.mean() / len(reals))
    low, high = np.quantile(samples, [0.025, 0.975])
    evidence = "evidence that it repeats training images, or that its images are simpler than real ones."
    text = (
        f"a generated image is nearer to its nearest training image than a training image to its nearest other in "
        f"{share:.1%} of pairs (95 % interval {low:.1%} to {high:.1%}; {len(generated)} against {len(reals)} images); "
        "50.0% are expected of new images of the same distribution"
    )
    return Memorization(share, float(low), float(high), 0.5, f"{text}: {_conclusion(low, high, 0.5, evidence)}")


def _conclusion(low, high, expected, evidence):
    if low > expected:
        return evidence
    return (
        "no evidence of memorisation."
        if high >= expected
        else ("no evidence of memorisation, but the images are farther from the training set than chance explains.")
    )


def _binomial_interval(successes, count):
    from scipy.stats import beta

    low = beta.ppf(0.025, successes, count - successes + 1) if successes else 0.0
    high = beta.ppf(0.975, successes + 1, count - successes) if successes < count else 1.0
    return float(low), float(high)


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
    reading: PictureOptions = PictureOptions(),
) -> Nearest:
    """Writes a picture of the nearest real images, and their numbers and distances; notes the conclusion.

    Args:
      source: a network, whose images of `seeds` are searched for, or the place of pictures of the dataset's size.
      held_out_dir: a dataset of the same source as `data_dir` that the network has not seen.
      reading: how pictures are fitted, and their white and black.
      output: the picture; table: a file for all distances, .json.
    """
    check_picture_path(output)
    infos = [find_dataset(folder) for folder in (data_dir, held_out_dir) if folder]
    if isinstance(source, str):
        pictures, _ = open_pictures(source, infos[0], reading, note=note)
        names, (images,) = [str(number) for number in range(len(pictures))], pictures.inputs(0, len(pictures))
        for line in pictures.lines():
            note(line)
    else:
        names, ws = [f"seed {seed}" for seed in seeds], source.dlatents(source.latents(seeds))
        images = np.concatenate(list(source.images_of_dlatents(ws)))
    if {info.num_channels for info in infos} != {images.shape[3]}:
        raise UserError(f"the images have {images.shape[3]} channel(s), those of the dataset {infos[0].num_channels}.")
    vectors = ImageVectors(options.image_distance, options.feature_extractor, options.compare_size)
    training, *held_out = (RealImages(info, images.shape[1]) for info in infos)
    found = find_nearest(images, vectors, training, held_out[0] if held_out else None, options, progress)
    note(f"{vectors.name}: {found.conclusion.sentence}")
    if table:
        kind = "to_held_out" if held_out_dir else "real_to_real"
        _write_table(pathlib.Path(table), vectors.name, kind, names, found)
        note(table)
    save_image(_picture(training, images, names, found, options.rows), output)
    note(os.fspath(output))
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
    write_json(path, content)
