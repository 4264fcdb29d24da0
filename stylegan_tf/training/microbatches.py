"""Gradient accumulation: a replica's batch in microbatches, which need less memory and have the same gradients."""

import functools
from typing import Any, Callable

import tensorflow as tf

from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.training import losses
from stylegan_tf.training.gradients import DiscriminatorInput, Gradients, Images, Scalars, Sums, present, scaled


def accumulated(compute: Callable[..., Any], count: int, jit_compile: bool = False) -> Callable[..., Any]:
    """`compute(images, *others)`, which returns sums over its images, with its memory divided by `count`: in a loop
    over parts of the images whose sums are added up (gradient accumulation).

    See `microbatched`: if a microbatch is a multiple of the group size of the minibatch standard deviation, whose
    members lie a fixed distance apart, the groups are those of the whole batch. `SplitGroups` is for smaller ones.
    """
    if count == 1:
        return tf.function(compute, jit_compile=True, autograph=False) if jit_compile else compute
    looped = microbatched(lambda *inputs: ((), compute(*inputs)), count, jit_compile)
    return lambda *inputs: looped(*inputs)[1]


def microbatched(compute: Callable[..., tuple[Any, Any]], count: int, jit_compile: bool = False) -> Callable[..., Any]:
    """`compute(images, *others) -> (each, sums)` in a loop: `each`, which has one entry per image, is gathered in
    the order of `images`, `sums` are added up.

    Microbatch m of M gets images m, m + M, m + 2M, ... `images` is a structure of tensors (or None) with one entry per
    image, whose number is a static multiple of `count`. jit_compile: each one is compiled with XLA.
    """
    traced = tf.function(compute, jit_compile=jit_compile or None, autograph=False)

    def looped(images, *others):
        parts = _map(lambda x: tf.reshape(x, [x.shape[0] // count, count, *x.shape[1:]]), images)

        def add_microbatch(index, gathered, totals):
            each, sums = traced(_map(lambda x: x[:, index], parts), *others)
            gathered = tf.nest.map_structure(lambda array, x: array.write(index, x), gathered, each)
            return index + 1, gathered, tf.nest.map_structure(tf.add, totals, sums)

        first = _map(lambda x: x[:, 0], parts)
        each, sums = traced.get_concrete_function(first, *others).structured_outputs
        gathered = _map(lambda x: tf.TensorArray(x.dtype, count, element_shape=x.shape), each)
        zeros = _map(lambda x: tf.zeros(x.shape, x.dtype), sums)
        # Sequential: the memory of a microbatch is free before the next one starts.
        _, gathered, totals = tf.while_loop(
            lambda index, *_: index < count, add_microbatch, (0, gathered, zeros), parallel_iterations=1
        )
        return _map(_in_order, gathered), totals

    return looped


class SplitGroups(Gradients):
    """The same gradients for microbatches smaller than a group of the minibatch standard deviation: down to one image,
    for three forward passes of the discriminator in place of one.

    Images meet in the scores alone: s = H(f) of all features f_i = F(x_i), which are small (4x4). With the penalty p of
    an image's squared norm |J_i^T u_i|^2, u = d(sum of s) / df and J_i = dF(x_i) / dx_i, the loss is

        L = A(H(f)) + sum_i p(|J_i^T u_i|^2).

    Three loops over the images, each of which recomputes F, with H on the features of the whole batch between them:

        1. f_i
        2. v_i = dp / du_i, and the gradient of p by F's weights at constant u
        3. the gradient of c_i . F(x_i) by F's weights, with c = d(A(H(f)) + v . u(f)) / df at constant v.

    The gradient by H's weights is also that of A(H(f)) + v . u(f). Nothing is neglected: c has what one image's norm
    owes to the others of its group. The generator's loss has no penalty, and needs loops 1 and 3.
    """

    def __init__(self, config, state, resolution: int, batch_size: int, count: int):
        super().__init__(config, state, resolution, batch_size)
        self._microbatched = functools.partial(microbatched, count=count, jit_compile=config.jit_compile)

    def _loops(self, scalars: Scalars) -> Callable[..., tuple[Any, Any]]:
        """run(compute, images) -> (each, sums) of a loop that starts when the one before is done: TensorFlow would let
        independent ones run at the same time, and their memory would add up.
        """
        finished = []

        def run(compute, images):
            with tf.control_dependencies(finished):
                results = self._microbatched(compute)(images, scalars)
            finished[:] = tf.nest.flatten(results)
            return results

        return run

    def discriminator(self, images: Images, scalars: Scalars, regularized: bool = True) -> Sums:
        trained, weights = self._trained_discriminator(), self._penalty_weights(regularized)
        run = self._loops(scalars)
        fakes, w = run(self._generate, Images(images.fakes, images.labels))
        seen = self._seen(images, fakes)
        features = {name: run(self._features_alone, each)[0] for name, each in seen.items()}
        scores, slopes = {}, {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([trained, features])
            for name, x in features.items():
                scores[name], slopes[name] = self._scores_and_slopes(x, images.labels, scalars)
            adversarial = losses.discriminator_loss(self._losses, scores["reals"], scores["fakes"])
            total = scaled(self._per_image(adversarial), scalars)
        norms = {name: tf.zeros_like(score) for name, score in scores.items()}
        gradients, directions = [], {}
        for name in (name for name, weight in weights.items() if weight):
            by_penalty = functools.partial(self._by_penalty, name, weights[name], trained)
            (norms[name], directions[name]), sums = run(by_penalty, (seen[name], slopes[name]))
            gradients.append(sums)
        targets = [total, *(slopes[name] for name in directions)]
        by_head, by_features = tape.gradient(targets, [trained, features], [tf.ones([]), *directions.values()])
        backward = functools.partial(self._by_features, trained)
        gradients += [run(backward, (seen[name], by_features[name]))[1] for name in seen]
        loss = self._with_penalties(adversarial, norms, weights)
        metrics = self._discriminator_metrics(adversarial, loss, scores, norms, seen, scalars, regularized)
        return Sums(_added([present(by_head), *gradients]), w, metrics)

    def generator(self, images: Images, scalars: Scalars) -> Sums:
        run = self._loops(scalars)
        features, w = run(self._features_of_fakes, images)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(features)
            scores = self._discriminator.scores(features, images.labels)
            loss = self._per_image(losses.generator_loss(self._losses, scores))
            total = scaled(loss, scalars)
        _, gradients = run(self._generator_by_features, (images, tape.gradient(total, features)))
        return Sums(gradients, w, {"g_loss": loss})

    def _features(self, seen: DiscriminatorInput, scalars: Scalars) -> tf.Tensor:
        return self._discriminator.features(self._augmented(seen, scalars), alpha=scalars.alpha)

    def _features_alone(self, seen: DiscriminatorInput, scalars: Scalars):
        return self._features(seen, scalars), ()

    def _scores_and_slopes(self, features, labels, scalars):
        """Scores [n] and the gradient of their sum by the features."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(features)
            scores = self._discriminator.scores(features, labels)
            total = scaled(tf.reduce_sum(scores), scalars, power=0.5)
        return scores, tape.gradient(total, features)

    def _by_penalty(self, name, weight, trained, images, scalars):
        """(squared norms, gradient of the penalty by the slopes) of each image; its gradient by the weights."""
        seen, slopes = images
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([trained, slopes])
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(seen.images)
                features = self._features(seen, scalars)
            norms = self._norms(inner.gradient(features, seen.images, slopes), scalars)
            total = scaled(self._per_image(self._penalty(name, weight, norms)), scalars)
        by_weights, by_slopes = tape.gradient(total, [trained, slopes])
        return (norms, by_slopes), present(by_weights)

    def _by_features(self, trained, images, scalars):
        seen, by_features = images
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            features = self._features(seen, scalars)
        return (), present(tape.gradient(features, trained, by_features))

    def _features_of_fakes(self, images: Images, scalars: Scalars):
        fakes, w = self._generate(images, scalars)
        return self._features(DiscriminatorInput(fakes, images.augment_fakes), scalars), w

    def _generator_by_features(self, images, scalars):
        images, by_features = images
        trained = trainable_variables(self._generator)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            features, _ = self._features_of_fakes(images, scalars)
        return (), present(tape.gradient(features, trained, by_features))


def _in_order(array: tf.TensorArray) -> tf.Tensor:
    """[M, n, ...] of M microbatches -> [n M, ...]"""
    parts = array.stack()
    joined = tf.transpose(parts, [1, 0, *range(2, len(parts.shape))])
    return tf.reshape(joined, [parts.shape[0] * parts.shape[1], *parts.shape[2:]])


def _added(gradients):
    """The sum of dictionaries whose keys may differ."""
    names = {name: None for sums in gradients for name in sums}
    return {name: tf.add_n([sums[name] for sums in gradients if name in sums]) for name in names}


def _map(function, structure):
    return tf.nest.map_structure(lambda x: None if x is None else function(x), structure)
