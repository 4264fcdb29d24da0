"""Kernel distance against the double sum of its definition, and its error bar."""

import itertools

import numpy as np
import pytest

from stylegan_tf.metrics.kinds.feature_distances import kernel_distance, squared_mmd, subset_size


def _by_definition(x, y):
    """Lemma 6 of Gretton et al. 2012, term by term."""

    def mean_kernel(pairs):
        return np.mean([(a @ b / len(a) + 1) ** 3 for a, b in pairs])

    return (
        mean_kernel(itertools.permutations(x, 2))
        + mean_kernel(itertools.permutations(y, 2))
        - 2 * mean_kernel(itertools.product(x, y))
    )


def test_the_squared_mmd_is_its_definition():
    random = np.random.RandomState(0)
    x, y = random.randn(5, 3), random.randn(4, 3) + 0.3
    assert squared_mmd(x, y) == pytest.approx(_by_definition(x, y), rel=1e-12)


def test_the_estimate_is_unbiased():
    random = np.random.RandomState(1)
    values = [squared_mmd(*random.randn(2, 6, 3)) for _ in range(4000)]
    # Two samples of one distribution: 0 on average, above it and below.
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_the_distance_lies_within_its_error_of_the_true_one():
    random = np.random.RandomState(2)
    # (ab + 1)^3 = 1 + 3 ab + 3 a^2 b^2 + a^3 b^3, so that the squared MMD is the sum over the powers p = 1, 2, 3 of
    # (E x^p - E y^p)^2 with the weights 3, 3, 1. Evenly in [-1, 1] and [-2, 2] only E x^2 = 1/3 and E y^2 = 4/3 differ.
    x, y = random.uniform(-1, 1, [5000, 1]), random.uniform(-2, 2, [5000, 1])
    mean, error = kernel_distance(x, y, seed=0)
    assert abs(mean - 3) < 4 * error
    assert 0.01 < error < 0.2


def test_the_error_is_that_between_independent_repetitions():
    random = np.random.RandomState(3)
    results = [kernel_distance(random.randn(400, 4), random.randn(400, 4) + 0.5, seed=0) for _ in range(100)]
    means, errors = zip(*results)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.3)


def test_a_seed_gives_the_same_result_again():
    x, y = np.random.RandomState(4).randn(2, 100, 3)
    assert kernel_distance(x, y, seed=5) == kernel_distance(x, y, seed=5) != kernel_distance(x, y, seed=6)


def test_float32_features_are_computed_in_float64():
    x, y = (100 + np.random.RandomState(5).randn(2, 40, 3)).astype(np.float32)
    expected = _by_definition(x.astype(np.float64), y.astype(np.float64))
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count, size", [(4, 2), (40, 4), (5000, 500), (10_000, 1000), (50_000, 1000)])
def test_subsets_have_a_thousand_rows_or_there_are_ten(count, size):
    assert subset_size(count) == size


def test_too_few_rows_for_an_error_are_refused():
    with pytest.raises(ValueError, match="at least 4 rows of each set, got 3"):
        kernel_distance(np.zeros([3, 2]), np.zeros([9, 2]), seed=0)
