"""Trainable parameters at 1024x1024: the paper's Table 1 architectures to the last weight."""

import math

import pytest
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import trainable_variables
from tests.helpers import tiny_networks as tiny

SYNTHESIS = 24118379
MAPPING = 2101248


@pytest.fixture(autouse=True)
def quick_initializers(monkeypatch):
    """Zeros in place of random numbers: only sizes matter here."""
    monkeypatch.setattr(tf.keras.initializers, "RandomNormal", lambda stddev: "zeros")


def _count(network):
    return sum(math.prod(variable.shape) for variable in trainable_variables(network).values())


@pytest.mark.parametrize(
    "options, expected",
    [
        (tiny.ROWS["a"], 23079115),
        (tiny.ROWS["b"], 23079115),
        (tiny.ROWS["c"], 30400651),
        (tiny.ROWS["d"], 26214539),
        (tiny.ROWS["f"], SYNTHESIS + MAPPING),
        # Table 4: depth of the mapping network.
        ({"mapping_layers": 0}, 24118379),
        ({"mapping_layers": 1}, 24381035),
        ({"mapping_layers": 2}, 24643691),
        ({**tiny.ROWS["b"], "mapping_layers": 8}, 25180363),
    ],
    ids=["a", "b", "c", "d", "e and f", "mapping 0", "mapping 1", "mapping 2", "traditional, mapping 8"],
)
def test_generators_have_the_papers_number_of_parameters(options, expected):
    assert _count(Generator(GeneratorConfig(**options))) == expected


def test_the_parts_of_config_f_add_up():
    generator = Generator(GeneratorConfig())
    assert _count(generator.synthesis) == SYNTHESIS
    assert _count(generator.mapping_network) == MAPPING


@pytest.mark.parametrize("blur", [True, False])
def test_the_discriminator_has_the_papers_number_of_parameters(blur):
    assert _count(Discriminator(DiscriminatorConfig(blur=blur))) == 23087249
