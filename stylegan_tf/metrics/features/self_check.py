"""Checks that a feature extractor notices degradations: real images against progressively degraded real images."""

from collections.abc import Iterator
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image, ImageFilter

from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import ReplicatedFunction, create_strategy
from stylegan_tf.metrics.features.extractors import FeatureExtractor, load_extractor
from stylegan_tf.metrics.kinds.feature_distances import FeatureMoments, frechet_distance, kernel_distance
from stylegan_tf.metrics.kinds.sample_quality import precision_and_recall
from stylegan_tf.metrics.real_images import RealImages

BLUR_RADII = (0.5, 1.0, 2.0)  # Pixels.
NOISE_DEVIATIONS = (6, 18, 54)  # Out of 255.
KEPT_SHARES = (0.75, 0.5, 0.25)
_ROWS = 32


class Check(NamedTuple):
    """One comparison with the reference half."""

    degradation: str  # "nothing", "blur", "noise" or "dropped modes".
    level: float  # Radius, standard deviation, or share of the images that is kept.
    fid: float
    kid: float
    kid_error: float
    precision: float
    recall: float


def check_features(
    data_dir: str,
    feature_extractor: str,
    count: int = 4096,
    resolution: Optional[int] = None,
    seed: int = 0,
    note: Note = ignore,
    progress: StartProgress = Progress,
) -> list[Check]:
    """`self_check` of a feature extractor on a dataset; notes a table, a line for each comparison.

    Args:
      count: how many of the first images to use, at least 80; resolution: level of the dataset, None: the full one.
    """
    info = find_dataset(data_dir)
    reals = RealImages(info, resolution or info.resolution)
    count = reals.count(count)
    if count < 80:
        raise UserError(f"{data_dir} has {count} images, at least 80 are needed.")
    strategy = create_strategy("auto")
    with strategy.scope():
        extractor = load_extractor(feature_extractor)
    images = np.concatenate(list(reals.batches(0, count, 256)))
    note(f"{extractor.name} ({extractor.resize}), {count // 2} images of {info.name} against {count // 2} others")
    note(f"{'degradation':<14}{'level':>7}{'FID':>10}{'KID':>10}{'+-':>9}{'precision':>11}{'recall':>8}")
    checks = []
    for check in self_check(images, extractor, strategy, seed, progress):
        checks.append(check)
        note(
            f"{check.degradation:<14}{check.level:>7g}{check.fid:>10.3f}{check.kid:>10.5f}{check.kid_error:>9.5f}"
            f"{check.precision:>11.3f}{check.recall:>8.3f}"
        )
    return checks


def self_check(
    images: np.ndarray, extractor: FeatureExtractor, strategy, seed: int = 0, progress: StartProgress = Progress
) -> Iterator[Check]:
    """Compares one random half of uint8 [N, R, R, C] with the other, as it is and degraded.

    The first result is the floor: the distance of two finite samples of one distribution.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    half = len(images) // 2
    reference, other = images[order[:half]], images[order[half : 2 * half]]
    cases = [("nothing", 0.0, other), *degraded(other, seed)]
    compute = ReplicatedFunction(strategy, extractor, _ROWS)
    with progress(half * (len(cases) + 1), "Features", "images") as bar:
        expected = _features(reference, compute, bar, 0)
        for index, (degradation, level, changed) in enumerate(cases):
            features = _features(changed, compute, bar, half * (index + 1))
            bar.clear()
            fid = frechet_distance(*_moments(expected), *_moments(features))
            precision, recall = precision_and_recall(expected, features)
            yield Check(degradation, level, fid, *kernel_distance(expected, features, seed), precision, recall)


def degraded(images: np.ndarray, seed: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """(degradation, level, images), from slight to severe for each kind; the number of images is unchanged."""
    for radius in BLUR_RADII:
        yield "blur", radius, blurred(images, radius)
    for deviation in NOISE_DEVIATIONS:
        yield "noise", float(deviation), noisy(images, deviation, seed)
    for share in KEPT_SHARES:
        yield "dropped modes", share, darkest(images, share)


def blurred(images: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur; radius: its standard deviation in pixels."""
    blur = ImageFilter.GaussianBlur(radius)
    gray = images.shape[-1] == 1
    pictures = (Image.fromarray(image[:, :, 0] if gray else image).filter(blur) for image in images)
    return np.stack([np.asarray(picture) for picture in pictures]).reshape(images.shape)


def noisy(images: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """White noise of the given standard deviation, of 255."""
    noise = np.random.default_rng(seed).normal(0, deviation, images.shape)
    return np.clip(np.round(images + noise), 0, 255).astype(np.uint8)


def darkest(images: np.ndarray, share: float) -> np.ndarray:
    """The darkest share of the images, repeated to the same number: a generator that has dropped the other modes."""
    order = np.argsort(images.mean(axis=(1, 2, 3)), kind="stable")[: max(1, round(share * len(images)))]
    return images[np.resize(order, len(images))]


def _features(images, compute, bar, done):
    rows = []
    for first in range(0, len(images), compute.total_rows):
        rows.append(compute(images[first : first + compute.total_rows])["features"])
        bar.update(done + first + len(rows[-1]))
    return np.concatenate(rows)


def _moments(features):
    moments = FeatureMoments(features.shape[1])
    moments.update(features)
    return moments.mean_and_covariance()
