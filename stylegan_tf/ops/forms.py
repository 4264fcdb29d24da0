"""Which form of an operation is traced: the fast one, or the plain one that reads like the paper.

The plain form is the reference: upscale then convolve, convolve then downscale, one TensorFlow op after the other.
Tests compare the fast form with it on values, first and second derivatives; stylegan_tf.benchmark measures both.

Chains of element-wise operations may be compiled with XLA: on a CPU, XLA is slow at convolutions, but such a chain
becomes one pass over memory. Graphs with compiled chains run in TensorFlow only: training and metrics ask for them;
graphs that are served or converted to TFLite or ONNX have none. Custom gradients are here as well, as graphs that are
written to a file leave them out.
"""

import atexit
import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Callable

import tensorflow as tf

_modes: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("modes", default=())
_MIN_ELEMENTS = 2**16  # Below, starting a compiled chain costs what it saves.


@contextlib.contextmanager
def mode(name: str) -> Iterator[None]:
    """Everything that this thread runs or traces before the exit is in the mode `name`. Modes may overlap."""
    _modes.set((*_modes.get(), name))
    try:
        yield
    finally:
        remaining = list(_modes.get())
        remaining.remove(name)
        _modes.set(tuple(remaining))


def is_in_mode(name: str) -> bool:
    return name in _modes.get()


def with_current_modes(function: Callable) -> Callable:
    """`function`, for another thread, in the modes that are active now: strategies trace each replica in its own."""
    names = _modes.get()

    @functools.wraps(function)
    def call(*args, **kwargs):
        token = _modes.set(names)
        try:
            return function(*args, **kwargs)
        finally:
            _modes.reset(token)

    return call


def plain_form():
    """What runs or is traced in this block takes the plain form."""
    return mode("plain form")


def is_plain() -> bool:
    return is_in_mode("plain form")


def compiled_chains():
    """What is traced in this block may have compiled chains, see `is_compiled`."""
    return mode("compiled chains")


def are_chains_allowed() -> bool:
    return is_in_mode("compiled chains")


def compiled_for_cpu(function: Callable) -> Callable:
    """`function` of tensors, compiled where `is_compiled` says so of the first; it must be free of side effects."""
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def chosen(x, *others):
        return (compiled if is_compiled(x) else function)(x, *others)

    return chosen


def is_compiled(x: tf.Tensor) -> bool:
    """Whether a chain over x is to be compiled: traced in `compiled_chains`, with a known and large shape, on a CPU."""
    if not are_chains_allowed() or is_plain() or tf.executing_eagerly() or not x.shape.is_fully_defined():
        return False
    return x.shape.num_elements() >= _MIN_ELEMENTS and not _has_accelerator()


def _has_accelerator() -> bool:
    return any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))


def without_custom_gradients():
    """What is traced in this block has TensorFlow's gradients only: for graphs that are written to a file."""
    return mode("no custom gradients")


def custom_gradients_disabled() -> bool:
    """Whether what is traced now gets no custom gradients."""
    return is_in_mode("no custom gradients")


def custom_gradient(function: Callable) -> Callable:
    """`tf.custom_gradient` for `function(*tensors) -> (value, gradient)`, which must be free of side effects.

    TensorFlow registers every custom gradient that is traced for the life of the process, and with it the whole graph
    around it: graphs that are traced again and again would never be freed. So each such function gets a small graph of
    its own, traced once per shape, which larger graphs only call.

    `gradient` may close over `function`'s tensors, unless it has a custom gradient in turn: that takes them as
    arguments. In a graph the result is a function call, which TensorFlow inlines before it optimises.
    """
    differentiable = tf.custom_gradient(function)
    # Graphs with compiled chains must not get into those that are free of them.
    traced = {allowed: tf.function(differentiable, autograph=False) for allowed in (False, True)}
    atexit.register(traced.clear)  # While TensorFlow is still there to free them.

    @functools.wraps(function)
    def chosen(*tensors):
        if custom_gradients_disabled():
            return function(*tensors)[0]
        if tf.executing_eagerly():
            return differentiable(*tensors)
        # Called directly, TensorFlow would warn of many traces: there is one for each layer's shape.
        return traced[are_chains_allowed()].get_concrete_function(*tensors)(*tensors)

    return chosen
