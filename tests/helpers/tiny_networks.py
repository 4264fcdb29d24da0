"""Tiny networks with random weights, and the same weights in float64 for `numpy_networks`."""

import numpy as np

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from tests.helpers import numpy_networks as plain

COMMON = {"resolution": 8, "fmap_base": 32, "fmap_max": 6}  # 6 channels at 4x4 and 8x8, 4 at 16x16.
GENERATOR = {**COMMON, "latent_size": 5, "dlatent_size": 7, "mapping_layers": 2, "mapping_fmaps": 9}

# Rows of Table 1.
TRADITIONAL = {"use_styles": False, "const_input": False, "use_noise": False, "use_instance_norm": False}
TRADITIONAL["use_pixel_norm"] = True
ROWS = {
    "a": {**TRADITIONAL, "mapping_layers": 0, "blur": False, "embed_labels": False},
    "b": {**TRADITIONAL, "mapping_layers": 0},
    "c": {"const_input": False, "use_noise": False},
    "d": {"use_noise": False},
    "f": {},
}


def generator(seed=0, precision="float32", half_levels=None, growth=None, **options):
    """(generator, its weights)."""
    network = Generator(GeneratorConfig(**{**GENERATOR, **options}), precision, half_levels, growth)
    return network, plain.randomize(network, seed)


def discriminator(seed=0, precision="float32", half_levels=None, **options):
    """(discriminator, its weights)."""
    network = Discriminator(DiscriminatorConfig(**{**COMMON, **options}), precision, half_levels)
    return network, plain.randomize(network, seed)


def normal(*shape, seed=1):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def images(count, size, channels=3, seed=2):
    return np.random.RandomState(seed).uniform(-1, 1, [count, size, size, channels]).astype(np.float32)


def assert_close(ours, expected, tolerance=1e-4):
    """Largest absolute difference relative to the largest expected value."""
    expected = np.asarray(expected)
    assert np.shape(ours) == expected.shape
    difference = np.abs(np.asarray(ours) - expected).max() / np.abs(expected).max()
    assert difference <= tolerance, f"relative difference {difference}"
