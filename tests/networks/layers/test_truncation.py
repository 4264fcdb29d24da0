"""The truncation trick."""

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.layers.style import TruncationLayer
from tests.helpers.layer_checks import check_layer

WS = np.array([[[5.0, 0.0], [5.0, 0.0], [5.0, 0.0]], [[1.0, 4.0], [1.0, 4.0], [1.0, 4.0]]], np.float32)  # [2, 3, 2]


def _layer():
    layer = TruncationLayer()
    layer.build((None, 2))
    layer.set_weights([np.array([1, 2], np.float32)])
    return layer


def test_w_moves_towards_its_average_by_psi():
    y = check_layer(_layer(), WS, psi=0.25)
    np.testing.assert_allclose(y[:, 0], [[1 + 0.25 * 4, 2 - 0.25 * 2], [1, 2 + 0.25 * 2]], rtol=1e-6)
    np.testing.assert_array_equal(y[:, 1:], np.stack([y[:, 0], y[:, 0]], axis=1))


def test_psi_zero_gives_the_average_and_one_changes_nothing():
    np.testing.assert_array_equal(check_layer(_layer(), WS, psi=0.0), np.tile([1.0, 2.0], [2, 3, 1]))
    np.testing.assert_allclose(check_layer(_layer(), WS, psi=1.0), WS, rtol=1e-6)


def test_negative_psi_goes_to_the_other_side():
    np.testing.assert_allclose(check_layer(_layer(), WS, psi=-1.0)[:, 0], [[-3, 4], [1, 0]])


def test_layers_from_the_cutoff_on_stay():
    for cutoff in (0, 1, 2, 3, 8):
        y = check_layer(_layer(), WS, psi=0.0, cutoff=cutoff).numpy()
        np.testing.assert_array_equal(y[:, :cutoff], np.tile([1.0, 2.0], [2, min(cutoff, 3), 1]))
        np.testing.assert_array_equal(y[:, cutoff:], WS[:, cutoff:])


def test_psi_may_differ_per_image():
    y = check_layer(_layer(), WS, psi=tf.constant([0.0, 1.0]))
    np.testing.assert_array_equal(y[0], np.tile([1.0, 2.0], [3, 1]))
    np.testing.assert_allclose(y[1], WS[1], rtol=1e-6)


def test_the_average_starts_at_zero_and_is_not_trained():
    layer = TruncationLayer()
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights(), [[0, 0]])
    assert layer.trainable_weights == []
