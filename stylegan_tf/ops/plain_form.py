"""Which form of the operations is traced: the fast one, or the plain one that reads like the paper.

The plain form is the reference: upscale then convolve, convolve then downscale, one TensorFlow op after the other.
Tests compare the fast form with it on values, first and second derivatives; stylegan_tf.benchmark measures both.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Callable

_blocks: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("blocks", default=())


@contextlib.contextmanager
def block(name: str) -> Iterator[None]:
    """Everything that this thread runs or traces before the exit is in the block `name`. Blocks may overlap."""
    _blocks.set((*_blocks.get(), name))
    try:
        yield
    finally:
        remaining = list(_blocks.get())
        remaining.remove(name)
        _blocks.set(tuple(remaining))


def is_in_block(name: str) -> bool:
    return name in _blocks.get()


def in_same_blocks(function: Callable) -> Callable:
    """`function`, to be called in the blocks of now by another thread: strategies trace every replica in its own."""
    names = _blocks.get()

    @functools.wraps(function)
    def call(*args, **kwargs):
        token = _blocks.set(names)
        try:
            return function(*args, **kwargs)
        finally:
            _blocks.reset(token)

    return call


def plain_form():
    """What runs or is traced in this block takes the plain form."""
    return block("plain form")


def is_plain() -> bool:
    return is_in_block("plain form")
