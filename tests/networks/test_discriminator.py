"""The whole discriminator against NumPy, and the derivatives of the gradient penalty against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import named_variables
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny

LABELS = np.eye(3, dtype=np.float32)[[0, 2, 1, 2]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"blur": False},
        {"mbstd_group_size": 0},
        {"mbstd_group_size": 2},
        {"num_channels": 1},
        {"label_size": 3},
        {"label_size": 3, "use_labels": False},
    ],
    ids=str,
)
def test_scores_agree_with_numpy(options):
    discriminator, v = tiny.discriminator(**options)
    images = tiny.images(4, 8, discriminator.config.num_channels)
    scores = discriminator(images, labels=LABELS if discriminator.config.label_size else None)
    assert scores.shape == (4,) and scores.dtype == tf.float32
    tiny.assert_close(scores, plain.discriminator(discriminator.config, v, images.astype(np.float64), LABELS))


@pytest.mark.parametrize("size, alpha", [(4, 1.0), (4, 0.5), (8, 0.0), (8, 0.3), (16, 0.6), (16, 1.0)])
def test_every_phase_of_growth_agrees_with_numpy(size, alpha):
    discriminator, v = tiny.discriminator(resolution=16)
    images = tiny.images(4, size)
    scores = discriminator(images, alpha=alpha)
    tiny.assert_close(scores, plain.discriminator(discriminator.config, v, images.astype(np.float64), alpha=alpha))


def test_at_alpha_zero_an_image_is_judged_at_half_its_size_and_at_one_the_level_stands_alone():
    discriminator, _ = tiny.discriminator(resolution=16)
    for size in (8, 16):
        images = tiny.images(4, size)
        half_size = plain.downscale(images).astype(np.float32)
        tiny.assert_close(discriminator(images, alpha=0.0), discriminator(half_size), 1e-5)
        end = discriminator(images)
        named_variables(discriminator)[f"{size // 2}x{size // 2}/from_rgb/bias"].assign_add(tf.ones([6]))
        tiny.assert_close(discriminator(images, alpha=1.0), end, 1e-5)


def test_layers_above_the_size_of_the_images_do_not_run():
    discriminator, _ = tiny.discriminator(resolution=16)
    variables = named_variables(discriminator)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(discriminator(tiny.images(4, 8), alpha=0.5))
    for name, gradient in tape.gradient(total, variables).items():
        assert (gradient is None) == name.startswith("16x16/"), name


def test_the_graph_computes_the_same_for_any_batch_size_and_alpha():
    discriminator, _ = tiny.discriminator()
    traced = tf.function(discriminator, input_signature=[tf.TensorSpec([None, 8, 8, 3])])
    for count in (1, 3, 8):
        images = tiny.images(count, 8)
        tiny.assert_close(traced(images), discriminator(images), 1e-5)


def test_scores_are_those_of_the_label():
    discriminator, _ = tiny.discriminator(label_size=3, mbstd_group_size=0)
    images = np.tile(tiny.images(1, 8), [4, 1, 1, 1])
    scores = discriminator(images, labels=LABELS).numpy()
    assert np.ptp(scores[[1, 3]]) < 1e-5 and np.ptp(scores[:3]) > 0.1
    both = discriminator(images, labels=np.tile([[1, 0, 1]], [4, 1])).numpy()  # The sum over the labels that hold.
    np.testing.assert_allclose(both, np.full(4, scores[0] + scores[1]), rtol=1e-4)


def test_a_conditional_network_asks_for_its_labels():
    discriminator, _ = tiny.discriminator(label_size=3)
    with pytest.raises(ValueError, match=r"labels \[N, 3\]"):
        discriminator(tiny.images(4, 8))


@pytest.mark.parametrize("shape", [(16, 16, 3), (2, 2, 3), (6, 6, 3), (8, 4, 3), (8, 8, 1), (3, 8, 8)])
def test_images_of_another_size_or_layout_are_refused(shape):
    discriminator, _ = tiny.discriminator()
    with pytest.raises(ValueError, match=r"\[N, r, r, 3\] with r one of \(4, 8\), got \(4, "):
        discriminator(np.zeros((4, *shape), np.float32))


def _penalty(discriminator, images, variables, alpha):
    """Ours: (image gradient, sum of its squares, derivatives of that sum by the weights)."""
    images = tf.constant(images)
    with tf.GradientTape() as second:
        with tf.GradientTape() as first:
            first.watch(images)
            total = tf.reduce_sum(discriminator(images, alpha=alpha))
        gradient = first.gradient(total, images)
        penalty = tf.reduce_sum(tf.square(gradient))
    return gradient, penalty, second.gradient(penalty, variables, unconnected_gradients="zero")


def _plain_image_gradient(config, v, images, alpha, step=1e-5):
    """Central differences in float64, all pixels of all images in one batch.

    Every group of the minibatch standard deviation is one copy of the images with one pixel moved. Members of a group
    are N / G apart: image i of copy k stands at i * copies + k.
    """
    count, pixels = len(images), images.size
    moves = np.concatenate([np.eye(pixels), -np.eye(pixels)]) * step  # [copies, pixels]
    copies = images.reshape(1, -1) + moves
    batch = copies.reshape([len(copies), *images.shape]).swapaxes(0, 1).reshape([-1, *images.shape[1:]])
    scores = plain.discriminator(config, v, batch, alpha=alpha).reshape(count, len(copies)).sum(axis=0)
    return ((scores[:pixels] - scores[pixels:]) / (2 * step)).reshape(images.shape)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_the_gradient_penalty_and_its_derivatives_agree_with_finite_differences(alpha):
    discriminator, v = tiny.discriminator(num_channels=1, mbstd_group_size=2)
    config, images = discriminator.config, tiny.images(2, 8, channels=1)
    variables = named_variables(discriminator)
    gradient, penalty, derivatives = _penalty(discriminator, images, variables, alpha)

    exact = images.astype(np.float64)
    expected = _plain_image_gradient(config, v, exact, alpha)
    tiny.assert_close(gradient, expected, 1e-4)
    np.testing.assert_allclose(penalty, np.sum(expected**2), rtol=1e-3)

    rng, step = np.random.RandomState(3), 1e-4
    for name in v:  # Along one random direction per variable.
        direction = rng.randn(*v[name].shape)
        moved = [{**v, name: v[name] + sign * step * direction} for sign in (1, -1)]
        ahead, behind = (np.sum(_plain_image_gradient(config, weights, exact, alpha) ** 2) for weights in moved)
        slope = np.sum(derivatives[name].numpy() * direction)
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=2e-3, atol=1e-3 * penalty, err_msg=name)
