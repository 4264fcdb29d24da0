"""Validated options as frozen dataclasses. No TensorFlow here, so that `--help` is instant.

option.py       what an option is: its help, its group in `--help`, its bounds
networks.py     the architectures of generator and discriminator
training.py     schedule, losses, and the training run
data.py         what becomes of the pictures of a new data set, and how it is written
projection.py   the search for the latent of a picture
serving.py      an export
classifiers.py  classifiers of attributes, for metrics
explorer.py     how the page of `explore` is served
blending.py     networks made of others
nearest.py      the nearest real images
"""

from stylegan_tf.config.blending import BlendOptions
from stylegan_tf.config.classifiers import ClassifierTraining
from stylegan_tf.config.data import PictureOptions, SourceOptions, WriteOptions
from stylegan_tf.config.nearest import NearestOptions
from stylegan_tf.config.networks import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.projection import ProjectionConfig
from stylegan_tf.config.serving import ServingOptions
from stylegan_tf.config.training import AUGMENTATIONS, INCEPTION, PRECISIONS, LossConfig, ScheduleConfig, TrainConfig

__all__ = [
    "AUGMENTATIONS",
    "INCEPTION",
    "PRECISIONS",
    "BlendOptions",
    "ClassifierTraining",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "LossConfig",
    "NearestOptions",
    "PictureOptions",
    "ProjectionConfig",
    "ScheduleConfig",
    "ServingOptions",
    "SourceOptions",
    "TrainConfig",
    "WriteOptions",
]
