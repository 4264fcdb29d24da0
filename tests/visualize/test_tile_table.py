"""Where tiles and captions are."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.tile_table import Band, scale_for, tile_table


def _tile(value, height=8, width=8):
    return np.full([height, width, 3], value, np.uint8)


def test_tiles_lie_in_rows_and_columns_with_gaps_between():
    table = np.array(tile_table([[_tile(10), _tile(20)], [_tile(30), None]], scale=1))
    # A margin of 12 // 6 pixels above and to the left, gaps of 2 everywhere.
    assert table.shape == (2 + 2 * (8 + 2) + 2, 2 + 2 * (8 + 2) + 2, 3)
    assert (table[4:12, 4:12] == 10).all() and (table[4:12, 14:22] == 20).all() and (table[14:22, 4:12] == 30).all()
    table[4:12, 4:12] = table[4:12, 14:22] = table[14:22, 4:12] = 255
    assert (table == 255).all()


def test_breaks_are_wider_gaps():
    table = tile_table([[_tile(10), _tile(20)], [_tile(30), _tile(40)]], scale=1, breaks_above={1}, breaks_beside={1})
    assert table.shape == (28, 28, 3)
    assert (table[18:26, 18:26] == 40).all()


def test_tiles_need_not_be_square_and_are_enlarged_by_whole_pixels():
    table = tile_table([[np.arange(6, dtype=np.uint8).reshape(1, 2, 3)]], scale=3)
    np.testing.assert_array_equal(table[4:7, 4:10], np.repeat(np.arange(6).reshape(2, 3), 3, axis=0)[None].repeat(3, 0))


def test_small_tiles_are_enlarged_until_they_are_legible():
    assert [scale_for((size, size // 2)) for size in (4, 32, 64, 127, 128, 1024)] == [32, 4, 2, 2, 1, 1]
    assert scale_for((32, 32), 3) == 3


def test_captions_are_ink_beside_the_tiles_and_nowhere_on_them():
    tiles = [[_tile(255, 64, 64)] * 2] * 2
    plain = tile_table(tiles, scale=1)
    table = tile_table(tiles, scale=1, above=[Band("above", 1, 1)], beside=[Band("two\nlines", 0, 1)])
    top, left = table.shape[0] - plain.shape[0], table.shape[1] - plain.shape[1]
    assert left > top > 0  # Two lines on the left, one above.
    ink = (table < 128).any(axis=-1)
    assert ink[: top + 4, left + 64 :].any() and not ink[: top + 4, : left + 64].any()
    assert ink[:, : left + 4].any() and not ink[top + 4 :, left + 4 :].any()


def test_a_long_caption_gets_smaller_letters_instead_of_running_over():
    tiles = [[_tile(255, 64, 64), _tile(255, 64, 64)]]
    table = tile_table(tiles, scale=1, above=[Band("a rather long caption", 0, 0)])
    assert (table[:, 4:68] < 128).any() and not (table[:, 70:] < 128).any()


def test_a_picture_that_no_viewer_opens_is_refused():
    with pytest.raises(UserError, match="fewer seeds or a smaller `scale`"):
        tile_table([[_tile(0)]], scale=4000)
