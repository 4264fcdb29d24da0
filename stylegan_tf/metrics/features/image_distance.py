"""Distances of two images: of pixels, of features, and LPIPS (Zhang et al., CVPR 2018) on VGG16, version 0.1.

Sum over five layers of VGG16 of: mean over pixels of the weighted squared difference of features, which are scaled
to unit length over their channels first. The weights of the channels are learned, one vector a layer.

This package ships no weights. `stylegan_tf.build_lpips` combines two files that users obtain themselves, ImageNet's
VGG16 and the learned vectors (`convert_weights`), into one that `load_lpips` reads.
"""

import dataclasses
import hashlib
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Callable

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.arrays import check_finite, read_described, write_arrays
from stylegan_tf.files.file_errors import reading
from stylegan_tf.files.torch_weights import read_torch_weights

PAPERS = "lpips_vgg16"
_HEADS_IN_WHEEL = "lpips/weights/v0.1/vgg.pth"
FORMAT = "LPIPS-VGG16, version 0.1"
# Name in our files -> index in torchvision's `features`, and channels.
CONVOLUTIONS = {
    "conv1_1": (0, 3, 64),
    "conv1_2": (2, 64, 64),
    "conv2_1": (5, 64, 128),
    "conv2_2": (7, 128, 128),
    "conv3_1": (10, 128, 256),
    "conv3_2": (12, 256, 256),
    "conv3_3": (14, 256, 256),
    "conv4_1": (17, 256, 512),
    "conv4_2": (19, 512, 512),
    "conv4_3": (21, 512, 512),
    "conv5_1": (24, 512, 512),
    "conv5_2": (26, 512, 512),
    "conv5_3": (28, 512, 512),
}
_COMPARED = {name: index for index, name in enumerate(("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"))}
MIN_IMAGE_SIZE = 16  # Four poolings leave one pixel.
# ImageNet's mean and standard deviation, for images in [-1, 1].
_MEAN = np.float32([-0.030, -0.088, -0.188])
_DEVIATION = np.float32([0.458, 0.448, 0.450])
_EPSILON = 1e-10


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


