"""Precision of activations as Keras names it. Weights stay float32 in all of them."""

from collections.abc import Sequence
from typing import Optional

from stylegan_tf.errors import UserError

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# float16 has a narrow range: the few highest resolutions, where nearly all time goes, take it. 4x4 does only if asked
# for: its first layer normalises what is nearly a constant map, which multiplies gradients by up to 1e4.
_FLOAT16_LEVELS = 4
# Far above the activations of a healthy network, and far enough below float16's largest value of 65504 for the sums
# of the next convolution.
FLOAT16_CLAMP = 256.0


def level_policies(precision: str, resolutions: Sequence[int], half_levels: Optional[int] = None) -> dict[int, str]:
    """The Keras dtype policy of every level of a network, by resolution.

    Args:
      precision: float32, bfloat16 or float16.
      resolutions: all levels, e.g. (4, 8, 16), at any stage of progressive growing.
      half_levels: how many of the highest compute in half precision; None: all in bfloat16, 4 (above
        4x4) in float16.
    """
    if precision not in _POLICIES:
        raise UserError(f"precision must be one of {', '.join(_POLICIES)}, got {precision!r}.")
    if half_levels is None:
        half_levels = min(_FLOAT16_LEVELS, len(resolutions) - 1) if precision == "float16" else len(resolutions)
    lowest = sorted(resolutions, reverse=True)[:half_levels]
    return {r: _POLICIES[precision] if r in lowest else "float32" for r in resolutions}


def check_policies(policies: Sequence[str]) -> None:
    """UserError for a policy that is none of `level_policies`."""
    unknown = [policy for policy in policies if policy not in list(_POLICIES.values())]
    if unknown:
        raise UserError(f"dtype policies must be among {', '.join(_POLICIES.values())}, got {unknown[0]!r}.")


def convolution_clamp(policy: str) -> Optional[float]:
    """The limit of a convolution's outputs under a policy; None: no limit."""
    return FLOAT16_CLAMP if policy == "mixed_float16" else None
