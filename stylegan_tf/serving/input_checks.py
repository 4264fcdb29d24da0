"""Checks of what a request brings, inside of the graph: a server answers INVALID_ARGUMENT and says what it expected.

Other runtimes (ONNX, OpenVINO) leave assertions out of the graph. What must not pass there is also refused by an
operation that cannot be computed (`_refuse`), or marked in the data (`rows_in_order`).
"""

from collections.abc import Sequence
from typing import Optional

import tensorflow as tf

Limits = Optional[tuple[int, int]]


def checked(name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]], limits: Limits = None) -> tf.Tensor:
    """`tensor`, once it is known to have this shape (None: any size), to be finite, and to lie within the limits."""
    tensor = checked_shape(name, tensor, shape)
    good = tf.reduce_all(rows_in_order(tensor, limits))
    message = [f"{name} must be finite, got NaN or infinity."]
    if limits:
        message = [f"{name} must lie within {limits[0]} to {limits[1]}, got", tensor]
    with tf.control_dependencies([_assertion(good, message)]):
        return _refuse(tensor, good)


def rows_in_order(tensor: tf.Tensor, limits: Limits = None) -> tf.Tensor:
    """bool [N]: whether all of a row is finite and lies within the limits."""
    good = tf.ones_like(tensor, tf.bool)
    if tensor.dtype.is_floating:
        good &= tf.math.is_finite(tensor)
    if limits:
        good &= (tensor >= limits[0]) & (tensor <= limits[1])
    return tf.reduce_all(good, axis=list(range(1, tensor.shape.rank)))


def with_rows_replaced(tensor: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
    """`tensor` [N, ...], all zeros where `good` [N] does not hold."""
    # By index, as converters to ONNX make products of `tf.where`, and 0 times NaN is NaN.
    zeros = tf.zeros(tf.concat([[1], tf.shape(tensor)[1:]], axis=0), tensor.dtype)
    rows = tf.cast(good, tf.int32) * (1 + tf.range(tf.shape(tensor)[0]))
    return tf.ensure_shape(tf.gather(tf.concat([zeros, tensor], axis=0), rows), tensor.shape)


def checked_batch(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The tensors, once it is known that all have the same first dimension."""
    (first, reference), *others = tensors.items()
    count = tf.shape(reference)[0]
    conditions, equal = [], {first: tf.constant(True)}
    for name, tensor in others:
        message = f"{name} must have as many rows as {first}; they have"
        equal[name] = tf.equal(tf.shape(tensor)[0], count)
        conditions.append(_assertion(equal[name], [message, tf.shape(tensor)[0], count]))
    with tf.control_dependencies(conditions):
        return {name: _refuse(tensor, equal[name]) for name, tensor in tensors.items()}


def checked_shape(name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]]) -> tf.Tensor:
    # The signature declares the shape, and a runtime believes it: it would find the comparison below to be always true
    # and remove it. What is added is zero, but no optimiser knows that, nor then the sizes.
    sizes = tf.shape(tensor)
    sizes += tf.minimum(tf.reduce_min(sizes), 0)
    fits = tf.reduce_sum(tf.cast(sizes >= 0, tf.int32)) == len(shape)  # The rank.
    padded = tf.concat([sizes, [-1] * len(shape)], axis=0)
    for axis, size in enumerate(shape):
        if size is not None:
            fits &= padded[axis] == size
    expected = ", ".join(["N"] + [str(size) for size in shape[1:]])
    assertion = _assertion(fits, [f"{name} must have the shape [{expected}], got", sizes])
    with tf.control_dependencies([assertion]):
        return tf.ensure_shape(tf.identity(tensor), list(shape))


def _refuse(tensor: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
    """`tensor` where `good` (a scalar) holds; where not, a shape is asked for that no runtime can give to it."""
    if tensor.shape.rank == 1:  # Runtimes take a reshape of one dimension to one for nothing, and remove it.
        return _refuse(tf.stack([tensor, tensor], axis=1), good)[:, 0]
    rows = tf.shape(tensor)[0] + tf.cast(tf.logical_not(good), tf.int32)
    return tf.reshape(tensor, tf.stack([rows, *tensor.shape[1:]]))


def _assertion(condition, data):
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)
