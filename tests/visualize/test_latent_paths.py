"""Paths through latents."""

import numpy as np
import pytest

from stylegan_tf.visualize.interpolation import LatentPath, slerp

KEYS = np.random.RandomState(0).randn(4, 6)


@pytest.mark.parametrize("on_sphere", [False, True])
@pytest.mark.parametrize("smooth", [False, True])
def test_paths_go_through_their_keys_and_close(on_sphere, smooth):
    path = LatentPath(KEYS, on_sphere, smooth)
    np.testing.assert_allclose(path([0, 1, 2, 3]), KEYS, atol=1e-5)
    np.testing.assert_allclose(path([4, 7]), KEYS[[0, 3]], atol=1e-5)
    assert np.abs(path([3.999]) - KEYS[0]).max() < 0.02  # The end runs into the beginning.


def test_straight_paths_in_w_are_lines():
    times = [0.25, 2.5, 3.75]
    expected = [0.75 * KEYS[0] + 0.25 * KEYS[1], (KEYS[2] + KEYS[3]) / 2, 0.25 * KEYS[3] + 0.75 * KEYS[0]]
    np.testing.assert_allclose(LatentPath(KEYS, smooth=False)(times), expected, rtol=1e-5)


def test_straight_paths_in_z_are_arcs_with_lengths_between_those_of_the_keys():
    path = LatentPath(np.array([[2.0, 0.0], [0.0, 4.0]]), on_sphere=True, smooth=False)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(path([0.5, 1.5]), [[3 * root, 3 * root]] * 2, rtol=1e-6)
    np.testing.assert_allclose(path([1 / 3]), [[np.cos(np.pi / 6) * 8 / 3, np.sin(np.pi / 6) * 8 / 3]], rtol=1e-6)


def test_smooth_paths_on_the_sphere_keep_the_lengths_as_well():
    lengths = np.linalg.norm(LatentPath(KEYS, on_sphere=True)(np.linspace(0, 4, 33)), axis=1)
    key_lengths = np.linalg.norm(KEYS[[0, 1, 2, 3, 0]], axis=1)
    np.testing.assert_allclose(lengths, np.interp(np.linspace(0, 4, 33), range(5), key_lengths), rtol=1e-5)


def test_smooth_paths_have_no_jerk_at_the_keys_nor_where_they_close():
    step = 1e-3
    for smooth, limit in ((True, 0.1), (False, np.inf)):
        path = LatentPath(KEYS, smooth=smooth)
        changes = [path([t + step]) - 2 * path([t]) + path([t - step]) for t in (4.0, 5.0, 6.0)]
        jerk = max(np.abs(change).max() / step for change in changes)
        assert jerk < limit and (smooth or jerk > 0.5)


def test_two_keys_are_a_way_there_and_back():
    path = LatentPath(KEYS[:2])
    np.testing.assert_allclose(path([0.5]), path([1.5]), atol=1e-6)
    np.testing.assert_allclose(path([0.5]), KEYS[:2].mean(axis=0)[None], rtol=1e-5)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("on_sphere", [False, True])
def test_open_paths_end_at_their_last_key(on_sphere, smooth):
    path = LatentPath(KEYS, on_sphere, smooth, closed=False)
    assert path.length == 3
    np.testing.assert_allclose(path([0, 1, 2, 3, 3.5]), KEYS[[0, 1, 2, 3, 3]], atol=1e-5)
    two = LatentPath(KEYS[:2], smooth=smooth, closed=False)
    np.testing.assert_allclose(two([0.25]), 0.75 * KEYS[:1] + 0.25 * KEYS[1:2], rtol=1e-5)


def test_equal_and_opposite_directions_make_no_nan():
    a = np.array([[1.0, 0.0], [1.0, 0.0]])
    b = np.array([[5.0, 0.0], [-1.0, 0.0]])
    points = slerp(a, b, np.array([[0.3], [0.3]]))
    np.testing.assert_allclose(points, [[1, 0], [1, 0]])


def test_a_single_key_is_no_path():
    with pytest.raises(ValueError, match="at least two keys, got 1"):
        LatentPath(KEYS[:1])
