"""Improved precision and recall (Kynkaanniemi et al. 2019): how much of one set lies on the manifold of another."""

import numpy as np

from stylegan_tf.metrics.kinds.metric import FeatureMetric, Values, feature_pattern

NEIGHBOURS = 3
_BLOCK = 500  # Rows of the distance matrix in memory at once.


class PrecisionRecallMetric(FeatureMetric):
    syntax = "prN, prN_mix2 to prN_mix4"
    pattern = feature_pattern("pr")
    needs = ("extractor", "reals")
    statistics = "rows"
    least_images = NEIGHBOURS + 1

    def values(self, reals, fakes, seed) -> Values:
        precision, recall = precision_and_recall(reals.rows(), fakes.rows())
        return {"precision": precision, "recall": recall}

    def errors(self, reals, fakes, values):
        """Of a binomial share, given the other set: how exactly it is known what part of this set lies within."""
        sizes = {"precision": len(fakes.rows()), "recall": len(reals.rows())}
        return {f"{name}_error": float(np.sqrt(p * (1 - p) / sizes[name])) for name, p in values.items()}

    def protocol(self, context):
        return {**super().protocol(context), "neighbours": NEIGHBOURS}


def precision_and_recall(
    reals: np.ndarray, fakes: np.ndarray, neighbours: int = NEIGHBOURS, block: int = _BLOCK
) -> tuple[float, float]:
    """-> (precision, recall) of features [N, F] and [M, F].

    Precision: share of the fakes that lie closer to some real than its k-th nearest other real.
    Recall: the same with the two sets swapped.
    """
    if min(len(reals), len(fakes)) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need more than {neighbours} rows of each set.")
    reals, fakes = np.asarray(reals, np.float64), np.asarray(fakes, np.float64)
    real_radii, fake_radii = (_squared_radii(rows, neighbours, block) for rows in (reals, fakes))
    precise = 0
    recalled = np.zeros([len(reals)], bool)
    for first in range(0, len(fakes), block):
        part = slice(first, first + block)
        distances = _squared_distances(fakes[part], reals)
        precise += int((distances <= real_radii).any(axis=1).sum())
        recalled |= (distances <= fake_radii[part, None]).any(axis=0)
    return precise / len(fakes), float(recalled.mean())


def _squared_radii(rows, neighbours, block):
    """Squared distance of every row to its k-th nearest neighbour, not counting itself: [N]."""
    radii = np.empty([len(rows)])
    for first in range(0, len(rows), block):
        distances = _squared_distances(rows[first : first + block], rows)
        own = np.arange(len(distances))
        distances[own, first + own] = -1.0  # A row is nearest to itself, even if it has duplicates.
        radii[first : first + block] = np.partition(distances, neighbours, axis=1)[:, neighbours]
    return radii


def _squared_distances(a, b):
    """[n, F], [m, F] -> [n, m]; float64: float32 loses too much in differences of large squares."""
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None]
    return np.maximum(squares - 2 * (a @ b.T), 0.0)
