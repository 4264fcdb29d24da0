"""Compiling single chains of element-wise operations with XLA, inside a graph that TensorFlow runs as usual.

On a CPU, XLA is slow at convolutions, but a chain of element-wise operations becomes one pass over memory.
"""

from typing import Callable

import tensorflow as tf

from stylegan_tf.ops.plain_form import is_plain

_LEAST_ELEMENTS = 2**16  # Below, starting a compiled chain costs what it saves.


def compiled_for_cpu(function: Callable) -> Callable:
    """`function` of tensors, compiled where that pays; it must be free of side effects."""
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def chosen(x, *others):
        return (compiled if pays(x) else function)(x, *others)

    return chosen


def pays(x: tf.Tensor) -> bool:
    """Whether a chain over x is to be compiled: traced, with a known and large shape, and without a GPU or TPU.

    Exported models have open batch sizes and so do not depend on XLA.
    """
    if is_plain() or tf.executing_eagerly() or not x.shape.is_fully_defined():
        return False
    return x.shape.num_elements() >= _LEAST_ELEMENTS and not _has_accelerator()


def _has_accelerator() -> bool:
    return any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))
