"""Perceptual path length (Sec. 4.1): how much the image changes on a small step between two random latents.

    l = E[ d(G(interpolate(a, b; t)), G(interpolate(a, b; t + epsilon))) / epsilon^2 ]

The paper leaves open what these decide: a step's two images, and all pairs of a group of 64, have the same noise
inputs; images go to the distance as the network gives them, neither rounded nor clipped (a step is smaller than a
byte's); w is interpolated before it is copied to the layers; networks with labels draw one label a pair.
"""

import dataclasses
from typing import Callable, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.distribution.replicated_function import ReplicatedFunction
from stylegan_tf.errors import UserError
from stylegan_tf.metrics.cache import CachedArrays
from stylegan_tf.metrics.numbered_rows import numbered_rows
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.ops.resampling import enlarge_2d

PAIRS_PER_NOISE = 64  # Pairs that share their noise inputs: a minibatch of the paper's, with any batch size of ours.
MAX_IMAGE_SIZE = 256  # Larger images are shrunk to it before they are compared.
_STREAM = 1  # Keeps the random numbers of pairs apart from those of generated images.


@dataclasses.dataclass(frozen=True)
class PathLengthProtocol:
    """What the value depends on, besides network and distance."""

    space: str = "w"  # Where latents are interpolated: "z" (spherically) or "w" (linearly).
    sampling: str = "end"  # "full": t uniform in [0, 1); "end": t = 0.
    num_pairs: int = 100_000
    face_crop: bool = False  # Compare rows 3/8 to 7/8 and columns 2/8 to 6/8 only, as the paper does for its faces.
    epsilon: float = 1e-4
    seed: int = 0  # 0 to 2^31 - 1.

    def __post_init__(self):
        if self.space not in ("z", "w") or self.sampling not in ("full", "end"):
            raise ValueError(f"expected space z or w and sampling full or end, got {self.space}, {self.sampling}.")


@dataclasses.dataclass(frozen=True)
class PathLength:
    """The result. `mean` is the paper's number."""

    mean: float  # Of the distances between the 1st and the 99th percentile.
    kept: int  # Pairs that this leaves.


def perceptual_path_length(
    generator: Generator,
    distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    protocol: PathLengthProtocol,
    strategy: tf.distribute.Strategy,
    rows: int = 32,
    labels: Optional[np.ndarray] = None,
    growth: Optional[Growth] = None,
    unfinished: Optional[CachedArrays] = None,
) -> PathLength:
    """Without truncation. The same for any `rows` and any number of replicas, up to rounding.

    Args:
      distance: two batches of float32 images [n, h, w, 3], about [-1, 1] -> [n].
      rows: pairs per replica and call, at most.
      labels: [M, label_size]; each pair of a network with labels gets a random one of them.
      growth: that of a network in training; None: the network's own. Images are enlarged to full resolution.
      unfinished: an interrupted call's distances are kept there, and the next call goes on with them.
    """
    pairs = _Pairs(generator, distance, protocol, labels, growth)
    compute = ReplicatedFunction(strategy, pairs.lengths, _divisor(rows))
    found = numbered_rows(
        protocol.num_pairs, compute.total_rows, lambda first, count: compute(*pairs.inputs(first, count)),
        "Path length", "pairs", unfinished,
    )  # fmt: skip
    return filtered_mean(found)


def filtered_mean(distances: np.ndarray) -> PathLength:
    """Mean of what lies between the 1st percentile (rounded down to a value) and the 99th (rounded up), both kept."""
    distances = np.asarray(distances, np.float64)
    low = np.percentile(distances, 1, method="lower")
    high = np.percentile(distances, 99, method="higher")
    kept = distances[(low <= distances) & (distances <= high)]
    return PathLength(float(kept.mean()), len(kept))


