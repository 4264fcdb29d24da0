"""Images through affine maps: exact where pixels go to pixels, else filtered with the wavelet sym6."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.training.affine_sampling import (
    IDENTITY,
    blitted,
    inverse_rotation,
    inverse_scaling,
    inverse_translation,
    sampled,
    shifted,
    then,
)


def random_images(count=1, size=8, channels=3, dtype=np.float32):
    return np.random.RandomState(0).uniform(-1, 1, [count, size, size, channels]).astype(dtype)


def sym6():
    """The orthonormal low-pass filter with 6 vanishing moments whose phase is the closest to linear: 12 taps.

    From Daubechies' construction: |H|^2 = 2 cos^12 P(sin^2); each root of P gives a pair z, 1/z to choose from.
    """
    y = np.roots([math.comb(5 + k, k) for k in range(5, -1, -1)])
    groups = [[root] for root in y if abs(root.imag) < 1e-9] + [[r, r.conjugate()] for r in y if r.imag > 1e-9]
    pairs = [[np.roots([1, 4 * root - 2, 1]) for root in group] for group in groups]
    found = []
    for choice in itertools.product([0, 1], repeat=len(pairs)):
        zeros = [-1] * 6
        for group, inside in zip(pairs, choice):
            zeros += [min(z, key=abs) if inside else max(z, key=abs) for z in group]
        taps = np.real(np.poly(zeros))
        taps *= math.sqrt(2) / taps.sum()
        frequencies = np.linspace(0, np.pi * 0.75, 200)
        response = np.exp(-1j * frequencies[:, None] * np.arange(12)) @ taps
        phase = np.unwrap(np.angle(response)) + 5.5 * frequencies
        slope = (phase @ frequencies) / (frequencies @ frequencies)
        found.append((np.abs(phase - slope * frequencies).max(), taps))
    return min(found, key=lambda pair: pair[0])[1]


def convolved(image, taps, stride_up=1):
    """NumPy's convolution along both axes of [h, w], zeros put between the pixels first."""
    spread = np.zeros([size * stride_up for size in image.shape])
    spread[::stride_up, ::stride_up] = image
    rows = np.apply_along_axis(np.convolve, 0, spread, taps)
    return np.apply_along_axis(np.convolve, 1, rows, taps)


def test_the_impulse_response_of_half_a_pixel_s_shift_is_that_of_the_wavelet():
    """An impulse, enlarged by sym6, shifted by one pixel of the enlarged image, and reduced by sym6."""
    impulse = np.zeros([1, 32, 32, 1], np.float32)
    impulse[0, 15, 17] = 1
    moved = sampled(impulse, inverse_translation(0.5, -0.5))[0, ..., 0].numpy()
    taps = sym6()
    enlarged = convolved(impulse[0, ..., 0], math.sqrt(2) * taps, 2)  # Tap k of pixel i is at 2 i + k.
    enlarged = np.roll(enlarged, (-1, 1), axis=(0, 1))
    reduced = convolved(enlarged, taps[::-1] / math.sqrt(2))[11::2, 11::2][:32, :32]
    expected = max((reduced, convolved_with_reversed(impulse, taps)), key=lambda e: -np.abs(e - moved).max())
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    assert moved.max() < 0.9  # It is between the pixels.


def convolved_with_reversed(impulse, taps):
    """The mirrored wavelet is as good a sym6."""
    enlarged = np.roll(convolved(impulse[0, ..., 0], math.sqrt(2) * taps[::-1], 2), (-1, 1), axis=(0, 1))
    return convolved(enlarged, taps / math.sqrt(2))[11::2, 11::2][:32, :32]


def test_where_nothing_moves_the_result_is_the_image():
    images = random_images(2, 16, 4)
    np.testing.assert_allclose(sampled(images, IDENTITY), images, atol=1e-6)
    far = sampled(images, inverse_translation(60.0, 30.0))  # The period of the reflections.
    np.testing.assert_allclose(far[:, 4:-4, 4:-4], images[:, 4:-4, 4:-4], atol=0.05)


