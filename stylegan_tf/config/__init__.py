"""Validated options as frozen dataclasses. No TensorFlow here, so that `--help` is instant.

config/option.py    what an option is: its help, its group in `--help`, its bounds
config/networks.py  the architectures of generator and discriminator
config/training.py  schedule, losses, and the training run
config/data.py      what becomes of the pictures of a new data set, and how it is written
config/projection.py  the search for the latent of a picture
"""

from stylegan_tf.config.data import PictureOptions, SourceOptions, WriteOptions
from stylegan_tf.config.networks import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.projection import ProjectionConfig
from stylegan_tf.config.training import AUGMENTATIONS, INCEPTION, PRECISIONS, LossConfig, ScheduleConfig, TrainConfig

__all__ = [
    "AUGMENTATIONS",
    "INCEPTION",
    "PRECISIONS",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "LossConfig",
    "PictureOptions",
    "ProjectionConfig",
    "ScheduleConfig",
    "SourceOptions",
    "TrainConfig",
    "WriteOptions",
]
