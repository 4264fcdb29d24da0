"""Kernel inception distance (Binkowski et al. 2018): unbiased squared MMD with a cubic polynomial kernel."""

import numpy as np

from stylegan_tf.metrics.kinds.metric import FeatureMetric, Values, feature_pattern

MAX_SUBSET_SIZE = 1000
MIN_SUBSETS = 10


class KernelMetric(FeatureMetric):
    syntax = "kidN, kidN_mix2 to kidN_mix4"
    pattern = feature_pattern("kid")
    needs = ("extractor", "reals")
    statistics = "rows"
    least_images = 4  # Two subsets of two.

    def values(self, reals, fakes, seed) -> Values:
        mean, error = kernel_distance(reals.rows(), fakes.rows(), seed)
        return {"kid": mean, "kid_error": error}

    def protocol(self, context):
        smaller = min(context.count(self.count), context.reals.count(self.count))
        return {**super().protocol(context), "subset_size": subset_size(smaller)}


def subset_size(count: int) -> int:
    """Rows per subset where the smaller set has `count`: 1000, or fewer so that there are ten subsets."""
    return max(2, min(MAX_SUBSET_SIZE, count // MIN_SUBSETS))


def kernel_distance(features1: np.ndarray, features2: np.ndarray, seed: int) -> tuple[float, float]:
    """-> (mean, its standard error) of the squared MMD of disjoint random subsets of two sets of features [N, F].

    As no two subsets share a row, their values are independent, and the standard error (their deviation by the root
    of their number) is one. Rows that fill no subset are ignored.
    """
    count = min(len(features1), len(features2))
    size = subset_size(count)
    if count < 2 * size:
        raise ValueError(f"the distance and its error need at least {2 * size} rows of each set, got {count}.")
    random = np.random.default_rng(seed)
    order1, order2 = random.permutation(len(features1)), random.permutation(len(features2))
    parts = [slice(first, first + size) for first in range(0, count - size + 1, size)]
    values = np.array([squared_mmd(features1[order1[part]], features2[order2[part]]) for part in parts])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate for k(a, b) = (a.b / F + 1)^3, of [n, F] and [m, F] in float64; it may be negative."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n, m = len(x), len(y)
    kxx, kyy, kxy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    within_x = (kxx.sum() - np.trace(kxx)) / (n * (n - 1))
    within_y = (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    return float(within_x + within_y - 2 * kxy.mean())


def _kernel(a, b):
    base = a @ b.T / a.shape[1] + 1
    return base * base * base  # Several times as fast as base**3.