class Lpips(tf.Module):
    """Two batches of RGB images [n, h, w, 3] in [-1, 1], at least 16x16 -> distances float32 [n]."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """arrays: of a file, see `convert_weights`."""
        super().__init__(name="lpips")
        self._weights = {name: tf.Variable(value, trainable=False) for name, value in arrays.items()}

    def __call__(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([tf.shape(first)[0]])
        for features, weights in self._layers(tf.concat([first, second], axis=0)):
            difference = tf.square(tf.subtract(*tf.split(features, 2)))
            total += tf.reduce_mean(tf.linalg.matvec(difference, weights), axis=[1, 2])
        return total

    def vectors(self, images: tf.Tensor) -> tf.Tensor:
        """[n, D], whose squared Euclidean distances are those of the images; the learned weights are not negative."""
        parts = []
        for features, weights in self._layers(images):
            scaled = features * tf.sqrt(tf.maximum(weights, 0.0) / (features.shape[1] * features.shape[2]))
            parts.append(tf.reshape(scaled, [-1, np.prod(features.shape[1:])]))
        return tf.concat(parts, axis=1)

    def _layers(self, images):
        """Yields features [n, h, w, C] of unit length, and the weights [C] of their channels."""
        if images.shape[1] is not None and min(images.shape[1:3]) < MIN_IMAGE_SIZE:
            raise UserError(f"LPIPS needs images of at least {MIN_IMAGE_SIZE} pixels, got {images.shape[1:3]}.")
        if images.shape[-1] != 3:
            raise UserError(f"LPIPS compares images of 1 or 3 channels, these have {images.shape[-1]}.")
        x = (images - _MEAN) / _DEVIATION
        for name in CONVOLUTIONS:
            if name.endswith("_1") and name != "conv1_1":
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            x = tf.nn.conv2d(x, self._weights[f"{name}/weight"], 1, "SAME") + self._weights[f"{name}/bias"]
            x = tf.nn.relu(x)
            if name in _COMPARED:
                features = x / (tf.norm(x, axis=-1, keepdims=True) + _EPSILON)
                yield features, self._weights[f"head{_COMPARED[name] + 1}"]


def build_lpips(vgg16: str, heads: str, dest: str) -> None:
    """Combines torchvision's file of VGG16 and the learned vectors, a .pth or the lpips package's .whl, into `dest`."""
    with tempfile.TemporaryDirectory() as scratch:
        learned = read_torch_weights(_heads_file(heads, pathlib.Path(scratch)))
    save_lpips(pathlib.Path(dest), convert_weights(read_torch_weights(vgg16), learned))


def _heads_file(path: str, scratch: pathlib.Path) -> pathlib.Path:
    """The file itself, or a copy of the one in a wheel."""
    if not path.endswith(".whl"):
        return pathlib.Path(path)
    with reading(path, "wheel of the lpips package"), zipfile.ZipFile(path) as wheel:
        return pathlib.Path(wheel.extract(_HEADS_IN_WHEEL, scratch))


def convert_weights(vgg16: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """-> arrays of our files: `conv1_1/weight` [3, 3, in, out], `conv1_1/bias` [out], ..., `head1` [64], ..., `head5`.

    Args:
      vgg16: torchvision's VGG16 without batch norm: `features.0.weight` [out, in, 3, 3], ...; others are ignored.
      heads: `lin0.model.1.weight` [1, 64, 1, 1], ..., `lin4.model.1.weight`.
    Raises:
      UserError naming the first array that is missing or has another shape.
    """
    arrays = {}
    for name, (index, inputs, outputs) in CONVOLUTIONS.items():
        weight = _checked(vgg16, f"features.{index}.weight", (outputs, inputs, 3, 3), "the file of VGG16")
        arrays[f"{name}/weight"] = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
        arrays[f"{name}/bias"] = _checked(vgg16, f"features.{index}.bias", (outputs,), "the file of VGG16")
    for name, index in _COMPARED.items():
        channels = CONVOLUTIONS[name][2]
        head = _checked(heads, f"lin{index}.model.1.weight", (1, channels, 1, 1), "the file of heads")
        arrays[f"head{index + 1}"] = head.reshape(channels)
    return arrays


def save_lpips(path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a file for `load_lpips`."""
    write_arrays(path, "format", {"format": FORMAT}, arrays)


def load_lpips(path) -> ImageDistance:
    """The distance of a file of `stylegan_tf.build_lpips`; call it in the scope of the strategy that it is to run in.

    Raises UserError if it is not such a file, or damaged.
    """
    path = pathlib.Path(path)
    hint = "make one with python -m stylegan_tf.build_lpips"
    if not path.is_file():
        raise UserError(f"{path} does not exist: {hint}.")
    description, entries = read_described(path, "LPIPS file", "format", hint)
    if description.get("format") != FORMAT:
        raise UserError(f"{path} is an LPIPS file of another version: {hint}.")
    check_finite(path, entries)
    arrays = {}
    for name, shape in _shapes().items():
        arrays[name] = _checked(entries, name, shape, str(path))
    digest = hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()
    return ImageDistance("lpips_vgg16", digest, Lpips(arrays))


def load_distance(handle: str, extractor=None) -> ImageDistance:
    """The distance of option `image_distance`: "features" (of `extractor`), "pixels", or a file for `load_lpips`."""
    if handle == "pixels":
        return pixel_distance()
    return feature_distance(extractor) if handle == "features" else load_lpips(handle)


def _shapes() -> dict[str, tuple]:
    shapes = {}
    for name, (_, inputs, outputs) in CONVOLUTIONS.items():
        shapes.update({f"{name}/weight": (3, 3, inputs, outputs), f"{name}/bias": (outputs,)})
    shapes.update({f"head{index + 1}": (CONVOLUTIONS[name][2],) for name, index in _COMPARED.items()})
    return shapes


def _checked(arrays, name, shape, where) -> np.ndarray:
    array = arrays.get(name)
    if array is None or array.shape != shape or array.dtype != np.float32:
        found = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
        raise UserError(f"{where} should hold {name}, float32 {list(shape)}, found {found}.")
    return array
