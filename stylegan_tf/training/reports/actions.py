"""What a run does besides training: a list of actions, each with its period in ticks. A new one is a line here."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.callbacks import StartProgress
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.training.reports.grids import Grids
from stylegan_tf.training.reports.networks import BestNetwork, NetworkFiles
from stylegan_tf.training.reports.reporting import RunReport
from stylegan_tf.training.schedule import Phase
from stylegan_tf.training.state import TrainState

# (growth, images seen) -> (line to print, scalars by name) of each metric of the averaged generator.
Measure = Callable[[Growth, int], Iterable[tuple[str, Mapping[str, float]]]]
# (data, strategy, averaged generator, images seen, progress) -> how it is measured; loads what the metrics need.
PrepareMetrics = Callable[[DatasetInfo, tf.distribute.Strategy, Generator, int, StartProgress], Measure]


@dataclasses.dataclass(frozen=True)
class TickAction:
    """Called by the chief at every `ticks`-th tick, and when a run is complete."""

    name: str
    ticks: Optional[int]  # None: only where the loop asks for it by name.
    call: Callable[[Phase], Optional[Mapping[str, float]]]  # What it returns is part of the next tick's report.
    when_stopped: bool = False  # Also when a run is stopped, in reverse order: people do not wait long then.


def tick_actions(
    config: TrainConfig,
    info: DatasetInfo,
    state: TrainState,
    report: RunReport,
    checkpoint: Callable[[], Any],
    measure: Optional[Measure],
    finish: Callable[[], None],
) -> list[TickAction]:
    """In the order in which they are called at a tick. Each raises UserError, naming the file, if a write fails.

    finish: makes the run end as complete.
    """
    grids = Grids(config, info, state, report)
    networks = NetworkFiles(config, info, state)
    best = BestNetwork(config, networks, state, finish)
    metrics = Metrics(state, report, best, measure)
    return [
        TickAction("reals", None, grids.write_reals),
        TickAction("fakes", config.image_ticks, grids.write_fakes),
        TickAction("network", config.network_ticks, networks.write, when_stopped=True),
        # After everything that it stands for is on the disk.
        TickAction("checkpoint", config.checkpoint_ticks, lambda _phase: checkpoint(), when_stopped=True),
        TickAction("metrics", config.metric_ticks, metrics.measure),
    ]


class Metrics:
    """Reports the results of `measure`, at most once for the same weights."""

    def __init__(self, state: TrainState, report: RunReport, best: BestNetwork, measure: Optional[Measure]):
        self._state, self._report, self._best, self._measure = state, report, best, measure
        self._measured_at: Optional[int] = None  # Images seen.

    def measure(self, phase: Phase) -> None:
        images_seen = self._state.images_seen
        if self._measure is None or self._measured_at == images_seen:
            return
        self._measured_at = images_seen
        for line, scalars in self._measure(phase.growth, images_seen):
            self._report.say(line)
            self._report.scalars(scalars, images_seen)
            for name, value in list(scalars.items())[:1]:  # The metric's own value comes first: "metrics/fid5k-...".
                about_best = self._best.consider(name.split("/")[1].split("-")[0], value, phase)
                if about_best:
                    self._report.say(about_best)
