"""Numbers of the figures about noise."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.visualize.figures import (
    busiest_window,
    noise_components_figure,
    noise_detail_figure,
    noise_masks,
    noise_statistics,
)
from tests.helpers import painters


@pytest.fixture(scope="module")
def painter():
    return painters.painter()[0]


@pytest.fixture(scope="module")
def w(painter):
    return painter.dlatents(painter.latents([0]))[0]


def test_deviations_are_those_of_the_brightness_over_the_realisations(painter, w):
    statistics = noise_statistics(painter, w, realisations=70)  # More than a batch.
    pictures = painter.pictures(np.stack([w] * 70), noise_seeds=range(70))
    np.testing.assert_array_equal(statistics.examples, pictures[:4])
    expected = pictures.astype(np.float64).mean(axis=-1).std(axis=0)
    assert expected.max() > 1
    np.testing.assert_allclose(statistics.deviation, expected, atol=1e-5)


def test_without_strength_the_noise_changes_nothing():
    painter, generator = painters.painter()
    for name, variable in named_variables(generator).items():
        if name.endswith("noise/strength"):
            variable.assign(np.zeros(variable.shape))
    w = painter.dlatents(painter.latents([0]))[0]
    statistics = noise_statistics(painter, w, realisations=5)
    assert statistics.deviation.max() == 0
    assert noise_detail_figure(painter, [0], realisations=4, scale=4).std() > 0  # Not a division by 0.


def test_the_busiest_window_is_found():
    values = np.zeros([8, 16])
    values[5, 9] = values[6, 11] = 1.0
    values[1, 1] = 1.5
    assert busiest_window(values) == (5, 8, 2, 4)


def test_the_detail_figure_shows_image_zooms_and_deviations(painter, w):
    statistics = noise_statistics(painter, w, realisations=8)
    figure = noise_detail_figure(painter, [0], realisations=8, scale=4)
    gap, size = 4, 64  # 16 pixels enlarged by 4.
    assert figure.shape[1] == 4 * gap + 3 * size
    top = figure.shape[0] - gap - size
    levels = statistics.deviation / statistics.deviation.max() * 255
    shown = figure[top : top + size : 4, gap * 3 + size * 2 : -gap : 4]
    assert (np.abs(shown - levels[:, :, None]) <= 0.51).all()
    y, x, height, width = busiest_window(statistics.deviation)
    zoom = statistics.examples[3][y : y + height, x : x + width].repeat(8, axis=0).repeat(8, axis=1)
    left = 2 * gap + size
    np.testing.assert_array_equal(figure[top + 33 : top + size, left + 33 : left + size], zoom[:31, :31])


def test_components_are_all_layers_none_the_fine_and_the_others():
    masks, captions = noise_masks((4, 8, 16, 32, 64, 128))
    np.testing.assert_array_equal(masks.sum(axis=1), [12, 0, 4, 8])
    assert masks[2, 8:].all() and masks[3, :8].all()
    assert "64x64 to 128x128" in captions[2] and "4x4 to 32x32" in captions[3]


def test_networks_without_fine_layers_show_two_components():
    masks, captions = noise_masks((4, 8))
    np.testing.assert_array_equal(masks, [[True] * 4, [False] * 4])
    assert len(captions) == 2


def test_the_component_without_noise_is_the_image_without_noise(painter, w):
    figure = noise_components_figure(painter, [0], scale=1)
    tile = figure[-18:-2, -2 - 3 * 18 + 2 :][:, :16]
    silent, _ = painters.painter(noise_mode="none")
    np.testing.assert_array_equal(tile, silent.pictures(w[None])[0])
    everything = figure[-18:-2, -2 - 4 * 18 + 2 :][:, :16]
    np.testing.assert_array_equal(everything, painter.pictures(w[None], noise_seeds=[0])[0])
    assert (everything != tile).any()
    maps = painter.generator.synthesis.draw_noise(1, 16, seed=[0, 0])
    fine = [maps[layer] if layer >= 4 else np.zeros_like(maps[layer]) for layer in range(6)]  # 16x16.
    expected = painter.generator.synthesis(w[None], noise=fine).numpy()[0] * 127.5 + 127.5
    shown = figure[-18:-2, -2 - 2 * 18 + 2 :][:, :16]
    assert np.abs(shown - np.clip(expected, 0, 255)).max() <= 0.51


@pytest.mark.parametrize("row", ["b", "c", "d"])
def test_networks_without_noise_inputs_are_told_so(row):
    silent, _ = painters.painter(**painters.tiny.ROWS[row])
    for figure in (noise_detail_figure, noise_components_figure):
        with pytest.raises(UserError, match="needs noise inputs, but this network has none"):
            figure(silent, [0])
