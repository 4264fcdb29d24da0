"""What a run leaves in its folder for people, beside logs and checkpoints: pictures and network files."""

import pathlib

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.networks.network_file import file_name, save_networks
from stylegan_tf.schedule import Phase
from stylegan_tf.training.grids import SampleGrid, save_reals
from stylegan_tf.training.reporting import RunReport
from stylegan_tf.training.run_folder import write_errors_named
from stylegan_tf.training.state import TrainState


class Outputs:
    """Writes grids and network files when they are due. Raises UserError, naming the file, where that fails."""

    def __init__(self, config: TrainConfig, info: DatasetInfo, state: TrainState, report: RunReport):
        self._config, self._info, self._state, self._report = config, info, state, report
        self._run_dir = pathlib.Path(config.run_dir)
        self._grid = SampleGrid(config, info, state)

    def first_pictures(self, phase: Phase) -> None:
        """The reals, and what the untrained generator makes."""
        path = self._run_dir / "reals.png"
        with write_errors_named(path):
            save_reals(self._config, self._info, self._state.generator.config.resolution, path)
        self._save_grid(phase)

    def tick(self, phase: Phase) -> None:
        """What is due at this tick; `state.ticks` counts it."""
        if self._state.ticks % self._config.image_ticks == 0:
            self._save_grid(phase)
        if self._state.ticks % self._config.network_ticks == 0:
            self._save_networks()

    def last(self, phase: Phase, grid: bool) -> None:
        """The networks as they are at the end of the run, and a grid unless there is no time for it."""
        self._save_networks()
        if grid:
            self._save_grid(phase)

    def _save_grid(self, phase: Phase) -> None:
        path = self._run_dir / f"fakes{round(self._state.images_seen / 1000):06d}.png"
        with write_errors_named(path):
            self._report.images("fakes", self._grid.save(path, phase)[None], self._state.images_seen)

    def _save_networks(self) -> None:
        path = self._run_dir / file_name(self._state.images_seen / 1000)
        metadata = {"kimg": self._state.images_seen / 1000, "dataset": self._info.name}
        if self._info.relative_box is not None:  # Letterboxed pictures: `generate` cuts the bars off.
            metadata["content_box"] = self._info.relative_box
        with write_errors_named(path):
            save_networks(path, self._state.networks(metadata))
