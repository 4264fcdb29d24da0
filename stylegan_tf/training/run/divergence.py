"""Signs that a run no longer learns: each function returns the symptom, or None."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Optional

from stylegan_tf.training.state import TrainState

MAX_SKIPPED = 100  # Steps in a row: a single one is an accident, so many are a network that no longer learns.


@dataclasses.dataclass(frozen=True)
class Symptom:
    """What shows that a run diverged, and in which network."""

    text: str
    of_discriminator: bool = False  # Else of the generator, or of both.


def symptom_of_losses(iterations: Sequence[Mapping[str, float]]) -> Optional[Symptom]:
    """A step with a loss that is not finite is skipped; if all of several are, nothing is learnt any more."""
    if len(iterations) < 2:
        return None
    for name in iterations[0]:
        values = [metrics[name] for metrics in iterations]
        if name != "r1" and not any(map(math.isfinite, values)):  # R1 is in d_loss.
            return Symptom(f"{name} is not finite", name == "d_loss")
    return None


def symptom_of_steps(state: TrainState) -> Optional[Symptom]:
    for name, adam in state.optimizers.items():
        if adam.skipped_in_a_row >= MAX_SKIPPED:
            text = f"the last {adam.skipped_in_a_row} gradients of the {name} are not finite"
            return Symptom(text, name == "discriminator")
    return None


def symptom_of_weights(state: TrainState) -> Optional[Symptom]:
    """NaN or infinity must not replace a good checkpoint."""
    name = state.first_non_finite()
    return None if name is None else Symptom(f"{name} is not finite", "discriminator" in name)