def test_smooth_images_move_as_their_formula_does():
    """A wave of 8 pixels a period, turned by 30 degrees, enlarged and shifted, away from the border."""
    places = np.arange(48) - 23.5
    x, y = places[None, :], places[:, None]
    wave = np.sin(2 * np.pi * (0.09 * x + 0.085 * y) + 0.4)[None, ..., None].astype(np.float32)
    cos, sin = math.cos(math.pi / 6), math.sin(math.pi / 6)
    maps = (inverse_scaling(1.25, 1.0), inverse_rotation(cos, sin), inverse_translation(2.3, -1.6))
    found = sampled(wave, then(then(maps[0], maps[1]), maps[2]))[0, ..., 0].numpy()
    xs, ys = x - 2.3, y + 1.6
    xs, ys = cos * xs + sin * ys, -sin * xs + cos * ys
    expected = np.sin(2 * np.pi * (0.09 * xs / 1.25 + 0.085 * ys) + 0.4)
    np.testing.assert_allclose(found[12:-12, 12:-12], expected[12:-12, 12:-12], atol=0.03)


def test_details_survive_a_shift_by_half_a_pixel_better_than_bilinear_sampling():
    """Of white noise; bilinear sampling along x takes half of its horizontal Laplacian's power and more."""
    images = random_images(4, 64, 1)
    moved = sampled(images, inverse_translation(0.5, 0.5)).numpy()

    def laplacian(x):
        return np.sqrt(np.mean((4 * x - sum(np.roll(x, s, a) for s in (1, -1) for a in (1, 2)))[:, 8:-8, 8:-8] ** 2))

    assert 0.6 < laplacian(moved) / laplacian(images) < 0.9
    bilinear = sum(np.roll(images, (i, j), (1, 2)) for i in (0, 1) for j in (0, 1)) / 4
    assert laplacian(moved) > 1.3 * laplacian(bilinear)


def test_quarter_turns_and_whole_shifts_move_pixels_exactly():
    images = random_images()
    np.testing.assert_array_equal(blitted(images, inverse_rotation(0.0, 1.0)), np.rot90(images, -1, axes=(1, 2)))
    np.testing.assert_array_equal(blitted(images, inverse_scaling(-1.0, 1.0)), images[:, :, ::-1])
    right_and_down = blitted(images, inverse_translation(2.0, 1.0))
    np.testing.assert_array_equal(right_and_down[0, 1:, 2:], images[0, :-1, :-2])
    np.testing.assert_array_equal(right_and_down[0, 0, 2:], images[0, 1, :-2])  # Reflected.
    np.testing.assert_array_equal(right_and_down[0, 1:, 0], images[0, :-1, 2])
    turned_then_moved = then(then(IDENTITY, inverse_rotation(0.0, 1.0)), inverse_translation(1.0, 0.0))
    by_hand = blitted(blitted(images, inverse_rotation(0.0, 1.0)), inverse_translation(1.0, 0.0))
    np.testing.assert_array_equal(blitted(images, turned_then_moved), by_hand)


def test_xla_compiles_a_form_that_gives_the_same():
    images, angle = random_images(2), tf.constant([0.3, 2.0])
    inverse = then(inverse_rotation(tf.cos(angle), tf.sin(angle)), inverse_translation(angle, 9 * angle))
    compiled = tf.function(lambda images: sampled(images, inverse, for_xla=True), jit_compile=True)
    np.testing.assert_allclose(compiled(images), sampled(images, inverse), atol=1e-5)


@pytest.mark.parametrize("size", [4, 8])
def test_sampling_is_linear_with_its_transpose_as_derivative(size):
    angle = tf.constant([0.3, 2.0], tf.float64)
    inverse = then(inverse_rotation(tf.cos(angle), tf.sin(angle)), inverse_translation(angle, -angle))
    x, y = (tf.constant(random_images(2, size, 3, np.float64)[..., ::step]) for step in (1, -1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        product = tf.reduce_sum(sampled(x, inverse) * y)
    transposed = tape.gradient(product, x)
    np.testing.assert_allclose(
        tf.reduce_sum(transposed * (x + 2 * y)), product + 2 * tf.reduce_sum(sampled(y, inverse) * y)
    )


def test_shifted_images_are_filled_up_with_0():
    images = random_images(2)
    moved = shifted(images, tf.constant([1, 0]), tf.constant([0, -2])).numpy()
    np.testing.assert_array_equal(moved[0, 1:], images[0, :-1])
    np.testing.assert_array_equal(moved[1, :, :-2], images[1, :, 2:])
    assert not moved[0, 0].any() and not moved[1, :, -2:].any()
