"""What samples show: inception score, precision and recall."""

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.kinds.metric import FeatureMetric, Values, feature_pattern

SPLITS = 10  # The score is the mean over ten splits of the images; their standard deviation is its error bar.
NEIGHBOURS = 3  # For precision and recall.
_BLOCK = 500  # Rows of the distance matrix in memory at once.


class InceptionScoreMetric(FeatureMetric):
    syntax = "isN, isN_mix2 to isN_mix4"
    pattern = feature_pattern("is")
    needs = ("extractor",)
    statistics = "scores"
    min_images = 2 * SPLITS  # The score of a single image is 1, whatever it shows.

    def values(self, reals, fakes, seed) -> Values:
        mean, deviation = fakes.score()
        return {"score": mean, "score_deviation": deviation}

    def check(self, context):
        super().check(context)
        if context.extractor.num_classes is None:
            raise UserError(f"{self.text} needs class scores, but {context.extractor.name} has no output 'logits'.")


class SplitScores:
    """Sums over each of `splits` splits of `total` images, in float64; the images come in order, in batches."""

    def __init__(self, total: int, num_classes: int, splits: int = SPLITS):
        splits = min(splits, total)
        self._ends = np.array([total * (split + 1) // splits for split in range(splits)])
        self._done = 0
        self._sums = np.zeros([splits, num_classes], np.float64)  # Sums of p(y|x).
        self._negative_entropies = np.zeros([splits], np.float64)  # Sums of sum_y p log p.

    def update(self, logits: np.ndarray) -> None:
        """logits: [n, num_classes]."""
        logits = np.asarray(logits, np.float64)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        splits = np.searchsorted(self._ends, np.arange(self._done, self._done + len(p)), side="right")
        np.add.at(self._sums, splits, p)
        np.add.at(self._negative_entropies, splits, (p * log_p).sum(axis=1))
        self._done += len(p)

    def score(self) -> tuple[float, float]:
        """-> (mean, standard deviation) over the splits, after all images."""
        if self._done != self._ends[-1]:
            raise ValueError(f"the score is of {self._ends[-1]} images, {self._done} were given.")
        sizes = np.diff(self._ends, prepend=0)
        marginal = self._sums / sizes[:, None]
        entropy = -(marginal * np.log(np.maximum(marginal, 1e-300))).sum(axis=1)
        scores = np.exp(self._negative_entropies / sizes + entropy)  # KL(p(y|x) | p(y)) = H(y) - H(y|x) on average.
        return float(scores.mean()), float(scores.std())

    def state(self) -> dict[str, np.ndarray]:
        """Arrays for `restore`."""
        return {"done": np.int64(self._done), "sums": self._sums, "negative_entropies": self._negative_entropies}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._done = int(state["done"])
        self._sums, self._negative_entropies = state["sums"], state["negative_entropies"]


class PrecisionRecallMetric(FeatureMetric):
    syntax = "prN, prN_mix2 to prN_mix4"
    pattern = feature_pattern("pr")
    needs = ("extractor", "reals")
    statistics = "rows"
    min_images = NEIGHBOURS + 1

    def values(self, reals, fakes, seed) -> Values:
        precision, recall = precision_and_recall(reals.rows(), fakes.rows())
        return {"precision": precision, "recall": recall}

    def errors(self, reals, fakes, values):
        """Error of a binomial fraction, given the other set: of the part of this set that lies within it."""
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
