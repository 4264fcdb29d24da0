"""A run that is as small as the real thing gets: narrow networks, a few images."""

import numpy as np

from stylegan_tf.config import (
    DiscriminatorConfig,
    GeneratorConfig,
    LossConfig,
    ScheduleConfig,
    TrainConfig,
    WriteOptions,
)
from stylegan_tf.data.making.writer import write_tfrecords
from tests.helpers.array_source import ArraySource


def write_images(dest, count=32, resolution=16, labels=None, num_channels=3):
    """A dataset of smooth random images."""
    coarse = np.random.RandomState(0).uniform(0, 255, [count, 4, 4, num_channels])
    images = coarse.repeat(resolution // 4, 1).repeat(resolution // 4, 2).astype(np.uint8)
    return write_tfrecords(ArraySource(images, labels), dest, WriteOptions(shards=2))


def tiny_config(data_dir, run_dir, schedule=None, losses=None, generator=None, **options):
    """Batch 8; one level lasts 32 images, one fade 32."""
    widths = {"resolution": 4, "fmap_base": 32, "fmap_max": 8}
    vectors = {"latent_size": 16, "dlatent_size": 16, "mapping_fmaps": 16, "mapping_layers": 2}
    growth = {"start_resolution": 4, "training_kimg": 0.032, "transition_kimg": 0.032, "batch_sizes": {4: 8}}
    settings = {"total_kimg": 0.16, "iterations_per_update": 2, "grid_columns": 4, "grid_rows": 1, **options}
    return TrainConfig(
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        schedule=ScheduleConfig(**{**growth, "tick_kimg": {4: 0.032}, **(schedule or {})}),
        losses=LossConfig(**(losses or {})),
        generator=GeneratorConfig(**{**widths, **vectors, **(generator or {})}),
        discriminator=DiscriminatorConfig(**widths),
        **settings,
    )
