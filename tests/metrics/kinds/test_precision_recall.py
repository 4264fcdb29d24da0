"""Precision and recall against the `prdc` package and cases that can be seen with the naked eye."""

import contextlib
import io

import numpy as np
import pytest

from stylegan_tf.metrics.kinds.sample_quality import precision_and_recall


def _prdc(reals, fakes, neighbours):
    prdc = pytest.importorskip("prdc", reason="the package prdc is not installed")
    with contextlib.redirect_stdout(io.StringIO()):
        values = prdc.compute_prdc(real_features=reals, fake_features=fakes, nearest_k=neighbours)
    return values["precision"], values["recall"]


@pytest.mark.parametrize("counts", [(60, 60), (200, 90), (90, 200)])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_agrees_with_the_package_prdc(counts, neighbours):
    random = np.random.RandomState(sum(counts))
    reals, fakes = random.randn(counts[0], 5), 0.9 * random.randn(counts[1], 5) + 0.9
    expected = _prdc(reals, fakes, neighbours)
    assert min(expected) > 0.1 and max(expected) < 0.98, "the case should not be a trivial one"
    assert precision_and_recall(reals, fakes, neighbours) == pytest.approx(expected, abs=1e-12)


def test_blocks_do_not_change_the_result():
    random = np.random.RandomState(0)
    reals, fakes = random.randn(50, 3).astype(np.float32), random.randn(41, 3).astype(np.float32) + 0.5
    whole = precision_and_recall(reals, fakes, block=1000)
    assert [precision_and_recall(reals, fakes, block=block) for block in (1, 7, 41)] == [whole] * 3


def test_a_network_that_repeats_one_good_image_is_precise_and_recalls_little():
    reals = np.arange(20.0)[:, None]
    fakes = np.full([20, 1], 10.2)
    # All fakes are one point near 10; with radius 0 it covers no real.
    assert precision_and_recall(reals, fakes) == (1.0, 0.0)


def test_a_network_that_makes_half_of_the_modes_has_half_of_the_recall():
    reals = np.concatenate([np.arange(10.0), 1000 + np.arange(10.0)])[:, None]
    fakes = np.arange(10.0)[:, None] + 0.5
    assert precision_and_recall(reals, fakes) == (1.0, 0.5)


def test_fakes_far_from_all_reals_are_not_precise():
    reals = np.arange(10.0)[:, None]
    fakes = np.concatenate([np.arange(5.0), 100 + np.arange(5.0)])[:, None]
    precision, recall = precision_and_recall(reals, fakes)
    # Fake 4 has its 3rd neighbour (1) at distance 3, so that the reals up to 7 are within a radius.
    assert (precision, recall) == (0.5, 0.8)


def test_duplicates_are_neighbours_at_distance_zero():
    reals = np.repeat(np.arange(3.0), 4)[:, None]  # Every real has three equals: all radii are 0.
    fakes = np.array([[0.0], [0.1], [1.0], [2.5]])
    assert precision_and_recall(reals, fakes)[0] == 0.5


def test_as_few_rows_as_neighbours_are_refused():
    with pytest.raises(ValueError, match="more than 3 rows"):
        precision_and_recall(np.zeros([3, 2]), np.zeros([9, 2]))
