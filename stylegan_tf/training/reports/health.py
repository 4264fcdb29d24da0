"""Watches a run for the common ways in which the training of a GAN fails (docs/troubleshooting.md)."""

from collections.abc import Mapping
from typing import Any

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