def slerp(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Along the great circle from a / |a| (t = 0) to b / |b| (t = 1), at constant speed. a, b: [n, Z]; t: [n, 1]."""
    a, b = (x / tf.norm(x, axis=-1, keepdims=True) for x in (a, b))
    cosine = tf.reduce_sum(a * b, axis=-1, keepdims=True)
    across = b - cosine * a  # Orthogonal to a; its length is the angle's sine.
    sine = tf.norm(across, axis=-1, keepdims=True)
    angle = t * tf.atan2(sine, cosine)
    return a * tf.cos(angle) + tf.math.divide_no_nan(across, sine) * tf.sin(angle)


def lerp(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """a at t = 0, b at t = 1."""
    return a + (b - a) * t


def crop_to_face(images: tf.Tensor) -> tf.Tensor:
    """[N, R, R, C] -> rows 3/8 to 7/8 and columns 2/8 to 6/8: the face in FFHQ and CelebA-HQ. UserError below 8x8."""
    size = images.shape[1]
    if size < 8:
        raise UserError(f"images of {size}x{size} are too small to crop a face: leave the crop out.")
    eighth = size // 8
    return images[:, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]


def shrink(images: tf.Tensor) -> tf.Tensor:
    """Means of boxes: [N, S, S, C] -> side of at most 256; smaller images stay."""
    factor = images.shape[1] // MAX_IMAGE_SIZE
    return tf.nn.avg_pool2d(images, factor, factor, "VALID") if factor > 1 else images


class _Pairs:
    """Inputs of pairs by number, as NumPy arrays, and the function on tensors that makes lengths of them."""

    def __init__(self, generator, distance, protocol, labels, growth):
        config = generator.config
        if config.label_size and (labels is None or labels.shape[1:] != (config.label_size,)):
            raise ValueError(f"a network with labels needs labels [M, {config.label_size}] to draw from.")
        self._generator = generator
        self._distance = distance
        self._protocol = protocol
        self._labels = labels if config.label_size else np.zeros([1, 0], np.float32)
        self._growth = growth or generator.growth

    def inputs(self, first, count):
        """Pair i, from (seed, i) alone: z [n, 2, Z], t [n, 1], labels [n, label_size], noise seeds int32 [n, 2]."""
        z = np.empty([count, 2, self._generator.config.latent_size], np.float32)
        t = np.zeros([count, 1], np.float32)
        chosen = np.empty([count], np.int64)
        noise_seeds = np.empty([count, 2], np.int32)
        for row, number in enumerate(range(first, first + count)):
            random = np.random.default_rng([self._protocol.seed, number, _STREAM])
            z[row] = random.standard_normal(z.shape[1:])
            chosen[row] = random.integers(len(self._labels))
            if self._protocol.sampling == "full":
                t[row] = random.random()
            noise_seeds[row] = self._protocol.seed, number // PAIRS_PER_NOISE
        return z, t, self._labels[chosen], noise_seeds

    def lengths(self, z, t, labels, noise_seeds):
        """-> [n], all with the noise of the first row's seed: rows of a call lie within one group of pairs."""
        images = self._images(self._steps(z, t, labels), noise_seeds[0])
        images = shrink(crop_to_face(images) if self._protocol.face_crop else images)
        if images.shape[-1] == 1:
            images = tf.repeat(images, 3, axis=-1)
        return self._distance(*tf.split(images, 2)) / self._protocol.epsilon**2

    def _steps(self, z, t, labels):
        """w of both ends of the steps: [2n, W], first all starts."""
        ends = (t, t + self._protocol.epsilon)
        if self._protocol.space == "z":
            z = tf.concat([slerp(z[:, 0], z[:, 1], end) for end in ends], axis=0)
            return self._generator.mapping_network(z, labels=tf.tile(labels, [2, 1]))
        w = [self._generator.mapping_network(z[:, side], labels=labels) for side in (0, 1)]
        return tf.concat([lerp(*w, end) for end in ends], axis=0)

    def _images(self, w, noise_seed):
        synthesis, resolution, alpha = self._generator.synthesis, self._growth.resolution, self._growth.alpha
        noise = synthesis.draw_noise(1, resolution, noise_seed)
        ws = self._generator.broadcast(w, resolution)
        images = synthesis(ws, resolution=resolution, alpha=alpha, noise_mode="none", noise=noise)
        return enlarge_2d(images, self._generator.config.resolution)


def _divisor(rows: int) -> int:
    """The largest power of two of at most `rows` and PAIRS_PER_NOISE: calls then never straddle two groups of pairs."""
    return 1 << (max(1, min(rows, PAIRS_PER_NOISE)).bit_length() - 1)
