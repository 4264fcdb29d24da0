"""Options of metrics: of `evaluate`, of the classifiers that linear separability needs, and of `nearest`."""

import dataclasses
from typing import Optional

from stylegan_tf.config.data import FITS
from stylegan_tf.config.option import GENERAL, Options, option
from stylegan_tf.config.training import FEATURE_EXTRACTOR_HELP, IMAGE_DISTANCE_HELP, INCEPTION

SEARCH = "Search"


@dataclasses.dataclass(frozen=True)
class EvaluationOptions(Options):
    """How networks or pictures are measured, whatever the metric."""

    all: bool = option(GENERAL, False, "Every network of a run folder, from the first to the last.")
    fit: Optional[str] = option(
        GENERAL, None, "How --images are brought to the size of those of --data_dir.", choices=FITS
    )
    feature_extractor: str = option(GENERAL, INCEPTION, FEATURE_EXTRACTOR_HELP)
    image_distance: Optional[str] = option(GENERAL, None, IMAGE_DISTANCE_HELP)
    classifiers: Optional[str] = option(
        GENERAL, None, "For ls: a folder of stylegan_tf.train_classifier, one file an attribute."
    )
    mirror_augment: Optional[bool] = option(
        GENERAL, None, "Real images count twice, plain and mirrored; left out: if the network was trained so."
    )
    per_class: bool = option(
        GENERAL, False, "Of networks with labels: also each class by itself, against its real images."
    )
    seed: int = option(GENERAL, 0, "Seed of latents and noise.", at_least=0, below=2**31)
    crop: bool = option(GENERAL, True, "If the pictures are letterboxed: compare them without the bars.")
    force: bool = option(GENERAL, False, "Recompute existing results.")
    batch_size: Optional[int] = option(
        GENERAL, None, "Images per device and call; left out: by resolution.", at_least=1
    )
    strategy: str = option(
        GENERAL,
        "auto",
        "Devices of this machine; auto: all GPUs, else the CPU.",
        choices=("auto", "one", "mirrored"),
    )
    cache_dir: Optional[str] = option(
        GENERAL,
        None,
        "Folder for statistics of real images and for unfinished computations; left out: ~/.cache/stylegan_tf.",
    )


@dataclasses.dataclass(frozen=True)
class ClassifierTraining(Options):
    """How a classifier is trained: Adam (beta1 0, beta2 0.99, epsilon 1e-8) at a constant learning rate."""

    total_images: int = option(GENERAL, 150_000, "Images to train each classifier on, with repetition.", at_least=1)
    batch_size: int = option(GENERAL, 8, "Images per step.", at_least=1)
    learning_rate: float = option(GENERAL, 0.001, "Of Adam.", above=0)
    fmap_base: int = option(GENERAL, 8192, "Width of the network: 2 * fmap_base / resolution channels, ...", at_least=1)
    fmap_max: int = option(GENERAL, 512, "... but at most so many.", at_least=1)
    seed: int = option(GENERAL, 0, "Of the weights and of the order of the images.", at_least=0, below=2**32)


@dataclasses.dataclass(frozen=True)
class NearestOptions(Options):
    """The search for the nearest real images of generated or given ones."""

    neighbours: int = option(
        SEARCH, 5, "Real images in a row of the picture, and of the table.", at_least=1, at_most=50
    )
    rows: int = option(SEARCH, 8, "Rows of the picture; the table and the conclusion have all images.", at_least=1)
    compare_size: int = option(SEARCH, 64, "Pixels and LPIPS are compared at this size at most.", at_least=16)
    reference_images: int = option(
        SEARCH,
        1000,
        "Without held-out images: real images whose distances to each other are the reference.",
        at_least=2,
    )
    seed: int = option(SEARCH, 0, "Of the bootstrap.", at_least=0)
    image_distance: str = option(
        SEARCH,
        "pixels",
        "pixels (root mean square, of 255), features of --feature_extractor, or a file of stylegan_tf.build_lpips.",
    )
    feature_extractor: str = option(SEARCH, INCEPTION, FEATURE_EXTRACTOR_HELP)
