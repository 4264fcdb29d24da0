"""Inception score (Salimans et al. 2016): exp of the mean KL divergence between p(y|x) and p(y)."""

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.metrics.kinds.metric import FeatureMetric, Values, feature_pattern

SPLITS = 10  # The score is the mean over ten splits of the images; their standard deviation is its error bar.


class InceptionScoreMetric(FeatureMetric):
    syntax = "isN, isN_mix2 to isN_mix4"
    pattern = feature_pattern("is")
    needs = ("extractor",)
    statistics = "scores"
    least_images = 2 * SPLITS  # The score of a single image is 1, whatever it shows.

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
        self._sums = np.zeros([splits, num_classes], np.float64)  # Of p(y|x).
        self._negative_entropies = np.zeros([splits], np.float64)  # Of sum_y p log p.

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
