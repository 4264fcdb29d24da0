"""Coarse, middle and fine layers by resolution."""

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.style_mixing import layer_groups, parse_layers


def _levels(resolution):
    return tuple(2**k for k in range(2, resolution.bit_length()))


def _layers(resolution):
    return {group.name: list(group.layers) for group in layer_groups(_levels(resolution))}


def test_at_1024_the_groups_are_the_papers():
    groups = layer_groups(_levels(1024))
    assert [(group.name, group.span) for group in groups] == [
        ("coarse", "4x4 to 8x8"),
        ("middle", "16x16 to 32x32"),
        ("fine", "64x64 to 1024x1024"),
    ]
    assert _layers(1024) == {"coarse": [0, 1, 2, 3], "middle": [4, 5, 6, 7], "fine": list(range(8, 18))}


@pytest.mark.parametrize(
    "resolution, sizes",
    [
        (64, {"coarse": 4, "middle": 4, "fine": 2}),
        (32, {"coarse": 4, "middle": 2, "fine": 2}),
        (16, {"coarse": 2, "middle": 2, "fine": 2}),
        (8, {"coarse": 2, "middle": 2}),
        (4, {"coarse": 2}),
    ],
)
def test_small_networks_share_their_levels_out(resolution, sizes):
    layers = _layers(resolution)
    assert {name: len(members) for name, members in layers.items()} == sizes
    assert sum(layers.values(), []) == list(range(2 * len(_levels(resolution))))


def test_a_single_level_has_a_short_name():
    assert [group.span for group in layer_groups(_levels(32))] == ["4x4 to 8x8", "16x16", "32x32"]


@pytest.mark.parametrize(
    "text, layers",
    [
        ("coarse", [0, 1, 2, 3]),
        ("middle,fine", [4, 5, 6, 7]),
        ("0-2", [0, 1, 2]),
        (" 7 , 0-1, 1", [0, 1, 7]),
        ("0-7", list(range(8))),
    ],
)
def test_layers_are_named_or_numbered(text, layers):
    assert parse_layers(text, _levels(32)) == layers


@pytest.mark.parametrize("text", ["0-8", "8", "3-1", "-1", "", "rough", "0,,1", "0-1-2", "1.5"])
def test_layers_that_are_not_there_are_refused(text):
    with pytest.raises(UserError, match="coarse, middle, fine, or layers from 0 to 7"):
        parse_layers(text, _levels(32))


def test_an_empty_group_is_told_apart_from_nonsense():
    with pytest.raises(UserError, match="no fine layers in a network of 8x8"):
        parse_layers("fine", _levels(8))
