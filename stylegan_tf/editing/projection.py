"""Projection: the latent whose image is nearest to a given picture (Karras et al., StyleGAN2, App. D).

    minimise over w (and the noise maps n):  d(g(w, n), picture) + alpha * sum over maps and scales of L(n)

The search starts from latents that a regression on pixels predicts, and from samples whose images are near, and halves
their number several times until the best is left. w is perturbed by decreasing noise over the first three quarters of a
start's steps and optimised by Adam with a learning rate that ramps up and down. All lengths are in standard deviations
of w, so that the defaults suit any network. L is the squared correlation of a map with itself shifted by one pixel,
which is 0 for noise.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ProjectionConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.networks.generator import Generator
from stylegan_tf.ops.forms import compiled_chains
from stylegan_tf.visualize.painter import batch_size, random_w
from stylegan_tf.visualize.picture_files import to_uint8

_STATISTICS = 10_000  # Latents behind mean and deviation of w.
_SAMPLES = 1000  # That starts are chosen from,
_SAMPLE_SIZE = 64  # by their pixels at this size at most.
_RIDGES = (0.01, 0.1, 1.0, 10.0)  # Strengths of regularisation, as parts of the pixels' mean variance.
_SMALLEST_NOISE = 8  # The correlation is taken of maps shrunk down to this size.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class SearchStep(NamedTuple):
    """The state of the search after a step; the distances are those before it."""

    step: int  # 1 to the number of steps.
    distances: tf.Tensor  # float32 [N].
    ws: tf.Tensor  # float32 [N, L, W], L as `Generator.broadcast` has it.
    noise: list  # float32 [N, r, r, 1] per layer; empty: the network's own maps.


class Projector:
    """Finds the latents of several pictures at a time, independently of each other.

    Args:
      distance: two batches of float32 images [N, h, w, 3], about [-1, 1] -> [N].
      label: [label_size], of all pictures; required in z for a network with labels.
      content_box: the part of letterboxed images that is compared, see `crop_to_box`.
    """

    def __init__(
        self,
        generator: Generator,
        distance,
        config: ProjectionConfig,
        label: Optional[np.ndarray] = None,
        content_box: Optional[Sequence[float]] = None,
    ):
        network = generator.config
        self.config, self._space = config, config.space or ("w" if network.use_styles else "z")
        if self._space == "w+" and not network.use_styles:
            raise UserError("w+ needs styles, but in this network w feeds the first layer only: use `space=w` or z.")
        if config.optimize_noise and not network.use_noise:
            raise UserError("`optimize_noise` needs noise inputs, but this network has none.")
        if self._space == "z" and network.label_size and label is None:
            raise UserError("projection in z needs the label of a network with labels: give `class`.")
        self._generator, self._distance, self._label, self._box = generator, distance, label, content_box
        self.resolution = generator.growth.resolution
        self._mean, self._deviation, self._w = self._statistics()
        self._traced = tf.function(compiled_chains()(self._step), reduce_retracing=True)
        self._rendered = tf.function(self._images, reduce_retracing=True)

    @property
    def dlatent_shape(self) -> tuple[int, int]:
        """(L, W) of the results."""
        config = self._generator.config
        return (self._generator.synthesis.num_layers_at(self.resolution) if config.use_styles else 1), config.w_size

    @property
    def batch_size(self) -> int:
        """Pictures at a time, for about the same memory at every resolution."""
        return max(1, min(8, batch_size(self.resolution) // 4))

    def find(self, targets: np.ndarray) -> Iterator[SearchStep]:
        """targets: uint8 [N, h, w, C], of the size of the images (of the content box). Yields after every step.

        Successive halving: of each picture's starts the better half goes on to the next round.
        """
        targets = tf.constant(targets, tf.float32) / 127.5 - 1.0
        rounds = search_rounds(self.config.steps, self.config.starts)
        schedule = dataclasses.replace(self.config, steps=sum(steps for _, steps in rounds))  # For one start.
        states = [[start, *self._start_noise(len(targets))] for start in self._starts(targets)]
        states = [[values, *([tf.zeros_like(value) for value in values] for _ in range(2))] for values in states]
        numbers, done, distances = itertools.count(1), 0, None
        for count, steps in rounds:
            states, distances = _nearest(states, distances, count), []
            for index, state in enumerate(states):
                for step in range(done, done + steps):
                    state, found = self._advance(state, targets, step, schedule)
                    yield SearchStep(next(numbers), found, self._ws(state[0][0]), state[0][1:])
                states[index] = state
                distances.append(found)
            done += steps

    def distances(self, state: SearchStep, targets: np.ndarray) -> np.ndarray:
        """From the images of `state` to uint8 targets [N, h, w, C]: float32 [N]."""
        targets = tf.constant(targets, tf.float32) / 127.5 - 1.0
        return self._distances(self._rendered(state.ws, state.noise), targets).numpy()

    def pictures(self, ws, noise=()) -> np.ndarray:
        """Images of ws [N, L, W] and noise maps [N, r, r, 1] per layer: uint8 [N, h, w, C]."""
        return to_uint8(self._rendered(tf.constant(ws), [tf.constant(maps) for maps in noise]).numpy())

    # ---- The step

    def _advance(self, state, targets, step, schedule):
        """(values, Adam's moments) -> the same after a step, and the distances before it."""
        numbers = (step, schedule.learning_rate_at(step), schedule.exploration_at(step))
        *state, distances = self._traced(*state, targets, *(tf.constant(number, tf.float32) for number in numbers))
        return state, distances

    def _step(self, values, first, second, targets, step, learning_rate, exploration):
        """values, and Adam's first and second moments of each -> the same after a step, and the distances before it."""
        seed = tf.stack([self.config.seed, tf.cast(step, tf.int32)])
        perturbation = (
            tf.random.stateless_normal(tf.shape(values[0])[1:], seed) * exploration
        )  # The same for all pictures.
        with tf.GradientTape() as tape:
            tape.watch(values)
            images = self._images(self._ws(values[0] + perturbation), values[1:])
            distances = self._distances(images, targets)
            # Pictures share no variables: the gradient of the sum is each picture's own.
            loss = tf.reduce_sum(distances)
            if self.config.optimize_noise:
                loss += self.config.noise_weight * tf.reduce_sum(noise_correlation(values[1:]))
        gradients = tape.gradient(loss, values)
        first = [_BETA1 * m + (1 - _BETA1) * g for m, g in zip(first, gradients)]
        second = [_BETA2 * v + (1 - _BETA2) * tf.square(g) for v, g in zip(second, gradients)]
        rate = learning_rate * tf.sqrt(1 - _BETA2 ** (step + 1)) / (1 - _BETA1 ** (step + 1))
        moved = [x - rate * m / (tf.sqrt(v) + _EPSILON) for x, m, v in zip(values, first, second)]
        return [moved[0], *(normalized_noise(noise) for noise in moved[1:])], first, second, distances

    def _ws(self, x):
        """x [N, 1 or L, W] in standard deviations from the mean, or z [N, 1, Z] -> ws [N, L, W]."""
        if self._space == "z":
            labels = None if self._label is None else tf.tile(self._label[None], [tf.shape(x)[0], 1])
            return self._generator.broadcast(self._generator.mapping_network(x[:, 0], labels=labels))
        ws = self._mean + self._deviation * x
        return ws if self._space == "w+" else self._generator.broadcast(ws[:, 0])

    def _images(self, ws, noise):
        return crop_to_box(self._generator.synthesis(ws, noise_mode="const", noise=noise or None), self._box)

    def _distances(self, images, targets):
        both = tf.concat([images, tf.ensure_shape(targets, images.shape)], axis=0)
        factor = -(-max(both.shape[1:3]) // self.config.distance_resolution)
        if factor > 1:  # Means of boxes.
            both = tf.nn.avg_pool2d(both, factor, factor, "VALID")
        if both.shape[-1] == 1:
            both = tf.repeat(both, 3, axis=-1)
        return self._distance(*tf.split(both, 2))

    # ---- Where to start

    def _statistics(self):
        """Mean [W] of w, the standard deviation of a component (root mean square over components), and samples."""
        generator = self._generator
        w = random_w(generator, _STATISTICS, self.config.seed, self._label)
        mean = w.mean(axis=0) if self._label is not None else generator.truncation.w_avg.numpy()
        return mean, np.float32(np.sqrt(np.mean((w - w.mean(axis=0)) ** 2))), w[:_SAMPLES]

    def _starts(self, targets) -> list:
        """`starts` times [N, 1 or L, W]: of regressions and samples those with the nearest images, in order."""
        x, pixels = self._samples
        wanted = self._thumbnails(targets)
        options = np.stack([*regressions(pixels, x, wanted), *x[_nearest_rows(pixels, wanted, self.config.starts)]])
        images = np.stack([self._thumbnails_of(option) for option in options])
        order = np.argsort(((images - wanted) ** 2).sum(axis=2), axis=0, kind="stable")[: self.config.starts]
        return [self._of_layers(option) for option in np.take_along_axis(options, order[..., None], axis=0)]

    def _of_layers(self, x):
        """[N, W] as the search has it: [N, 1, W], in w+ for each layer."""
        return tf.repeat(x[:, None], self.dlatent_shape[0] if self._space == "w+" else 1, axis=1)

    @functools.cached_property
    def _samples(self):
        """-> x [M, W or Z], as `_ws` takes them but for layers, and small images of them [M, pixels]."""
        x = (self._w - self._mean) / self._deviation
        if self._space == "z":
            x = np.random.RandomState(self.config.seed).randn(_SAMPLES, self._generator.config.latent_size)
        x = x.astype(np.float32)
        rows = batch_size(self.resolution)
        return x, np.concatenate([self._thumbnails_of(x[first : first + rows]) for first in range(0, len(x), rows)])

    def _thumbnails_of(self, x):
        return self._thumbnails(self._rendered(self._ws(self._of_layers(x)), []))

    @staticmethod
    def _thumbnails(images) -> np.ndarray:
        """[N, h, w, C] -> [N, pixels] of means of boxes."""
        factor = -(-max(images.shape[1:3]) // _SAMPLE_SIZE)
        return tf.reshape(tf.nn.avg_pool2d(images, factor, factor, "SAME"), [len(images), -1]).numpy()

    def _start_noise(self, count):
        """Copies of the network's own maps for each picture."""
        if not self.config.optimize_noise:
            return []
        maps = self._generator.synthesis.fixed_noise(self.resolution)
        return [tf.tile(layer, [count, 1, 1, 1]) for layer in maps]


def regressions(pixels: np.ndarray, x: np.ndarray, wanted: np.ndarray) -> Iterator[np.ndarray]:
    """Ridge regressions of latents x [M, D] on pixels [M, P] of their images: the latents [N, D] of `wanted` [N, P]."""
    centre, mean = pixels.mean(axis=0), x.mean(axis=0)
    rows = pixels - centre
    kernel, found = rows @ rows.T, (wanted - centre) @ rows.T
    for strength in _RIDGES:
        ridge = strength * np.trace(kernel) / len(kernel) * np.eye(len(kernel), dtype=kernel.dtype)
        yield mean + found @ np.linalg.solve(kernel + ridge, x - mean)


def _nearest_rows(rows, wanted, count):
    """Numbers of the rows [M, P] nearest to wanted [N, P]: [count, N]."""
    distances = (rows**2).sum(axis=1) - 2 * wanted @ rows.T  # Squared, but for a constant of each target.
    return np.argsort(distances, axis=1, kind="stable")[:, :count].T


def search_rounds(steps: int, starts: int) -> list[tuple[int, int]]:
    """(starts, steps of each) of the rounds of a search, which share all steps evenly: half the starts in each next."""
    sizes = [starts >> halvings for halvings in range(starts.bit_length())]
    sizes = [size for size in sizes if steps >= len(sizes) * size] or [1]
    rounds = [(size, steps // (len(sizes) * size)) for size in sizes[:-1]]
    return [*rounds, (1, steps - sum(size * count for size, count in rounds))]


def _nearest(states, distances, count):
    """The `count` states of each picture with the least distances [N]; None: the first ones, which are ordered."""
    if distances is None or len(states) == count:
        return states[:count]
    order = tf.argsort(tf.stack(distances, axis=1), axis=1, stable=True)

    def pick(rank):
        return lambda *options: tf.gather(tf.stack(options, axis=1), order[:, rank], axis=1, batch_dims=1)

    return [tf.nest.map_structure(pick(rank), *states) for rank in range(count)]


def noise_correlation(maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """Sum over maps [N, r, r, 1], also downscaled to 8x8, of mean(n n_right)^2 + mean(n n_below)^2: [N]."""
    total = tf.zeros([tf.shape(maps[0])[0]])
    for noise in maps:
        while True:
            for axis in (1, 2):
                shifted = tf.roll(noise, 1, axis)
                total += tf.square(tf.reduce_mean(noise * shifted, axis=[1, 2, 3]))
            if noise.shape[1] <= _SMALLEST_NOISE:
                break
            noise = 2.0 * tf.nn.avg_pool2d(noise, 2, 2, "VALID")  # Means of four have half the deviation.
    return total


def normalized_noise(noise: tf.Tensor) -> tf.Tensor:
    """Each map [N, r, r, 1] with mean 0 and variance 1."""
    noise -= tf.reduce_mean(noise, axis=[1, 2, 3], keepdims=True)
    return noise * tf.math.rsqrt(tf.reduce_mean(tf.square(noise), axis=[1, 2, 3], keepdims=True) + _EPSILON)
