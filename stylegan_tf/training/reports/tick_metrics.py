"""The metrics of the iterations since the last tick."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


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
