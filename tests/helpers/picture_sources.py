"""Tiny generators as sources of pictures."""

from stylegan_tf.visualize.picture_source import PictureSource
from tests.helpers import tiny_networks as tiny

LARGE = {"resolution": 16}  # One coarse, one middle and one fine level.


def source(seed=0, psi=None, cutoff=None, noise_mode="const", label=None, content_box=None, **options):
    """(PictureSource, its generator)."""
    generator, _ = tiny.generator(seed, **{**LARGE, **options})
    return PictureSource(generator, label, content_box, psi, cutoff, noise_mode), generator
