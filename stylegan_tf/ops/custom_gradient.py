"""Functions with a gradient of their own, inside of graphs that come and go.

TensorFlow files every `tf.custom_gradient` that is traced in a list for the life of the process, and with it the whole
graph around it: a function of a generator, traced anew for each of many evaluations, would never be freed. So such a
function gets a small graph of its own, which is traced once for every shape; larger graphs only call it.
"""

import atexit
import contextlib
import functools
from collections.abc import Iterator
from typing import Callable

import tensorflow as tf

from stylegan_tf.ops.compiled import are_chains_allowed

_left_out = False


@contextlib.contextmanager
def without_custom_gradients() -> Iterator[None]:
    """What is traced in this block has TensorFlow's gradients only: for graphs that are written to a file."""
    global _left_out  # As in `plain_form`.
    before, _left_out = _left_out, True
    try:
        yield
    finally:
        _left_out = before


def are_left_out() -> bool:
    """Whether what is traced now shall have none."""
    return _left_out


def custom_gradient(function: Callable) -> Callable:
    """`function(*tensors)`, free of side effects, returns what `tf.custom_gradient` asks for: (value, gradient).

    `gradient` may use `function`'s tensors; where it has a gradient of its own in turn, that gets them as arguments.
    In a graph the result is a call; TensorFlow puts the operations in its place before it optimises.
    """
    differentiable = tf.custom_gradient(function)
    # Graphs with compiled chains must not get into those that are free of them.
    traced = {allowed: tf.function(differentiable, autograph=False) for allowed in (False, True)}
    atexit.register(traced.clear)  # While TensorFlow is still there to free them.

    @functools.wraps(function)
    def chosen(*tensors):
        if _left_out:
            return function(*tensors)[0]
        if tf.executing_eagerly():
            return differentiable(*tensors)
        # Called directly, TensorFlow would warn of many traces: there is one for each layer's shape.
        return traced[are_chains_allowed()].get_concrete_function(*tensors)(*tensors)

    return chosen
