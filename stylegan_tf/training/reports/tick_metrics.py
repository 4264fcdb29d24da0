"""The metrics of the iterations since the last tick, and whether they show how the training of a GAN fails."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_TICKS = 5  # In a row, before a symptom is reported: a rare one means nothing.
_COLLAPSED = 0.2  # Variety of generated images by that of reals.
_STANDSTILL = 0.5  # Change from grid to grid, rms of 255 levels.
_WON = 15.0  # Difference of the mean scores; under the logistic loss some 3 in a healthy run.


class Health:
    """Looks at the record of every tick; a symptom that lasts is reported once, and again if it returns."""

    def __init__(self, scores_are_logits: bool):
        """scores_are_logits: of the logistic loss; others' scores have no scale that could be judged."""
        self._scores_are_logits = scores_are_logits
        self._ticks: dict[str, int] = {}  # With each symptom, in a row.

    def warnings(self, record: Mapping[str, Any]) -> list[str]:
        symptoms = self._symptoms(record)
        self._ticks = {text: self._ticks.get(text, 0) + 1 for text in symptoms}
        return [
            f"warning: {text}: see docs/troubleshooting.md" for text, ticks in self._ticks.items() if ticks == _TICKS
        ]

    def _symptoms(self, record: Mapping[str, Any]) -> list[str]:
        found = []
        if record.get("fake_variety", 1.0) < _COLLAPSED * record.get("real_variety", 0.0):
            found.append("looks collapsed: generated images differ less than a fifth as much as reals do")
        if record.get("grid_change", 1.0) < _STANDSTILL:
            found.append("generated images hardly change any more")
        difference = record.get("real_score", 0.0) - record.get("fake_score", 0.0)
        if self._scores_are_logits and difference > _WON:
            found.append("the discriminator wins: it tells every generated image from reals, with scores far apart")
        return found


class TickMetrics:
    """Collects tensors without waiting for the device; numbers are fetched on demand."""

    def __init__(self):
        self._pending: list[Mapping[str, tf.Tensor]] = []
        self._collected: list[dict[str, float]] = []

    def __bool__(self) -> bool:
        return bool(self._pending or self._collected)

    def add(self, metrics: Mapping[str, tf.Tensor]) -> None:
        self._pending.append(metrics)

    def collect(self) -> list[dict[str, float]]:
        """Waits for the iterations since the last call; returns their metrics."""
        new = [{name: float(value) for name, value in metrics.items()} for metrics in self._pending]
        self._pending = []
        self._collected += new
        return new

    def take_means(self) -> dict[str, float]:
        """Means over the finite values since the last tick, without names that have none; starts a new tick."""
        self.collect()
        values = {name: [metrics[name] for metrics in self._collected] for name in self._collected[0]}
        self._collected = []
        # With lazy R1 not every iteration computes it; it is NaN there.
        return {name: float(np.nanmean(calls)) for name, calls in values.items() if not np.isnan(calls).all()}
