"""Which form of the computation is traced: the fast one, or the plain one that reads like the paper.

The plain form is the reference: upscale then convolve, convolve then downscale, one TensorFlow op after the other.
Tests compare the fast form with it on values, first and second derivatives; stylegan_tf.benchmark measures both.
"""

import contextlib
from collections.abc import Iterator

_plain = False


@contextlib.contextmanager
def plain_form() -> Iterator[None]:
    """Whatever runs eagerly, or is traced, in this block takes the plain form."""
    global _plain  # Not a context variable: the replicas of a strategy are traced in threads of their own.
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def is_plain() -> bool:
    return _plain
