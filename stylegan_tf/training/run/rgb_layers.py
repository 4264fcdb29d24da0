"""The layers between features and images of a trained network, fitted to other channels and to lower resolutions."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.layers.progan import EqualizedConv2D
from stylegan_tf.ops.elementwise import LEAKY_SLOPE, leaky_relu
from stylegan_tf.ops.resampling import downscale_2d

_PICTURES = 300  # At 128x128 and below; fewer above, whose pixels are many.
_BATCH = 10


def channel_map(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """(matrix [old, new], offset [new]) that turn images of `old` channels, in [-1, 1], into ones of `new`.

    A fourth channel is transparency: it is dropped, or opaque. Colours become their mean brightness if their numbers
    differ otherwise.
    """
    colours, wanted = (3 if channels == 4 else channels for channels in (old, new))
    matrix, offset = np.zeros([old, new], np.float32), np.zeros([new], np.float32)
    matrix[:colours, :wanted] = np.eye(colours) if colours == wanted else 1 / colours
    if new == 4:
        matrix[3:, 3], offset[3] = 1, old != 4
    return matrix, offset


class _LeastSquares:
    """The linear map with bias from rows of x to rows of y with the smallest squared error, of any number of rows."""

    def __init__(self):
        self._xx, self._xy, self._yy, self._count = 0.0, 0.0, 0.0, 0

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        x = np.concatenate([x, np.ones([len(x), 1])], axis=1, dtype=np.float64)
        y = y.astype(np.float64)
        self._xx, self._xy, self._yy = self._xx + x.T @ x, self._xy + x.T @ y, self._yy + np.sum(y**2)
        self._count += y.size

    def solve(self) -> tuple[np.ndarray, np.ndarray, float]:
        """(matrix [in, out], bias [out], root of the mean squared error)."""
        found = np.linalg.lstsq(self._xx, self._xy, rcond=1e-10)[0]
        error = self._yy - 2 * np.sum(found * self._xy) + np.sum(found * (self._xx @ found))
        return found[:-1], found[-1], float(np.sqrt(max(error, 0) / self._count))


def fit_rgb_layers(
    generators: Sequence[Generator], discriminator: Optional[Discriminator], levels: Sequence[int]
) -> list[tuple[int, float]]:
    """Fits `to_rgb` and `from_rgb` at levels below the one that the networks have grown to, in closed form.

    A network that trained at a higher level does not use them any more. `to_rgb` is fitted so that the picture from a
    level's features is the network's own, scaled down; `from_rgb` so that such a picture, of the last generator, has
    before the leaky ReLU the features that the discriminator's higher levels compute of the whole one. Returns (level,
    rms error of 255 levels) of the last generator.
    """
    errors: list[tuple[int, float]] = []
    for generator in generators if levels else ():
        fits = {level: (_LeastSquares(), _LeastSquares()) for level in levels}
        reads = discriminator if generator is generators[-1] else None
        for pictures, features in _generated(generator):
            deep = _deep_features(reads, pictures, min(levels)) if reads is not None else {}
            while pictures.shape[1] > min(levels):
                pictures = downscale_2d(pictures)
                level = pictures.shape[1]
                if level in fits:
                    layer = features[generator.synthesis.num_layers_at(level) - 1]
                    fits[level][0].add(_rows(layer), _rows(pictures))
                    if deep:
                        fits[level][1].add(_rows(pictures), _rows(deep[level]))
        errors = []
        for level, (to_rgb, from_rgb) in fits.items():
            error = _assign(generator.synthesis.to_rgb[f"{level}x{level}"], to_rgb)
            errors.append((level, error * 127.5))
            if reads is not None:
                _assign(reads.from_rgb[f"{level}x{level}"], from_rgb)
    return errors


def _generated(generator: Generator):
    """Batches of (pictures, features of every layer), untruncated, with random noise, as in training."""
    config, resolution = generator.config, generator.growth.resolution
    random = np.random.RandomState(0)
    for _ in range(max(_PICTURES * min(128, resolution) // resolution // _BATCH, 1)):
        z = random.randn(_BATCH, config.latent_size).astype(np.float32)
        labels = None
        if config.label_size:
            labels = np.eye(config.label_size, dtype=np.float32)[random.randint(config.label_size, size=_BATCH)]
        ws = generator.broadcast(generator.mapping_network(z, labels=labels), resolution)
        noise = generator.synthesis.draw_noise(_BATCH, resolution, tf.constant(random.randint(2**31, size=2)))
        yield generator.synthesis(ws, noise=noise), generator.synthesis.features(ws, resolution, noise)


def _deep_features(discriminator: Discriminator, pictures: tf.Tensor, lowest: int) -> dict[int, tf.Tensor]:
    """By level, what the blocks above it make of whole pictures, before the last leaky ReLU."""
    found, level = {}, pictures.shape[1]
    x = leaky_relu(discriminator.from_rgb[f"{level}x{level}"](pictures))
    while level > lowest:
        for layer in discriminator.blocks[f"{level}x{level}"]:
            x = leaky_relu(layer(x))
        level //= 2
        found[level] = tf.where(x < 0, x / LEAKY_SLOPE, x)
    return found


def _rows(images: tf.Tensor) -> np.ndarray:
    """[N, r, r, C] -> [N * r * r, C]"""
    return np.reshape(tf.cast(images, tf.float32).numpy(), [-1, images.shape[-1]])


def _assign(layer: EqualizedConv2D, fit: _LeastSquares) -> float:
    """Makes a fit the weights of a 1x1 convolution, which multiplies them by gain / sqrt(fan_in); returns its error."""
    matrix, bias, error = fit.solve()
    layer.weight.assign((matrix * np.sqrt(len(matrix)) / layer.gain)[np.newaxis, np.newaxis].astype(np.float32))
    layer.bias.assign(bias.astype(np.float32))
    return error
