"""Checks of what a request brings, inside of the graph: a server answers INVALID_ARGUMENT and says what it expected."""

from collections.abc import Sequence
from typing import Optional

import tensorflow as tf


def checked(
    name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]], limits: Optional[tuple[int, int]] = None
) -> tf.Tensor:
    """`tensor`, once it is known to have this shape (None: any size), to be finite, and to lie within the limits."""
    tensor = _checked_shape(name, tensor, shape)
    conditions = []
    if tensor.dtype.is_floating:
        finite = tf.reduce_all(tf.math.is_finite(tensor))
        conditions.append(_assertion(finite, [f"{name} must be finite, got NaN or infinity."]))
    if limits:
        low, high = limits
        inside = tf.reduce_all((tensor >= low) & (tensor <= high))
        conditions.append(_assertion(inside, [f"{name} must lie within {low} to {high}, got", tensor]))
    with tf.control_dependencies(conditions):
        return tf.identity(tensor)


def checked_batch(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The tensors, once it is known that all have the same first dimension."""
    (first, reference), *others = tensors.items()
    count = tf.shape(reference)[0]
    conditions = []
    for name, tensor in others:
        message = f"{name} must have as many rows as {first}; they have"
        conditions.append(_assertion(tf.shape(tensor)[0] == count, [message, tf.shape(tensor)[0], count]))
    with tf.control_dependencies(conditions):
        return {name: tf.identity(tensor) for name, tensor in tensors.items()}


def _checked_shape(name, tensor, shape):
    # The signature declares the shape, and a runtime believes it: it would find the comparison below to be always true
    # and remove it. Nothing is known of what comes out of a placeholder, not even by an optimiser.
    unknown = tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))
    sizes = tf.shape(unknown)
    fits = tf.size(sizes) == len(shape)
    for axis, size in enumerate(shape):
        if size is not None:
            fits &= tf.reduce_sum(sizes[axis : axis + 1]) == size
    expected = ", ".join(["N"] + [str(size) for size in shape[1:]])
    assertion = _assertion(fits, [f"{name} must have the shape [{expected}], got", sizes])
    with tf.control_dependencies([assertion]):
        return tf.ensure_shape(tf.identity(unknown), list(shape))


def _assertion(condition, data):
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)
