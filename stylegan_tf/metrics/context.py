"""What a metric gets to work with."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.metrics.attribute_classifiers import AttributeClassifiers
from stylegan_tf.metrics.features.extractors import FeatureExtractor
from stylegan_tf.metrics.features.image_distance import ImageDistance
from stylegan_tf.metrics.images.folder import FolderPictures
from stylegan_tf.metrics.images.generated import GeneratedImages
from stylegan_tf.metrics.images.real import RealImages
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables


@dataclasses.dataclass(frozen=True)
class MetricContext:
    """What is measured, a network or pictures, and what with. All metrics of one network share it."""

    generator: Optional[Generator]  # None: `pictures` are measured.
    strategy: tf.distribute.Strategy
    seed: int  # 0 to 2^31 - 1; latents, noise and everything else that is random come from it.
    cache_folder: pathlib.Path  # Statistics of real images, and unfinished passes.
    reals: Optional[RealImages] = None  # None: no dataset was given; enough for path length and Inception score.
    extractor: Optional[FeatureExtractor] = None
    distance: Optional[ImageDistance] = None  # For path length.
    classifiers: Optional[AttributeClassifiers] = None  # For separability.
    training_growth: Optional[Growth] = None  # Of a network in training; None: what the network says itself.
    batch_size: Optional[int] = None  # Images per replica and call; None: by resolution.
    pictures: Optional[FolderPictures] = None
    content_box: Optional[Sequence[float]] = None  # What counts of letterboxed images, see `crop_to_box`; None: all.

    @property
    def growth(self) -> Growth:
        return self.training_growth or self.generator.growth

    @property
    def rows(self) -> int:
        """Images per replica and call: 32 up to 128x128, 4 from 1024x1024."""
        side = max(self.pictures.size) if self.generator is None else self.generator.config.resolution
        return self.batch_size or max(4, min(32, 4096 // side))

    @property
    def label_size(self) -> int:
        return 0 if self.generator is None else self.generator.config.label_size

    def count(self, wanted: int) -> int:
        """Images that a metric on `wanted` ones looks at: all, if there are fewer pictures."""
        return wanted if self.generator is not None else min(wanted, len(self.pictures))

    def source(self, mixed_latents: int = 1) -> Union[GeneratedImages, FolderPictures]:
        """The images that are measured."""
        if self.generator is None:
            return self.pictures
        return GeneratedImages(self.generator, self.seed, self.labels, self.growth, mixed_latents)

    @functools.cached_property
    def network_digest(self) -> str:
        """Of the network as it is when it is first asked for: training makes a new context every time."""
        return network_digest(self.generator)

    @property
    def labels(self) -> Optional[np.ndarray]:
        """Those of the dataset, for a network with labels to draw from: float32 [records, label_size]; else None."""
        return self.reals.labels() if self.reals and self.label_size else None

    def protocol(self) -> dict:
        """What results depend on, whatever the metric: part of every record."""
        if self.generator is None:
            return {"pictures_digest": self.pictures.digest, "seed": self.seed}
        return {
            "network_digest": self.network_digest,
            "resolution": self.growth.resolution,
            "alpha": float(self.growth.alpha),
            "precision": _precision(self.generator),
            "seed": self.seed,
        }


def _precision(generator: Generator) -> str:
    """What the layers compute in: float32 for every network file, perhaps less for a network in training."""
    return "+".join(sorted({layer.compute_dtype for layer in generator.synthesis.to_rgb.values()}))


def default_cache_folder() -> pathlib.Path:
    """~/.cache/stylegan_tf, or where XDG_CACHE_HOME says."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "stylegan_tf"


def network_digest(generator: Generator) -> str:
    """SHA-256 of the options and of all variables: the same network has the same one in memory and in any file."""
    digest = hashlib.sha256(json.dumps(generator.config.to_dict(), sort_keys=True).encode())
    for name, variable in sorted(named_variables(generator).items()):
        digest.update(name.encode() + variable.numpy().tobytes())
    return digest.hexdigest()
