"""Noise modes and growth of the synthesis network."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.ops.resampling import upscale_2d
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny


def _synthesis(**options):
    generator, v = tiny.generator(**options)
    return generator.synthesis, v


def test_random_noise_differs_between_calls_and_images():
    synthesis, _ = _synthesis()
    ws = np.tile(tiny.normal(1, 1, 7), [2, 4, 1])
    first, second = synthesis(ws, noise_mode="random"), synthesis(ws, noise_mode="random")
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first[0] - first[1]).max() > 0.1


def test_random_noise_is_drawn_anew_at_every_call_of_a_graph():
    synthesis, _ = _synthesis()
    ws = tiny.normal(1, 4, 7)
    traced = tf.function(lambda: synthesis(ws))
    assert np.abs(traced() - traced()).max() > 0.1


def test_constant_noise_is_the_same_for_all_images_and_calls():
    synthesis, _ = _synthesis()
    ws = np.tile(tiny.normal(1, 1, 7), [2, 4, 1])
    images = synthesis(ws, noise_mode="const")
    tiny.assert_close(images[0], images[1], 1e-5)
    tiny.assert_close(synthesis(ws, noise_mode="const"), images, 1e-5)


def test_no_noise_leaves_the_noise_out():
    synthesis, v = _synthesis()
    ws = tiny.normal(2, 4, 7)
    expected = plain.synthesis(synthesis.config, v, ws.astype(np.float64), use_noise=False)
    tiny.assert_close(synthesis(ws, noise_mode="none"), expected)


@pytest.mark.parametrize("noise_mode", ["random", "const", "none"])
def test_given_noise_replaces_what_the_mode_says(noise_mode):
    synthesis, _ = _synthesis()
    maps = [value for name, value in named_variables(synthesis).items() if name.endswith("noise/map")]
    ws = tiny.normal(2, 4, 7)
    images = synthesis(ws, noise=maps, noise_mode=noise_mode)
    np.testing.assert_array_equal(images, synthesis(ws, noise_mode="const"))


def test_an_unknown_noise_mode_is_refused():
    synthesis, _ = _synthesis()
    with pytest.raises(ValueError, match="random, const, none.*'loud'"):
        synthesis(tiny.normal(2, 4, 7), noise_mode="loud")


def test_noise_has_one_normal_map_per_layer_and_image_and_follows_its_seed():
    synthesis, _ = _synthesis(resolution=16)
    noise = synthesis.draw_noise(200, 16, seed=tf.constant([1, 2]))
    assert [tuple(sample.shape) for sample in noise] == [(200, r, r, 1) for r in (4, 4, 8, 8, 16, 16)]
    for sample in noise:
        assert abs(np.mean(sample)) < 0.1 and 0.9 < np.std(sample) < 1.1
    assert np.abs(noise[0] - noise[1]).max() > 0.1
    again, other = synthesis.draw_noise(200, 8, tf.constant([1, 2])), synthesis.draw_noise(200, 8, tf.constant([2, 1]))
    assert len(again) == 4 and np.abs(other[0] - again[0]).max() > 0.1
    np.testing.assert_array_equal(synthesis.draw_noise(200, 16, tf.constant([1, 2]))[5], noise[5])


def test_noise_is_drawn_for_every_image_and_layer():
    synthesis, _ = _synthesis()
    noise = synthesis.draw_noise_of_images(tf.constant([[0, 1], [0, 2], [0, 1]]), 8)
    assert [tuple(layer.shape) for layer in noise] == [(3, 4, 4, 1), (3, 4, 4, 1), (3, 8, 8, 1), (3, 8, 8, 1)]
    for layer, alone in zip(noise, synthesis.draw_noise(1, 8, tf.constant([0, 2]))):
        assert np.abs(layer[0] - layer[1]).min() > 0
        np.testing.assert_array_equal(layer[0], layer[2])
        np.testing.assert_array_equal(layer[1], alone[0])
    assert np.abs(noise[0] - noise[1]).min() > 0
    many = tf.function(synthesis.draw_noise_of_images)(tf.constant([[5, number] for number in range(200)]), 8)
    values = np.concatenate([np.ravel(layer) for layer in many])
    assert abs(values.mean()) < 0.02 and abs(values.std() - 1) < 0.02


def test_a_network_without_noise_inputs_draws_none():
    synthesis, _ = _synthesis(use_noise=False)
    assert synthesis.noise_shapes(8) == synthesis.draw_noise(2, 8) == synthesis.draw_noise(2, 8, [0, 1]) == []
    assert synthesis.draw_noise_of_images(tf.constant([[0, 1]]), 8) == []
    ws = tiny.normal(2, 4, 7)
    np.testing.assert_array_equal(synthesis(ws), synthesis(ws, noise_mode="none"))


def test_two_layers_run_per_level():
    synthesis, _ = _synthesis()
    assert [synthesis.num_layers_at(2**k) for k in range(2, 11)] == [2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_at_alpha_zero_a_level_is_the_one_below_upscaled_and_at_one_it_stands_alone():
    synthesis, _ = _synthesis(resolution=16)
    ws = tiny.normal(2, 6, 7)
    for resolution in (8, 16):
        below = upscale_2d(synthesis(ws, resolution=resolution // 2, noise_mode="const"))
        start = synthesis(ws, resolution=resolution, alpha=0.0, noise_mode="const")
        half = synthesis(ws, resolution=resolution, alpha=0.5, noise_mode="const")
        end = synthesis(ws, resolution=resolution, alpha=1.0, noise_mode="const")
        assert end.shape == (2, resolution, resolution, 3)
        tiny.assert_close(start, below, 1e-5)
        tiny.assert_close(half, (below + end) / 2, 1e-5)
        named_variables(synthesis)[f"{resolution // 2}x{resolution // 2}/to_rgb/bias"].assign([5.0, 6.0, 7.0])
        tiny.assert_close(synthesis(ws, resolution=resolution, noise_mode="const"), end, 1e-5)


def test_alpha_may_be_a_tensor_that_changes_without_a_new_trace():
    synthesis, _ = _synthesis()
    ws = tf.constant(tiny.normal(2, 4, 7))
    traced = tf.function(lambda alpha: synthesis(ws, alpha=alpha, noise_mode="const"))
    for alpha in (0.0, 0.25, 1.0):
        tiny.assert_close(traced(tf.constant(alpha)), synthesis(ws, alpha=alpha, noise_mode="const"), 1e-5)
    assert traced.experimental_get_tracing_count() == 1


def test_layers_above_the_current_resolution_do_not_run():
    synthesis, _ = _synthesis(resolution=16)
    variables = named_variables(synthesis)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(synthesis(tiny.normal(2, 4, 7), resolution=8, alpha=0.5, noise_mode="const"))
    for name, gradient in tape.gradient(total, variables).items():
        if variables[name].trainable:
            assert (gradient is None) == name.startswith("16x16/"), name


def test_a_resolution_that_is_no_level_is_refused():
    synthesis, _ = _synthesis()
    for resolution in (2, 6, 16):
        with pytest.raises(ValueError, match=rf"\(4, 8\), got {resolution}"):
            synthesis(tiny.normal(2, 4, 7), resolution=resolution)
