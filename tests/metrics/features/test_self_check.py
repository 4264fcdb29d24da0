"""The metrics on real images: little between two halves of the demo set, more with every degradation that grows."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.data.demo import load_demo_images
from stylegan_tf.metrics.features.extractors import FeatureExtractor
from stylegan_tf.metrics.features.self_check import blurred, darkest, degraded, noisy, self_check

COUNT = 4096


@pytest.fixture(scope="module")
def images():
    """The demo set at 32x32."""
    full = load_demo_images().reshape(4096, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    return np.round(full).astype(np.uint8)[:COUNT]


@pytest.fixture(scope="module")
def extractor():
    """Two random convolutions, half of the first blind to flat areas: mean and deviation of 48 channels."""
    random = np.random.RandomState(0)
    shapes = ([3, 3, 3, 24], [3, 3, 24, 48])
    kernels = [random.randn(*shape).astype(np.float32) / np.sqrt(np.prod(shape[:3])) for shape in shapes]

    kernels[0][..., ::2] -= kernels[0][..., ::2].mean(axis=(0, 1))

    def compute(images):
        x = tf.cast(images, tf.float32) / 127.5 - 1
        for kernel in kernels:
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "VALID"))
        mean, variance = tf.nn.moments(x, axes=[1, 2])
        return {"features": 10 * tf.concat([mean, tf.sqrt(variance)], axis=-1)}

    return FeatureExtractor("random", "0", "none", 96, None, compute)


@pytest.fixture(scope="module")
def checks(images, extractor):
    return list(self_check(images, extractor, tf.distribute.OneDeviceStrategy("CPU:0")))


def _of(checks, degradation):
    found = [check for check in checks if check.degradation == degradation]
    assert len(found) == 3
    return found


@pytest.mark.parametrize("degradation", ["blur", "noise", "dropped modes"])
def test_distances_grow_with_every_harm(checks, degradation):
    for name in ("fid", "kid"):
        values = [getattr(checks[0], name)] + [getattr(check, name) for check in _of(checks, degradation)]
        assert all(more > less for less, more in itertools.pairwise(values)), (name, values)


def test_two_halves_are_no_further_apart_than_their_size_explains(checks, images, extractor):
    floor, quarter = checks[0], next(self_check(images[: COUNT // 2], extractor, tf.distribute.get_strategy()))
    assert abs(floor.kid) < 4 * floor.kid_error, "the unbiased distance is zero within its error"
    assert 0 < floor.fid < 0.05 * _of(checks, "blur")[0].fid
    # What is left is a bias in inverse proportion to the number of images.
    assert 1.5 < quarter.fid / floor.fid < 2.7
    assert floor.precision > 0.9 and floor.recall > 0.9


def test_dropped_modes_cost_recall_and_not_precision(checks):
    dropped = _of(checks, "dropped modes")
    assert all(check.precision > 0.9 for check in dropped)
    assert checks[0].recall > dropped[0].recall > dropped[1].recall > dropped[2].recall
    assert dropped[2].recall < 0.4


def test_noise_costs_precision(checks):
    assert _of(checks, "noise")[2].precision < 0.05


def test_harm_is_what_its_name_says(images):
    few = images[:20]
    assert [case[:2] for case in degraded(few, 0)] == [
        ("blur", 0.5), ("blur", 1.0), ("blur", 2.0), ("noise", 6.0), ("noise", 18.0), ("noise", 54.0),
        ("dropped modes", 0.75), ("dropped modes", 0.5), ("dropped modes", 0.25),
    ]  # fmt: skip
    gray = np.full([4, 16, 16, 1], 128, np.uint8)
    assert noisy(gray, 10, seed=0).std() == pytest.approx(10, rel=0.1)
    edge = np.zeros([1, 16, 16, 1], np.uint8)
    edge[:, :, 8:] = 200
    assert blurred(edge, 1.0).shape == edge.shape
    assert (np.diff(blurred(edge, 1.0)[0, 8, :, 0].astype(int)) >= 0).all() and 0 < blurred(edge, 1.0)[0, 8, 7, 0] < 100
    kept = darkest(few, 0.25)
    brightness = np.sort(few.mean(axis=(1, 2, 3)))
    assert len(kept) == 20 and set(kept.mean(axis=(1, 2, 3))) == set(brightness[:5])
