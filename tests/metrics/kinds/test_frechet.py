"""Mean, covariance and Frechet distance against NumPy in one go, scipy's matrix root and closed forms."""

import numpy as np
import pytest
import scipy.linalg

from stylegan_tf.metrics.kinds.feature_distances import (
    BLOCK_ROWS,
    FeatureMoments,
    FrechetMetric,
    QuarteredMoments,
    frechet_distance,
)


def _rows(count, width=7, seed=0, offset=0.0):
    random = np.random.RandomState(seed)
    return random.randn(count, width) @ random.randn(width, width) + offset


def _moments(rows, *pieces):
    moments = FeatureMoments(rows.shape[1])
    for piece in np.split(rows, pieces):
        moments.update(piece)
    return moments


def _covariance(width, rank, seed):
    factor = np.random.RandomState(seed).randn(width, rank)
    return factor @ factor.T


@pytest.mark.parametrize("count", [2, BLOCK_ROWS - 1, BLOCK_ROWS, 2 * BLOCK_ROWS + 5])
def test_moments_are_those_of_all_rows_at_once(count):
    rows = _rows(count)
    mean, covariance = _moments(rows, count // 3).mean_and_covariance()
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(covariance, np.cov(rows.T), atol=1e-12)


def test_large_means_do_not_wash_out_small_deviations():
    rows = _rows(3000, offset=1e6)
    # In one pass over sums of squares an error of 1e12 * 2^-53 * 3000 = 0.3 could come out.
    np.testing.assert_allclose(_moments(rows, 1000).mean_and_covariance()[1], np.cov(rows.T), rtol=1e-8, atol=1e-8)


def test_moments_do_not_depend_on_how_the_rows_are_cut():
    rows = _rows(1500)
    one, many = _moments(rows), _moments(rows, 1, 3, 700, 701, 1499)
    for ours, other in zip(one.mean_and_covariance(), many.mean_and_covariance()):
        np.testing.assert_array_equal(ours, other)


def test_moments_go_on_from_their_arrays():
    rows = _rows(1500)
    first, second = _moments(rows[:900]), FeatureMoments(7)
    second.restore(first.state())
    second.update(rows[900:])
    assert second.count == 1500
    for ours, other in zip(second.mean_and_covariance(), _moments(rows).mean_and_covariance()):
        np.testing.assert_array_equal(ours, other)


def test_float32_rows_are_summed_in_float64():
    rows = np.full([20_000, 1], 0.1, np.float32)
    rows[::2] += np.float32(1e-4)
    mean, covariance = _moments(rows).mean_and_covariance()
    assert covariance[0, 0] == pytest.approx(np.var(rows.astype(np.float64), ddof=1), rel=1e-9)
    assert mean[0] == pytest.approx(rows.astype(np.float64).mean(), rel=1e-12)


def test_distance_of_constant_features_is_that_of_their_means():
    assert frechet_distance(np.zeros(3), np.zeros([3, 3]), np.array([1.0, 2, 2]), np.zeros([3, 3])) == 9.0
    assert frechet_distance(np.zeros(3), np.zeros([3, 3]), np.zeros(3), np.eye(3)) == pytest.approx(3.0)


def test_one_row_has_no_covariance():
    with pytest.raises(ValueError, match="at least 2 rows"):
        _moments(_rows(1)).mean_and_covariance()


def test_distance_of_diagonal_gaussians_is_that_of_their_deviations():
    mean1, mean2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, -2.0])
    deviation1, deviation2 = np.array([1.0, 2.0, 0.0]), np.array([4.0, 2.0, 3.0])
    # |m1 - m2|^2 + |s1 - s2|^2 = 17 + 18.
    ours = frechet_distance(mean1, np.diag(deviation1**2), mean2, np.diag(deviation2**2))
    assert ours == pytest.approx(35.0, abs=1e-9)


def test_distance_of_gaussians_with_the_same_axes():
    axes = scipy.linalg.qr(np.random.RandomState(3).randn(6, 6))[0]
    deviations = np.random.RandomState(4).uniform(0, 3, [2, 6])
    covariances = [axes @ np.diag(deviation**2) @ axes.T for deviation in deviations]
    ours = frechet_distance(np.zeros(6), covariances[0], np.zeros(6), covariances[1])
    assert ours == pytest.approx(((deviations[0] - deviations[1]) ** 2).sum(), abs=1e-9)


def test_distance_to_a_scaled_copy_is_closed_form():
    covariance = _covariance(5, 5, seed=5)
    # C2 = 4 C1: the root of C1 C2 is 2 C1, so that C1 + 4 C1 - 4 C1 is left.
    assert frechet_distance(np.ones(5), covariance, np.ones(5), 4 * covariance) == pytest.approx(np.trace(covariance))


@pytest.mark.parametrize("ranks", [(40, 40), (40, 3), (5, 4)])
def test_distance_agrees_with_scipys_matrix_root(ranks):
    one, two = (_covariance(40, rank, seed) for seed, rank in enumerate(ranks))
    mean1, mean2 = np.random.RandomState(7).randn(2, 40)
    # Full rank for scipy's algorithm, which has no root of a singular matrix: moves the result by less than 1e-3.
    jitter = 1e-10 * np.eye(40)
    root = scipy.linalg.sqrtm((one + jitter) @ (two + jitter)).real
    expected = ((mean1 - mean2) ** 2).sum() + np.trace(one + two - 2 * root)
    assert frechet_distance(mean1, one, mean2, two) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(mean2, two, mean1, one) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rank", [1, 20, 300])
def test_distance_to_itself_is_zero_at_any_rank(rank):
    covariance = _covariance(300, rank, seed=rank)
    distance = frechet_distance(np.ones(300), covariance, np.ones(300), covariance)
    assert abs(distance) < 1e-11 * np.trace(covariance)


def test_quarters_add_up_to_all_rows_in_whatever_batches_and_after_a_restore():
    rows = _rows(5 * BLOCK_ROWS + 3)
    found = []
    for size in (100, 700):
        moments = QuarteredMoments(7)
        for first in range(0, len(rows), size):
            moments.update(rows[first : first + size])
            restored = QuarteredMoments(7)
            restored.restore(moments.state())
            moments = restored
        found.append(moments.mean_and_covariance())
    np.testing.assert_array_equal(found[0][1], found[1][1])
    np.testing.assert_allclose(found[0][1], np.cov(rows.T), rtol=1e-10)
    rest = np.concatenate([rows[:BLOCK_ROWS], rows[2 * BLOCK_ROWS : 5 * BLOCK_ROWS], rows[5 * BLOCK_ROWS + 3 :]])
    mean, _ = moments.mean_and_covariance(without=1)  # Blocks 1 and 5, the latter being the last three rows.
    np.testing.assert_allclose(mean, rest.mean(axis=0), rtol=1e-10)


def test_the_error_of_fid_is_the_deviation_between_samples():
    """Over forty samples of a Gaussian of 3 dimensions; a single jackknife of four parts is known to some 40 %."""
    metric, reals, samples = FrechetMetric("fid", 4096), _moments(_rows(20000, 3)), []
    for seed in range(40):
        fakes = QuarteredMoments(3)
        fakes.update(np.random.RandomState(seed).randn(4096, 3))
        values = metric.values(reals, fakes, 0)
        samples.append((values["fid"], metric.errors(reals, fakes, values)["fid_error"]))
    values, errors = np.array(samples).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.3)
    few = QuarteredMoments(3)
    few.update(np.random.RandomState(0).randn(1000, 3))
    assert metric.errors(reals, few, {}) == {}
