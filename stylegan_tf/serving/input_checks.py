"""Validation of requests inside the graph: a server answers INVALID_ARGUMENT and says what it expected.

Other runtimes (ONNX, OpenVINO) drop assertions. What must not pass there either also fails in an operation that cannot
be computed (`_fail_unless`), or is marked in the data (`valid_rows`).
"""

from collections.abc import Sequence
from typing import Optional

import tensorflow as tf

Limits = Optional[tuple[int, int]]


def checked(name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]], limits: Limits = None) -> tf.Tensor:
    """`tensor`, once it is known to have this shape (None: any size), to be finite, and to lie within the limits."""
    tensor = checked_shape(name, tensor, shape)
    valid = tf.reduce_all(valid_rows(tensor, limits))
    message = [f"{name} must be finite, got NaN or infinity."]
    if limits:
        message = [f"{name} must lie within {limits[0]} to {limits[1]}, got", tensor]
    with tf.control_dependencies([_assertion(valid, message)]):
        return _fail_unless(valid, tensor)


def checked_result(name: str, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor`, once it is known to be finite: finite inputs of 1e38 overflow inside the network."""
    valid = tf.reduce_all(valid_rows(tensor))
    with tf.control_dependencies(
        [_assertion(valid, [f"{name} overflow: truncation_psi or another input is too large."])]
    ):
        return _fail_unless(valid, tensor)


def valid_rows(tensor: tf.Tensor, limits: Limits = None) -> tf.Tensor:
    """bool [N]: whether all of a row is finite and lies within the limits."""
    valid = tf.ones_like(tensor, tf.bool)
    if tensor.dtype.is_floating:
        valid &= tf.math.is_finite(tensor)
    if limits:
        valid &= (tensor >= limits[0]) & (tensor <= limits[1])
    return tf.reduce_all(valid, axis=list(range(1, tensor.shape.rank)))


def zero_invalid_rows(tensor: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """`tensor` [N, ...] with zeros in the rows where `valid` [N] is False."""
    # By index: converters to ONNX turn `tf.where` into products, and 0 times NaN is NaN.
    zeros = tf.zeros(tf.concat([[1], tf.shape(tensor)[1:]], axis=0), tensor.dtype)
    rows = tf.cast(valid, tf.int32) * (1 + tf.range(tf.shape(tensor)[0]))
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
        return {name: _fail_unless(equal[name], tensor) for name, tensor in tensors.items()}


def checked_shape(name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]]) -> tf.Tensor:
    """`tensor`, once it is known to have this shape."""
    # The signature declares the shape, and a runtime that trusts it would optimise the comparison below away. The
    # minimum added here is zero, but no optimiser knows that, and so none knows the sizes.
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


def _fail_unless(valid: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor` if `valid` (a scalar) holds; otherwise a reshape to a size that it does not have, an error anywhere."""
    if tensor.shape.rank == 1:  # Runtimes drop a reshape from one dimension to one as a no-op.
        return _fail_unless(valid, tf.stack([tensor, tensor], axis=1))[:, 0]
    rows = tf.shape(tensor)[0] + tf.cast(tf.logical_not(valid), tf.int32)
    return tf.reshape(tensor, tf.stack([rows, *tensor.shape[1:]]))


def _assertion(condition, data):
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)
