"""Inception score against its definition and its bounds."""

import numpy as np
import pytest

from stylegan_tf.metrics.kinds.sample_quality import SplitScores


def _score(logits, splits=10, pieces=()):
    scores = SplitScores(len(logits), logits.shape[1], splits)
    for piece in np.split(logits, pieces):
        scores.update(piece)
    return scores.score()


def _by_definition(logits):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean())


def test_the_score_is_that_of_the_definition_in_every_part():
    logits = np.random.RandomState(0).randn(103, 7) * 3
    # Part k ends before image floor(103 (k + 1) / 10).
    ends = [10, 20, 30, 41, 51, 61, 72, 82, 92]
    expected = [_by_definition(part) for part in np.split(logits, ends)]
    assert _score(logits) == pytest.approx((np.mean(expected), np.std(expected)), rel=1e-12)


def test_pieces_do_not_change_the_score():
    logits = np.random.RandomState(1).randn(57, 4)
    assert _score(logits, pieces=(1, 5, 6, 40)) == pytest.approx(_score(logits), rel=1e-13)


def test_sure_and_evenly_spread_classes_give_their_number():
    logits = np.tile(1000.0 * np.eye(5), [20, 1])
    assert _score(logits) == pytest.approx((5.0, 0.0))


def test_equal_images_give_one():
    assert _score(np.tile(np.random.RandomState(2).randn(1, 6), [40, 1])) == pytest.approx((1.0, 0.0))


def test_the_score_goes_on_from_its_arrays():
    logits = np.random.RandomState(3).randn(30, 4)
    first, second = SplitScores(30, 4), SplitScores(30, 4)
    first.update(logits[:17])
    second.restore(first.state())
    second.update(logits[17:])
    assert second.score() == pytest.approx(_score(logits), rel=1e-13)


def test_a_score_of_missing_images_is_refused():
    scores = SplitScores(30, 4)
    scores.update(np.zeros([29, 4]))
    with pytest.raises(ValueError, match="of 30 images, 29 were given"):
        scores.score()
