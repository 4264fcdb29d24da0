"""Single chains of element-wise operations compiled with XLA, inside a graph that TensorFlow runs as usual.

On a CPU, XLA is slow at convolutions, but a chain of element-wise operations becomes one pass over memory. Graphs with
such chains run in TensorFlow only: training and metrics ask for them; graphs that are served or converted to TFLite or
ONNX have none.
"""

from typing import Callable

import tensorflow as tf

from stylegan_tf.ops.plain_form import block, is_in_block, is_plain

_LEAST_ELEMENTS = 2**16  # Below, starting a compiled chain costs what it saves.


def compiled_chains():
    """What is traced in this block may have compiled chains, see `is_compiled`."""
    return block("compiled chains")


def are_chains_allowed() -> bool:
    return is_in_block("compiled chains")


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
    return x.shape.num_elements() >= _LEAST_ELEMENTS and not _has_accelerator()


def _has_accelerator() -> bool:
    return any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))
