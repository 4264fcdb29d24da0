"""The pictures of a run folder: `reals.png` and `fakesNNNNNN.png`."""

import pathlib

import numpy as np
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo, data_errors_named
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.training.run.state import TrainState
from stylegan_tf.training.schedule import Phase
from stylegan_tf.visualize import image_grid, save_image
from stylegan_tf.visualize.sampling import Sampler


def save_reals(config: TrainConfig, info: DatasetInfo, resolution: int, path: pathlib.Path) -> None:
    """A grid of real images at full resolution."""
    save_image(image_grid(_first_batch(config, info, resolution)["images"], config.grid_columns), path)


class SampleGrid:
    """The same latents (and labels: those of the first real images) through the averaged generator, again and again."""

    def __init__(self, config: TrainConfig, info: DatasetInfo, state: TrainState):
        self._columns = config.grid_columns
        self._architecture = state.generator_ema.config
        self._sampler = Sampler(state.generator_ema, Truncation(config.truncation_psi, config.truncation_cutoff))
        count = config.grid_columns * config.grid_rows
        self._z = np.random.RandomState(config.seed).randn(count, self._architecture.latent_size).astype(np.float32)
        labeled = self._architecture.label_size
        self._labels = _first_batch(config, info, min(info.levels))["labels"] if labeled else None

    def save(self, path: pathlib.Path, phase: Phase) -> np.ndarray:
        """Writes the grid, enlarged to full resolution while the networks grow; returns it, uint8 [H, W, C]."""
        images = np.concatenate(list(self._sampler.images(self._z, self._labels, phase.growth)))
        factor = self._architecture.resolution // phase.resolution
        grid = image_grid(images.repeat(factor, axis=1).repeat(factor, axis=2), self._columns)
        save_image(grid, path)
        return grid


def _first_batch(config: TrainConfig, info: DatasetInfo, resolution: int):
    count = config.grid_columns * config.grid_rows
    # A small buffer: at full resolution that of training would take gigabytes and as many seconds to fill.
    dataset = training_dataset(info, resolution, count, config.seed, shuffle_images=2 * count)
    with data_errors_named(info, resolution):
        return tf.nest.map_structure(lambda x: x.numpy(), next(iter(dataset)))
