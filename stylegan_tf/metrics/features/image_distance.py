"""Distances of images, for perceptual path length and projection."""

import dataclasses
from typing import Callable

import tensorflow as tf

PAPERS = "lpips_vgg16"


@dataclasses.dataclass(frozen=True)
class ImageDistance:
    """Two batches of float32 images [n, h, w, 3], about [-1, 1] -> distances float32 [n]."""

    name: str  # Distinguishes results; "lpips_vgg16" is the paper's.
    digest: str  # SHA-256 of the weights.
    compute: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

    @property
    def suffix(self) -> str:
        """What names of results end in, so that numbers that cannot be compared do not look alike."""
        return "" if self.name == PAPERS else f"-{self.name}"

    def protocol(self) -> dict:
        return {"distance": self.name, "distance_digest": self.digest}

    def __call__(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return self.compute(first, second)


def feature_distance(extractor) -> ImageDistance:
    """The squared Euclidean distance of the features of a `FeatureExtractor`. Not LPIPS, and not on its scale.

    The extractor gets float images in [0, 255] that are not rounded: a step on the path is smaller than one level.
    """

    def compute(first, second):
        images = (tf.concat([first, second], axis=0) + 1.0) * 127.5
        features = extractor(images)["features"]
        first, second = tf.split(features, 2)
        return tf.reduce_sum(tf.math.squared_difference(first, second), axis=-1)

    return ImageDistance(f"{extractor.name}_squared", extractor.digest, compute)


def pixel_distance() -> ImageDistance:
    """The mean squared difference of pixels in [-1, 1]."""

    def compute(first, second):
        return tf.reduce_mean(tf.math.squared_difference(first, second), axis=[1, 2, 3])

    return ImageDistance("pixels_squared", "", compute)
