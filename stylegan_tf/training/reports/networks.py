"""The network files of a run: one every few ticks, and the best one by a metric."""

import math
import pathlib
from typing import Any, Callable, Optional

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.networks.network_file import BEST_NAME, file_name, find_networks, read_architecture, save_networks
from stylegan_tf.training.reports.disk import write_errors_named
from stylegan_tf.training.schedule import Phase
from stylegan_tf.training.state import TrainState


class NetworkFiles:
    """`network-NNNNNN.npz` in the run folder, of which `keep_networks` are kept."""

    def __init__(self, config: TrainConfig, info: DatasetInfo, state: TrainState):
        self._config, self._info, self._state = config, info, state
        self.run_dir = pathlib.Path(config.run_dir)

    def write(self, phase: Phase) -> None:
        path = self.run_dir / file_name(self._state.images_seen / 1000)
        self.save(path, phase)
        if self._config.keep_networks is not None:
            paths = find_networks(self.run_dir)
            with write_errors_named(self.run_dir):
                for old in paths[: paths.index(path) + 1][: -self._config.keep_networks]:
                    old.unlink()

    def save(self, path: pathlib.Path, phase: Phase, **metadata: Any) -> None:
        metadata.update(
            kimg=self._state.images_seen / 1000,
            dataset=self._info.name,
            mirror_augment=self._config.mirror_augment,
            **phase.growth.to_metadata(),
        )
        if self._state.generator.config.label_size:
            metadata["label_names"] = list(self._info.label_names)
        if self._info.relative_box is not None:  # Letterboxed pictures: `generate` crops the bars.
            metadata["content_box"] = self._info.relative_box
        if self._info.aspect_ratio is not None:  # Stretched ones: `generate` restores their shape.
            metadata["aspect_ratio"] = self._info.aspect_ratio
        with write_errors_named(path):
            save_networks(path, self._state.networks(metadata))


class BestNetwork:
    """`network-best.npz`: the network with the lowest value of the metric `keep_best`, which its metadata has."""

    def __init__(self, config: TrainConfig, files: NetworkFiles, state: TrainState, finish: Callable[[], None]):
        """finish: called when `patience` measurements have brought nothing better."""
        self._config, self._files, self._state, self._finish = config, files, state, finish
        self._path = files.run_dir / BEST_NAME
        self._best: dict[str, Any] = {}
        if config.keep_best and self._path.exists():
            best = read_architecture(self._path)[1].get("best", {})
            self._best = best if best.get("metric") == config.keep_best else {}
            self._end_if_nothing_better()

    def consider(self, metric: str, value: float, phase: Phase) -> Optional[str]:
        """Keeps the network if it is better; returns a line that says so."""
        if metric != self._config.keep_best or not math.isfinite(value):
            return None
        if not self._best or value < self._best["value"]:
            self._best = {"metric": metric, "value": float(value), "ticks": self._state.ticks}
            self._files.save(self._path, phase, best=self._best)
            return f"best {metric} so far: {value:.5g}, kept as {self._path.name}"
        return self._end_if_nothing_better()

    def _end_if_nothing_better(self) -> Optional[str]:
        measurements = (self._state.ticks - self._best.get("ticks", 0)) // self._config.metric_ticks
        if self._config.patience is None or not self._best or measurements < self._config.patience:
            return None
        self._finish()
        return f"no better {self._config.keep_best} in {measurements} measurements: the run ends (`patience`)"
