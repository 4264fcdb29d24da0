"""Precision of activations as Keras names it. Weights stay float32 in all of them."""

from stylegan_tf.errors import UserError

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def policy(precision: str) -> str:
    """The Keras dtype policy for --precision."""
    if precision not in _POLICIES:
        raise UserError(f"precision must be one of {', '.join(_POLICIES)}, got {precision!r}.")
    return _POLICIES[precision]
