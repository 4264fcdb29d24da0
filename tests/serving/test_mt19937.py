"""The random number generator in the graph against NumPy's."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.serving.mt19937 import standard_normal

SEEDS = [0, 1, 5, 12345, 2**31 - 1, 2**31, 2**32 - 1]


@functools.cache
def traced(size):
    spec = tf.TensorSpec([None], tf.int64)
    return tf.function(lambda seeds: standard_normal(seeds, size), input_signature=[spec], autograph=False)


def latents(seeds, size):
    return traced(size)(tf.constant(seeds, tf.int64)).numpy()


def numpys(seeds, size):
    return np.stack([np.random.RandomState(seed).randn(1, size)[0] for seed in seeds]).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 7, 128, 512])  # The last needs three states of the Mersenne Twister.
def test_latents_are_those_of_numpys_random_state(size):
    np.testing.assert_array_max_ulp(latents(SEEDS, size), numpys(SEEDS, size), maxulp=1)


def test_a_batch_of_seeds_equals_each_alone():
    seeds = list(range(300))
    together = latents(seeds, 64)
    np.testing.assert_array_max_ulp(together, numpys(seeds, 64), maxulp=1)
    np.testing.assert_array_equal(latents([299], 64), together[-1:])
    assert (together == numpys(seeds, 64)).mean() > 0.9999


def test_no_seeds_give_no_latents():
    assert latents([], 5).shape == (0, 5)
