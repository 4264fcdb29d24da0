"""Which styles a mixture has, and where it is in the picture."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.style_mixing import mix_layers, mixing_picture, mixing_table, share_rows, style_mixing_figure
from tests.helpers import painters


@pytest.fixture(scope="module")
def painter():
    return painters.painter()[0]


def _tiles(table, rows, columns, size=16):
    """Tiles counted from the lower right corner, where no caption is: [rows, columns, size, size, 3]; gaps are 2."""
    bottom, right = table.shape[0] - 2, table.shape[1] - 2
    step = size + 2
    return np.array(
        [
            [
                table[
                    bottom - row * step - size : bottom - row * step,
                    right - column * step - size : right - column * step,
                ]
                for column in reversed(range(columns))
            ]
            for row in reversed(range(rows))
        ]
    )


def test_mixing_takes_the_named_layers_from_the_other():
    ws, other = np.zeros([2, 6, 3]), np.ones([2, 6, 3])
    mixed = mix_layers(ws, other, [0, 4])
    np.testing.assert_array_equal(mixed[:, :, 0], [[1, 0, 0, 0, 1, 0]] * 2)
    assert (ws == 0).all()


def test_mixing_all_layers_gives_the_source_b_and_none_the_source_a(painter):
    ws_a, ws_b = (painter.dlatents(painter.latents(seeds)) for seeds in ([0, 1], [5, 6, 7]))
    pictures_a, pictures_b = painter.pictures(ws_a), painter.pictures(ws_b)
    everything = _tiles(mixing_picture(painter, ws_a, ws_b, range(6), "all", scale=1), 2, 3)
    nothing = _tiles(mixing_picture(painter, ws_a, ws_b, [], "none", scale=1), 2, 3)
    for row in range(2):
        for column in range(3):
            np.testing.assert_array_equal(everything[row, column], pictures_b[column])
            np.testing.assert_array_equal(nothing[row, column], pictures_a[row])


def test_the_sources_are_in_the_left_column_and_the_top_row(painter):
    ws = painter.dlatents(painter.latents([0, 1, 5, 6]))
    table = mixing_table(painter, ws[:2], [[0], [0]], ws[2:], scale=1)
    pictures = painter.pictures(ws)
    left = table[:, : table.shape[1] - 2 * 18 - 4]  # Without the columns of B and most of the wide gap.
    np.testing.assert_array_equal(_tiles(left, 2, 1)[:, 0], pictures[:2])
    top = table[: table.shape[0] - 2 * 18 - 4]
    np.testing.assert_array_equal(_tiles(top, 1, 2)[0], pictures[2:])


def test_rows_of_the_figure_copy_coarse_then_middle_then_fine_styles(painter):
    figure = style_mixing_figure(painter, [0, 1, 2], [5], scale=1)
    ws_a, w_b = painter.dlatents(painter.latents([0, 1, 2])), painter.dlatents(painter.latents([5]))
    for row, layers in enumerate(([0, 1], [2, 3], [4, 5])):
        w = np.array(ws_a[row : row + 1])
        w[:, layers] = w_b[:, layers]
        rest = figure[: figure.shape[0] - (2 - row) * (16 + 6)]  # Every row is a group: wide gaps.
        np.testing.assert_array_equal(_tiles(rest, 1, 1)[0, 0], painter.pictures(w)[0])


@pytest.mark.parametrize(
    "count, shares, rows", [(6, (3, 2, 1), [3, 2, 1]), (3, (3, 2, 1), [1, 1, 1]), (5, (3, 2), [3, 2])]
)
def test_rows_are_shared_as_in_the_paper(count, shares, rows):
    assert share_rows(count, shares) == rows


def test_too_few_sources_are_refused(painter):
    with pytest.raises(UserError, match="at least 3 sources A.*got 2"):
        style_mixing_figure(painter, [0, 1], [5])


def test_the_traditional_generator_has_no_styles_to_mix():
    traditional, _ = painters.painter(**painters.tiny.ROWS["b"])
    with pytest.raises(UserError, match="style mixing needs styles.*traditional"):
        style_mixing_figure(traditional, range(6), [5])
