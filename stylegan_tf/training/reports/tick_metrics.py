"""The metrics of the iterations since the last tick."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


class TickMetrics:
    """Tensors go in; nothing waits for the device before somebody wants to see numbers."""

    def __init__(self):
        self._pending: list[Mapping[str, tf.Tensor]] = []
        self._collected: list[dict[str, float]] = []

    def __bool__(self) -> bool:
        return bool(self._pending or self._collected)

    def add(self, metrics: Mapping[str, tf.Tensor]) -> None:
        self._pending.append(metrics)

    def collect(self) -> list[dict[str, float]]:
        """Waits for the iterations since the last call; returns theirs."""
        new = [{name: float(value) for name, value in metrics.items()} for metrics in self._pending]
        self._pending = []
        self._collected += new
        return new

    def take_means(self) -> dict[str, float]:
        """Means over the finite values since the last tick, without names that have none; a new tick begins."""
        self.collect()
        values = {name: [metrics[name] for metrics in self._collected] for name in self._collected[0]}
        self._collected = []
        # With --r1_interval not every iteration computes R1; it is NaN there.
        return {name: float(np.nanmean(calls)) for name, calls in values.items() if not np.isnan(calls).all()}
