"""The context of metrics: what is measured, and the models and data that it is measured with."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config.callbacks import Progress, StartProgress
from stylegan_tf.metrics.attribute_classifiers import AttributeClassifiers
from stylegan_tf.metrics.features.extractors import FeatureExtractor
from stylegan_tf.metrics.features.image_distance import ImageDistance
from stylegan_tf.metrics.measured_images import FolderPictures, GeneratedImages
from stylegan_tf.metrics.real_images import RealImages
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables


@dataclasses.dataclass(frozen=True)
class MetricContext:
    """Shared by all metrics of one network, or of one set of pictures."""

    generator: Optional[Generator]  # None: `pictures` are measured.
    strategy: tf.distribute.Strategy
    seed: int  # For latents, noise and all else that is random: 0 to 2^31 - 1.
    cache_folder: pathlib.Path  # For statistics of real images and unfinished passes.
    reals: Optional[RealImages] = None  # None: no dataset; enough for path length and Inception score.
    extractor: Optional[FeatureExtractor] = None
    distance: Optional[ImageDistance] = None  # For path length.
    classifiers: Optional[AttributeClassifiers] = None  # For separability.
    training_growth: Optional[Growth] = None  # Growth of a network in training; None: the network's own.
    batch_size: Optional[int] = None  # Images per replica and call; None: by resolution.
    pictures: Optional[FolderPictures] = None
    content_box: Optional[Sequence[float]] = None  # For letterboxed images, see `crop_to_box`; None: all is measured.
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # About what is measured, for the records.
    progress: StartProgress = Progress

    @property
    def growth(self) -> Growth:
        return self.training_growth or self.generator.growth

    @property
    def replica_batch(self) -> int:
        """Images per replica and call: 32 up to 128x128, 4 from 1024x1024."""
        side = max(self.pictures.size) if self.generator is None else self.generator.config.resolution
        return self.batch_size or max(4, min(32, 4096 // side))

    @property
    def label_size(self) -> int:
        return 0 if self.generator is None else self.generator.config.label_size

    def count(self, wanted: int) -> int:
        """Images that a metric on `wanted` images uses: all, if there are fewer pictures."""
        return wanted if self.generator is not None else min(wanted, len(self.pictures))

    def source(self, mixed_latents: int = 1) -> Union[GeneratedImages, FolderPictures]:
        """The images that are measured."""
        if self.generator is None:
            return self.pictures
        return GeneratedImages(self.generator, self.seed, self.labels, self.growth, mixed_latents)

    @functools.cached_property
    def network_digest(self) -> str:
        """Digest of the network when first accessed: training makes a new context for every measurement."""
        return network_digest(self.generator)

    @property
    def labels(self) -> Optional[np.ndarray]:
        """Those of the dataset, for a network with labels to draw from: float32 [records, label_size]; else None."""
        return self.reals.labels() if self.reals and self.label_size else None

    @property
    def box_suffix(self) -> str:
        """Suffix of names of results on images of which only a part is measured."""
        return "-cropped" if self.content_box else ""

    def box_protocol(self) -> dict:
        """What results on images depend on, besides `protocol`."""
        return {"content_box": list(self.content_box)} if self.content_box else {}

    def protocol(self) -> dict:
        """What all results depend on, whatever the metric: part of every record."""
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
    """The compute dtype of the layers: float32 for network files, possibly a half precision in training."""
    return "+".join(sorted({layer.compute_dtype for layer in generator.synthesis.to_rgb.values()}))


def network_digest(generator: Generator) -> str:
    """SHA-256 of the options and of all variables: the same for a network in memory and in any file."""
    digest = hashlib.sha256(json.dumps(generator.config.digest_fields(), sort_keys=True).encode())
    for name, variable in sorted(named_variables(generator).items()):
        digest.update(name.encode() + variable.numpy().tobytes())
    return digest.hexdigest()
