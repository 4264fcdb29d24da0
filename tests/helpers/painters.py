"""Tiny generators as sources of pictures."""

from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from tests.helpers import tiny_networks as tiny

LARGE = {"resolution": 16}  # One coarse, one middle and one fine level.


def painter(seed=0, psi=1.0, cutoff=None, noise_mode="const", label=None, content_box=None, **options):
    """(Painter, its generator)."""
    generator, _ = tiny.generator(seed, **{**LARGE, **options})
    return Painter(generator, label, content_box, Truncation(psi, cutoff), noise_mode), generator
