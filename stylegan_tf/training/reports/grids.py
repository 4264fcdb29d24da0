"""The pictures of a run folder: `reals.png` and `fakesNNNNNN.png`."""

import pathlib
from collections.abc import Mapping
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.training import parse_planes
from stylegan_tf.data.dataset_files import DatasetInfo, data_errors_named, load_labels
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.training.reports.disk import write_errors_named
from stylegan_tf.training.reports.reporting import RunReport
from stylegan_tf.training.schedule import Phase
from stylegan_tf.training.state import TrainState
from stylegan_tf.visualize import image_grid, save_image
from stylegan_tf.visualize.painter import Sampler
from stylegan_tf.visualize.picture_files import as_shown

_MOST_CLASSES = 32  # That get rows of their own.


class Grids:
    """Grids of real and of generated images, the latter always of the same latents.

    Their labels are those of the first reals; where these are a few classes, each class has a row.
    """

    def __init__(self, config: TrainConfig, info: DatasetInfo, state: TrainState, report: RunReport):
        self._config, self._info, self._state, self._report = config, info, state, report
        self._run_dir = pathlib.Path(config.run_dir)
        self._architecture = state.generator_ema.config
        self._sampler = Sampler(state.generator_ema, Truncation(config.truncation_psi, config.truncation_cutoff))
        count = config.grid_columns * config.grid_rows
        self._z = np.random.RandomState(config.seed).randn(count, self._architecture.latent_size).astype(np.float32)
        self._labels = None
        if self._architecture.label_size:
            self._labels = self._first_batch(min(info.levels))["labels"]
            classes = self._labels.shape[1]
            if 1 < classes <= _MOST_CLASSES and np.isin(load_labels(info).sum(axis=1), 1).all():
                self._labels = np.eye(classes, dtype=np.float32).repeat(config.grid_columns, axis=0)
                self._z = np.tile(self._z[: config.grid_columns], [classes, 1])
        self._previous: Optional[np.ndarray] = None  # The last grid's images.

    def write_reals(self, _phase: Phase) -> None:
        """At full resolution, whatever the level."""
        self._write("reals.png", self._first_batch(self._architecture.resolution)["images"])

    def write_fakes(self, phase: Phase) -> Mapping[str, float]:
        """Of the averaged generator, enlarged to full resolution while the networks grow; goes to the report, too.

        Returns `grid_change`: how much it differs from the last one at this resolution, rms of 255 levels.
        """
        images = np.concatenate(list(self._sampler.images(self._z, self._labels, phase.growth)))
        factor = self._architecture.resolution // phase.resolution
        images_seen = self._state.images_seen
        grid = self._write(f"fakes{round(images_seen / 1000):06d}.png", images.repeat(factor, 1).repeat(factor, 2))
        self._report.image("fakes", grid, images_seen)
        previous, self._previous = self._previous, images
        if previous is None or previous.shape != images.shape:
            return {}
        return {"grid_change": float(np.sqrt(np.mean((images - previous.astype(np.float32)) ** 2)))}

    def _write(self, name: str, images: np.ndarray) -> np.ndarray:
        grid = image_grid(as_shown(images, parse_planes(self._config.grid_planes)), self._config.grid_columns)
        with write_errors_named(self._run_dir / name):
            save_image(grid, self._run_dir / name)
        return grid

    def _first_batch(self, resolution: int):
        count = self._config.grid_columns * self._config.grid_rows
        # A small buffer: at full resolution that of training would take gigabytes and as many seconds to fill.
        dataset = training_dataset(self._info, resolution, count, self._config.seed, shuffle_images=2 * count)
        with data_errors_named(self._info, resolution):
            return tf.nest.map_structure(lambda x: x.numpy(), next(iter(dataset)))
