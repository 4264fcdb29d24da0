"""The steps of perceptual path length: pairs of latents, and the images at both ends of a small step between them."""

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.measured_images import labels_to_draw_from
from stylegan_tf.ops.resampling import enlarge_2d

MAX_IMAGE_SIZE = 256  # Larger images are shrunk to it before they are compared.
_STREAM = 1  # Separates the random numbers of pairs from those of generated images.


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
    """[N, H, W, C] -> rows 3/8 to 7/8 and columns 2/8 to 6/8: the face in FFHQ and CelebA-HQ. UserError below 8x8."""
    height, width = images.shape[1:3]
    if min(height, width) < 8:
        raise UserError(f"images of {width}x{height} are too small to crop a face.")
    row, column = height // 8, width // 8
    return images[:, 3 * row : 7 * row, 2 * column : 6 * column]


def shrink(images: tf.Tensor) -> tf.Tensor:
    """Means of boxes: [N, H, W, C] -> the longer side at most 256; smaller images stay."""
    factor = max(images.shape[1:3]) // MAX_IMAGE_SIZE
    return tf.nn.avg_pool2d(images, factor, factor, "VALID") if factor > 1 else images


class LatentPairs:
    """Inputs of pairs by number, as NumPy arrays, and the function on tensors that computes their path lengths."""

    def __init__(self, context: MetricContext, protocol, pairs_per_noise: int):
        """protocol: a `PathLengthProtocol`."""
        self._generator, self._distance, self._growth = context.generator, context.distance, context.growth
        self._box, self._seed = context.content_box, context.seed
        self._protocol, self._pairs_per_noise = protocol, pairs_per_noise
        self._labels = labels_to_draw_from(context.generator, context.labels)

    def inputs(self, first, count):
        """Pair i, from (seed, i) alone: z [n, 2, Z], t [n, 1], labels [n, label_size], noise seeds int32 [n, 2]."""
        z = np.empty([count, 2, self._generator.config.latent_size], np.float32)
        t = np.zeros([count, 1], np.float32)
        chosen = np.empty([count], np.int64)
        noise_seeds = np.empty([count, 2], np.int32)
        for row, number in enumerate(range(first, first + count)):
            random = np.random.default_rng([self._seed, number, _STREAM])
            z[row] = random.standard_normal(z.shape[1:])
            chosen[row] = random.integers(len(self._labels))
            if self._protocol.sampling == "full":
                t[row] = random.random()
            noise_seeds[row] = self._seed, number // self._pairs_per_noise
        return z, t, self._labels[chosen], noise_seeds

    def lengths(self, z, t, labels, noise_seeds):
        """-> [n], all with the noise of the first row's seed: the rows of a call belong to one group of pairs."""
        images = crop_to_box(self._images(self._steps(z, t, labels), noise_seeds[0]), self._box)
        images = shrink(crop_to_face(images) if self._protocol.face_crop else images)
        if images.shape[-1] == 1:
            images = tf.repeat(images, 3, axis=-1)
        return self._distance(*tf.split(images, 2)) / self._protocol.epsilon**2

    def _steps(self, z, t, labels):
        """w at both ends of the steps: [2n, W], all starts first."""
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
