"""Levels of detail and levels of growth."""

import pytest

from stylegan_tf.networks.growth import Growth


@pytest.mark.parametrize(
    "lod, growth",
    [(0.0, Growth(64)), (0.25, Growth(64, 0.75)), (1.0, Growth(32)), (3.5, Growth(8, 0.5)), (4.0, Growth(4))],
)
def test_a_level_of_detail_is_a_resolution_and_its_weight(lod, growth):
    assert Growth.at_lod(lod, 64) == growth
    assert growth.lod(64) == lod


def test_a_call_may_leave_out_the_resolution_the_weight_or_both():
    growth = Growth(8, 0.25)
    assert growth.resolve() == growth.resolve(8) == growth
    assert growth.resolve(16) == Growth(16, 1.0)
    assert growth.resolve(16, 0.5) == Growth(16, 0.5)
    assert growth.resolve(None, 0.0) == Growth(8, 0.0)
