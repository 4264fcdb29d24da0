"""Gradient accumulation: a replica's images in rounds, one after the other, when not all of them fit at once."""

from typing import Any, Callable

import tensorflow as tf


def in_rounds(compute: Callable[..., Any], rounds: int, jit_compile: bool = False) -> Callable[..., Any]:
    """`compute(images, *others)`, which returns sums over its images, as a function that adds up `rounds` such sums.

    Round m of M gets images m, m + M, m + 2M, ...: where their number in a round is a multiple of the group size of
    the minibatch standard deviation, whose members lie a fixed distance apart, its groups are those of all images.
    `images` is a structure of tensors (or None) with one entry an image; the number of images is a multiple of
    `rounds` and known when this is traced. jit_compile: each round is compiled with XLA.
    """
    if rounds == 1:
        return tf.function(compute, jit_compile=True, autograph=False) if jit_compile else compute
    # Traced once, for the shapes and for the loop.
    traced = tf.function(compute, jit_compile=jit_compile or None, autograph=False)

    def summed(images, *others):
        parts = _map(lambda x: tf.reshape(x, [x.shape[0] // rounds, rounds, *x.shape[1:]]), images)

        def add_round(index, totals):
            sums = traced(_map(lambda x: x[:, index], parts), *others)
            return index + 1, tf.nest.map_structure(tf.add, totals, sums)

        first = _map(lambda x: x[:, 0], parts)
        result = traced.get_concrete_function(first, *others).structured_outputs
        zeros = tf.nest.map_structure(lambda x: tf.zeros(x.shape, x.dtype), result)
        # One at a time: the memory of a round is free before the next one starts.
        return tf.while_loop(lambda index, _: index < rounds, add_round, (0, zeros), parallel_iterations=1)[1]

    return summed


def _map(function, structure):
    return tf.nest.map_structure(lambda x: None if x is None else function(x), structure)
