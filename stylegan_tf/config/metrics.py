"""Options for `evaluate`, for the classifiers that linear separability needs, and for `nearest`."""

import dataclasses
from typing import Optional

from stylegan_tf.config.data import FITS
from stylegan_tf.config.option import Options, option
from stylegan_tf.config.training import FEATURE_EXTRACTOR_HELP, IMAGE_DISTANCE_HELP, INCEPTION


@dataclasses.dataclass(frozen=True)
class EvaluationOptions(Options):
    """How networks or pictures are measured, independent of the metric."""

    all: bool = option(False, "Measure every network of a run folder, from the first to the last.")
    fit: Optional[str] = option(None, "How --images are fitted to the size of the images of --data_dir.", choices=FITS)
    feature_extractor: str = option(INCEPTION, FEATURE_EXTRACTOR_HELP)
    image_distance: Optional[str] = option(None, IMAGE_DISTANCE_HELP)
    classifiers: Optional[str] = option(
        None, "For ls: a folder written by stylegan_tf.train_classifier, with one file per attribute."
    )
    mirror_augment: Optional[bool] = option(
        None, "Use every real image twice, unchanged and mirrored. Default: as the network was trained."
    )
    per_class: bool = option(
        False, "For networks with labels: also measure each class separately, against the real images of that class."
    )
    seed: int = option(0, "Seed of the latents and the noise.", at_least=0, below=2**31)
    crop: bool = option(True, "Compare letterboxed pictures without their bars.")
    force: bool = option(False, "Compute results again even if they exist.")
    batch_size: Optional[int] = option(
        None, "Number of images per device and call. Default: chosen by resolution.", at_least=1
    )
    strategy: str = option(
        "auto",
        "Devices to use on this machine: one, mirrored (all GPUs), or auto (all GPUs if there are any, else the CPU).",
        choices=("auto", "one", "mirrored"),
    )
    cache_dir: Optional[str] = option(
        None, "Folder for statistics of real images and unfinished computations. Default: ~/.cache/stylegan_tf."
    )


@dataclasses.dataclass(frozen=True)
class ClassifierTraining(Options):
    """How a classifier is trained: Adam (beta1 0, beta2 0.99, epsilon 1e-8) at a constant learning rate."""

    total_images: int = option(
        150_000, "Number of images on which each classifier is trained, counting repetitions.", at_least=1
    )
    batch_size: int = option(8, "Number of images per training step.", at_least=1)
    learning_rate: float = option(0.001, "Learning rate of Adam.", above=0)
    fmap_base: int = option(8192, "Channels at resolution r are min(2 * fmap_base / r, fmap_max).", at_least=1)
    fmap_max: int = option(512, "Maximum number of channels of a layer.", at_least=1)
    seed: int = option(0, "Seed of the initial weights and of the order of the images.", at_least=0, below=2**32)


@dataclasses.dataclass(frozen=True)
class NearestOptions(Options, group="Search"):
    """The search for the real images nearest to generated or given ones."""

    neighbours: int = option(5, "Number of nearest real images shown for each image.", at_least=1, at_most=50)
    rows: int = option(8, "Number of rows of the picture; the table and the conclusion cover all images.", at_least=1)
    compare_size: int = option(
        64, "Maximum size in pixels at which images are compared by pixels or LPIPS.", at_least=16
    )
    reference_images: int = option(
        1000,
        "Number of real images whose distances to each other serve as the reference when there are no held-out images.",
        at_least=2,
    )
    seed: int = option(0, "Seed of the bootstrap.", at_least=0)
    image_distance: str = option(
        "pixels",
        "Distance between images: pixels (root mean square difference, on a scale of 0 to 255), features (those of "
        "--feature_extractor), or a file written by stylegan_tf.build_lpips (LPIPS, best for photos).",
    )
    feature_extractor: str = option(INCEPTION, FEATURE_EXTRACTOR_HELP)
