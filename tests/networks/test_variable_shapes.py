"""Shapes that follow from the options: the same as those of the networks themselves."""

import math

import pytest

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import named_variables, trainable_variables
from stylegan_tf.networks.variable_shapes import count_parameters, variable_shapes

SIZES = {"resolution": 16, "fmap_base": 32, "fmap_max": 6}
VECTORS = {"latent_size": 5, "dlatent_size": 7, "mapping_layers": 2, "mapping_fmaps": 9}
PLAIN = {"use_styles": False, "const_input": False, "use_noise": False, "use_instance_norm": False}
GENERATORS = [
    {},
    {"mapping_layers": 0},
    {"mapping_layers": 1, "num_channels": 1},
    {"use_noise": False, "const_input": False, "resolution": 4},
    PLAIN,
    {"label_size": 3},
    {"label_size": 3, "mapping_layers": 0, "embed_labels": False, **PLAIN},
]
CONFIGS = [GeneratorConfig(**{**SIZES, **VECTORS, **options}) for options in GENERATORS]
CONFIGS += [
    DiscriminatorConfig(**{**SIZES, **options})
    for options in ({}, {"mbstd_group_size": 0}, {"label_size": 3}, {"label_size": 3, "use_labels": False})
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_shapes_and_counts_are_those_of_the_networks(config):
    network = (Generator if isinstance(config, GeneratorConfig) else Discriminator)(config)
    expected = {name: tuple(variable.shape) for name, variable in named_variables(network).items()}
    assert variable_shapes(config) == expected
    trainable = sum(math.prod(variable.shape) for variable in trainable_variables(network).values())
    assert count_parameters(config) == trainable


def test_the_papers_networks_are_counted_without_building_them():
    assert count_parameters(GeneratorConfig()) == 26_219_627
    assert count_parameters(DiscriminatorConfig()) == 23_087_249
