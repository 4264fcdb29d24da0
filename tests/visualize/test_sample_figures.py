"""Truncation and the uncurated picture."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.visualize.figures import truncation_figure, uncurated_count, uncurated_figure
from tests.helpers import painters


@pytest.fixture(scope="module")
def painter_and_generator():
    return painters.painter()


def _row(figure, row, rows, columns, size=16):
    """Tiles of a row: captions are above, gaps are 2 pixels."""
    bottom = figure.shape[0] - 2 - (rows - 1 - row) * (size + 2)
    right = figure.shape[1] - 2
    lefts = [right - (columns - column) * (size + 2) + 2 for column in range(columns)]
    return [figure[bottom - size : bottom, left : left + size] for left in lefts]


def _image_of(generator, painter, w):
    """The picture of one w [W] in every layer."""
    return painter.pictures(np.broadcast_to(np.asarray(w, np.float32), [1, 6, len(w)]))[0]


def test_psi_0_is_the_image_of_the_mean_w_and_psi_1_the_image_itself(painter_and_generator):
    painter, generator = painter_and_generator
    figure = truncation_figure(painter, [3, 4], psis=(1.0, 0.0, -1.0), scale=1)
    w_avg = named_variables(generator)["truncation/w_avg"].numpy()
    ws = generator.mapping_network(painter.latents([3, 4])).numpy()
    for row, w in enumerate(ws):
        full, mean, opposite = _row(figure, row, 2, 3)
        np.testing.assert_array_equal(full, _image_of(generator, painter, w))
        np.testing.assert_array_equal(mean, _image_of(generator, painter, w_avg))
        assert np.abs(opposite.astype(int) - _image_of(generator, painter, 2 * w_avg - w)).max() <= 1


def test_a_cutoff_leaves_the_other_layers_as_they_are():
    painter, generator = painters.painter(cutoff=2)
    figure = truncation_figure(painter, [3], psis=(0.0,), scale=1)
    ws = np.repeat(generator.mapping_network(painter.latents([3])).numpy()[:, None], 6, axis=1)
    ws[:, :2] = named_variables(generator)["truncation/w_avg"].numpy()
    np.testing.assert_array_equal(_row(figure, 0, 1, 1)[0], painter.pictures(ws)[0])


def test_the_traditional_generator_is_not_truncated():
    traditional, _ = painters.painter(**painters.tiny.ROWS["a"])
    with pytest.raises(UserError, match="truncation trick needs styles"):
        truncation_figure(traditional, [0])


def test_columns_hold_ever_smaller_tiles_from_the_top_down(painter_and_generator):
    painter, _ = painter_and_generator
    figure = uncurated_figure(painter, range(27), rows=1, scale=4)
    assert uncurated_count(1) == 27 and figure.shape == (64, 64 + 32 + 16 + 16 + 8 + 8, 3)
    pictures = painter.pictures(painter.dlatents(painter.latents(range(27))))
    np.testing.assert_array_equal(figure[:, :64], pictures[0].repeat(4, axis=0).repeat(4, axis=1))
    np.testing.assert_array_equal(figure[32:, 64:96], pictures[2].repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(figure[16:32, 96:112], pictures[4])
    halved = pictures[11].reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))  # The first of the smallest.
    assert np.abs(figure[:8, 128:136] - halved).max() <= 1


def test_small_networks_are_enlarged_until_the_smallest_tiles_show_every_pixel(painter_and_generator):
    painter, _ = painter_and_generator
    assert uncurated_figure(painter, range(27), rows=1).shape == (256, 576, 3)


def test_too_few_seeds_are_refused(painter_and_generator):
    with pytest.raises(UserError, match="shows 27 images in 1 rows, but there are 3 `seeds`"):
        uncurated_figure(painter_and_generator[0], range(3), rows=1)


def test_gray_letterboxed_conditional_and_traditional_networks_can_be_shown():
    options = {**painters.tiny.ROWS["b"], "num_channels": 1, "label_size": 3}
    label = np.array([0, 1, 0], np.float32)
    painter, _ = painters.painter(3, label=label, content_box=(0, 0.25, 1, 0.75), psi=0.7, cutoff=8, **options)
    figure = uncurated_figure(painter, range(27), rows=1, scale=8)
    assert figure.shape == (64, 128 + 64 + 32 + 32 + 16 + 16, 3)
    assert (figure[..., 0] == figure[..., 1]).all() and figure[:, :128].std() > 0


def test_planes_are_shown_by_the_first_ones():
    painter, _ = painters.painter(num_channels=5)
    ws = painter.dlatents(painter.latents([0, 1]))
    (images,) = painter.image_batches(ws)
    assert images.shape[-1] == 5
    np.testing.assert_array_equal(painter.pictures(ws), images[..., :3])
