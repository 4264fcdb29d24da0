"""Validated options as frozen dataclasses. No TensorFlow here, so that `--help` is instant.

option.py       the definition of an option: its help, its group in `--help`, its bounds
networks.py     the architectures of generator and discriminator
training.py     schedule, losses, and the training run
data.py         how the pictures of a new dataset are processed, and how it is written
metrics.py      measuring networks, classifiers of attributes, nearest real images
editing.py      finding the latent of a picture, directions, blending networks
serving.py      exports, and how the page of `explore` is served
callbacks.py    no options: how library functions report progress; errors.py: the errors that users see
"""

from stylegan_tf.config.data import PictureOptions, SourceOptions, WriteOptions
from stylegan_tf.config.editing import BlendOptions, DirectionOptions, ProjectionConfig
from stylegan_tf.config.metrics import ClassifierTraining, EvaluationOptions, NearestOptions
from stylegan_tf.config.networks import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.serving import PageServerConfig, ServingOptions
from stylegan_tf.config.training import AUGMENTATIONS, INCEPTION, PRECISIONS, LossConfig, ScheduleConfig, TrainConfig

__all__ = [
    "AUGMENTATIONS",
    "INCEPTION",
    "PRECISIONS",
    "BlendOptions",
    "ClassifierTraining",
    "DirectionOptions",
    "DiscriminatorConfig",
    "EvaluationOptions",
    "GeneratorConfig",
    "LossConfig",
    "NearestOptions",
    "PageServerConfig",
    "PictureOptions",
    "ProjectionConfig",
    "ScheduleConfig",
    "ServingOptions",
    "SourceOptions",
    "TrainConfig",
    "WriteOptions",
]
