"""Custom gradients that leak no graphs.

TensorFlow registers every `tf.custom_gradient` that is traced for the life of the process, and with it the whole graph
around it: graphs that are traced again and again would never be freed. So each such function gets a small graph of its
own, traced once per shape, which larger graphs only call.
"""

import atexit
import functools
from typing import Callable

import tensorflow as tf

from stylegan_tf.ops.forms import are_chains_allowed, block, is_in_block


def without_custom_gradients():
    """What is traced in this block has TensorFlow's gradients only: for graphs that are written to a file."""
    return block("no custom gradients")


def are_left_out() -> bool:
    """Whether what is traced now gets no custom gradients."""
    return is_in_block("no custom gradients")


def custom_gradient(function: Callable) -> Callable:
    """`tf.custom_gradient` for `function(*tensors) -> (value, gradient)`, which must be free of side effects.

    `gradient` may close over `function`'s tensors, unless it has a custom gradient in turn: that takes them as
    arguments. In a graph the result is a function call, which TensorFlow inlines before it optimises.
    """
    differentiable = tf.custom_gradient(function)
    # Graphs with compiled chains must not get into those that are free of them.
    traced = {allowed: tf.function(differentiable, autograph=False) for allowed in (False, True)}
    atexit.register(traced.clear)  # While TensorFlow is still there to free them.

    @functools.wraps(function)
    def chosen(*tensors):
        if are_left_out():
            return function(*tensors)[0]
        if tf.executing_eagerly():
            return differentiable(*tensors)
        # Called directly, TensorFlow would warn of many traces: there is one for each layer's shape.
        return traced[are_chains_allowed()].get_concrete_function(*tensors)(*tensors)

    return chosen
