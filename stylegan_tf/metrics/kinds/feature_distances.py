"""Distances between two sets of features: Frechet distance (FID) and kernel distance (KID)."""

from typing import Optional

import numpy as np

from stylegan_tf.metrics.kinds.metric import FeatureMetric, Values, feature_pattern

BLOCK_ROWS = 512  # Rows that are buffered for one matrix product.
MAX_SUBSET_SIZE = 1000  # Rows, for kernel distances.
MIN_SUBSETS = 10


class FrechetMetric(FeatureMetric):
    syntax = "fidN, fidN_mix2 to fidN_mix4"
    pattern = feature_pattern("fid")
    needs = ("extractor", "reals")
    statistics = "moments"

    def values(self, reals, fakes, seed) -> Values:
        return {"fid": frechet_distance(*reals.mean_and_covariance(), *fakes.mean_and_covariance())}

    def errors(self, reals, fakes, values):
        """Errors from the measured images, given the real ones: a jackknife over quarters of them."""
        if not isinstance(fakes, QuarteredMoments) or fakes.count < 2 * BLOCK_ROWS * len(fakes.parts):
            return {}
        real = reals.mean_and_covariance()
        count = len(fakes.parts)
        left_out = [frechet_distance(*real, *fakes.mean_and_covariance(without=part)) for part in range(count)]
        return {"fid_error": float(np.sqrt((count - 1) * np.var(left_out)))}


class FeatureMoments:
    """Mean and covariance of rows that come in batches, in float64; at most BLOCK_ROWS rows are buffered.

    Blocks are merged by Chan, Golub and LeVeque's formula (1979), which does not cancel large sums. The result is
    the same to the last bit however the rows are batched.
    """

    def __init__(self, width: int):
        self._count = 0  # Rows that are in the moments; the others are pending.
        self._mean = np.zeros([width], np.float64)
        self._scatter = np.zeros([width, width], np.float64)  # Sum of (x - mean) (x - mean)^T.
        self._pending = np.zeros([0, width], np.float64)

    @property
    def count(self) -> int:
        return self._count + len(self._pending)

    def update(self, rows: np.ndarray) -> None:
        """rows: [n, width], finite."""
        rows = np.concatenate([self._pending, np.asarray(rows, np.float64)])
        whole = len(rows) - len(rows) % BLOCK_ROWS
        for first in range(0, whole, BLOCK_ROWS):
            self._merge(rows[first : first + BLOCK_ROWS])
        self._pending = rows[whole:].copy()

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """-> ([width], [width, width]); the unbiased covariance, of at least 2 rows."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 rows, got {self.count}.")
        total = FeatureMoments(len(self._mean))
        total.add(self)
        return total._mean, total._scatter / (total._count - 1)

    def add(self, other: "FeatureMoments") -> None:
        """Adds the rows of other moments."""
        self._add(other._count, other._mean, other._scatter)
        if len(other._pending):
            self._merge(other._pending)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays for `restore`."""
        return {"count": np.int64(self._count), "mean": self._mean, "scatter": self._scatter, "waiting": self._pending}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._count, self._mean = int(state["count"]), state["mean"]
        self._scatter, self._pending = state["scatter"], state["waiting"]

    def _merge(self, block: np.ndarray) -> None:
        mean = block.mean(axis=0)
        self._add(len(block), mean, (block - mean).T @ (block - mean))

    def _add(self, count, mean, scatter):
        total = self._count + count
        if not count:
            return
        delta = mean - self._mean
        self._scatter += scatter
        self._scatter += np.outer(delta * (self._count * count / total), delta)
        self._mean = self._mean + delta * (count / total)
        self._count = total


class QuarteredMoments:
    """Moments of each quarter of rows that come in batches; blocks of BLOCK_ROWS take turns."""

    def __init__(self, width: int, parts: int = 4):
        self._width, self.parts = width, [FeatureMoments(width) for _ in range(parts)]
        self.count = 0

    def update(self, rows: np.ndarray) -> None:
        while len(rows):
            part = self.parts[self.count // BLOCK_ROWS % len(self.parts)]
            taken = min(len(rows), BLOCK_ROWS - self.count % BLOCK_ROWS)
            part.update(rows[:taken])
            rows, self.count = rows[taken:], self.count + taken

    def mean_and_covariance(self, without: Optional[int] = None) -> tuple[np.ndarray, np.ndarray]:
        """Moments of all rows, or of all but those of one part."""
        total = FeatureMoments(self._width)
        for number, part in enumerate(self.parts):
            if number != without:
                total.add(part)
        return total.mean_and_covariance()

    def state(self) -> dict[str, np.ndarray]:
        states = enumerate(part.state() for part in self.parts)
        return {f"{number}/{name}": value for number, state in states for name, value in state.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        for number, part in enumerate(self.parts):
            part.restore({name: state[f"{number}/{name}"] for name in part.state()})
        self.count = sum(part.count for part in self.parts)


def frechet_distance(mean1, covariance1, mean2, covariance2) -> float:
    """|m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) in float64.

    With C1 = F1 F1^T and C2 = F2 F2^T the eigenvalues of C1 C2 are the squared singular values of F1^T F2: the trace
    of the root is their sum. This decomposes symmetric matrices only, needs no special case for rank-deficient
    covariances (fewer images than features), and takes no root of eigenvalues that are zero up to rounding.
    """
    mean1, mean2 = np.asarray(mean1, np.float64), np.asarray(mean2, np.float64)
    covariance1, covariance2 = np.asarray(covariance1, np.float64), np.asarray(covariance2, np.float64)
    product = _factor(covariance1).T @ _factor(covariance2)
    trace_of_root = np.linalg.svd(product, compute_uv=False).sum()
    difference = mean1 - mean2
    return float(difference @ difference + np.trace(covariance1) + np.trace(covariance2) - 2 * trace_of_root)


def _factor(covariance):
    """[width, width] of rank r -> F [width, r] with F F^T = covariance."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)  # The others are rounding errors.
    return vectors[:, kept] * np.sqrt(values[kept])


class KernelMetric(FeatureMetric):
    syntax = "kidN, kidN_mix2 to kidN_mix4"
    pattern = feature_pattern("kid")
    needs = ("extractor", "reals")
    statistics = "rows"
    min_images = 4  # Two subsets of two.

    def values(self, reals, fakes, seed) -> Values:
        mean, error = kernel_distance(reals.rows(), fakes.rows(), seed)
        return {"kid": mean, "kid_error": error}

    def protocol(self, context):
        reals = context.reals.count(self.count) * (2 if context.reals.mirror else 1)
        return {**super().protocol(context), "subset_size": subset_size(min(context.count(self.count), reals))}


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
