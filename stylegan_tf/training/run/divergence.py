"""How a run shows that it no longer learns: each function gives the symptom in words, or None."""

import math
from collections.abc import Mapping, Sequence
from typing import Optional

from stylegan_tf.training.run.state import TrainState

MOST_SKIPPED = 100  # Steps in a row. A rare one is an accident; so many are a network that no longer learns.


def symptom_of_losses(iterations: Sequence[Mapping[str, float]]) -> Optional[str]:
    """One step with a loss that is not finite is skipped; if all of several are, nothing is learnt any more."""
    if len(iterations) < 2:
        return None
    for name in iterations[0]:
        values = [metrics[name] for metrics in iterations]
        if name != "r1" and not any(map(math.isfinite, values)):  # R1 is in d_loss.
            return f"{name} is not finite"
    return None


def symptom_of_steps(state: TrainState) -> Optional[str]:
    for name, adam in state.optimizers.items():
        if adam.skipped_in_a_row >= MOST_SKIPPED:
            return f"the last {adam.skipped_in_a_row} gradients of the {name} are not finite"
    return None


def symptom_of_weights(state: TrainState) -> Optional[str]:
    """What holds NaN or infinity may not be written over what is good."""
    name = state.first_non_finite()
    return None if name is None else f"{name} is not finite"
