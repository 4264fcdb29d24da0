"""Augmentation: what it does to images, its derivatives, and how p follows the discriminator's scores."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.training.augmentation import (
    AugmentationStrength,
    AugmentDraws,
    ada,
    band_filters,
    diffaugment,
    draw_augmentation,
    signs_of,
)
from tests.helpers.tiny_run import write_images
from tests.helpers.tiny_step import build, run
from tests.helpers.two_replicas import two_replicas

SEED = tf.constant([3, 5], tf.int64)


def random_images(count=3, size=8, channels=3, dtype=np.float32):
    return np.random.RandomState(0).uniform(-1, 1, [count, size, size, channels]).astype(dtype)


def draws(count=3, seed=SEED):
    return draw_augmentation(count, seed)


def repeated(images, count):
    return np.repeat(images[:1], count, axis=0)


def test_ada_at_p_0_changes_nothing_but_for_a_rounding_of_colours():
    images = random_images()
    np.testing.assert_allclose(ada(images, draws(), 0.0, filtering=True, noise=True, cutout=True), images, atol=2e-6)
    grey = random_images(channels=1)
    np.testing.assert_allclose(ada(grey, draws(), 0.0, cutout=True), grey, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [4, 8])
def test_every_image_is_augmented_by_its_own_numbers_at_any_size_and_number_of_channels(channels, size):
    images = repeated(random_images(1, size, channels), 6)
    for augmented in (ada(images, draws(6), 1.0), diffaugment(images, draws(6))):
        augmented = np.asarray(augmented)
        assert augmented.shape == images.shape and np.isfinite(augmented).all()
        assert all(np.abs(augmented[i] - augmented[j]).max() > 1e-3 for i in range(6) for j in range(i))


def test_ada_changes_about_the_expected_part_of_the_images():
    """At p = 0.01 an image stays with 0.99 per visible choice: 6.5 of geometry (flip and turn stay at 1/2 and 1/4,
    some shifts round to 0, two rotations count once), 4.5 of colour.
    """
    images = repeated(random_images(1), 2000)
    changed = np.abs(ada(images, draws(2000), 0.01).numpy() - images).max(axis=(1, 2, 3)) > 1e-4
    assert changed.mean() == pytest.approx(1 - 0.99**11, abs=0.025)


def test_luma_flip_hue_and_saturation_keep_grey_pictures_grey():
    grey = np.repeat(random_images(4, channels=1), 3, axis=3)
    augmented = ada(grey, draws(4), 1.0).numpy()
    np.testing.assert_allclose(augmented, np.repeat(augmented[..., :1], 3, axis=3), atol=1e-5)


@pytest.mark.parametrize("kind", [lambda x, draws: ada(x, draws, 1.0), diffaugment])
def test_transparency_moves_with_the_colours_and_has_none_of_its_own(kind):
    """An image whose fourth channel is a copy of a constant colour stays there; the colours are those without it."""
    images = random_images(6, channels=3)
    opaque = np.concatenate([images, np.ones([6, 8, 8, 1], np.float32)], axis=3)
    seeds = draws(6)
    found, plain = kind(opaque, seeds).numpy(), kind(images, seeds).numpy()
    np.testing.assert_allclose(found[..., :3], plain, atol=1e-5)
    assert set(np.unique(np.round(found[..., 3], 5))) <= {0.0, 1.0}, "shifted in or cut out: 0; no brightness"


def test_gray_images_get_the_luma_flip():
    images = np.full([200, 4, 4, 1], 0.5, np.float32)
    found = ada(images, draws(200), 1.0).numpy()[:, 0, 0, 0]
    # Brightness and contrast alone: (0.5 + N(0, 0.2)) exp(...) is negative in 0.6 % of the images; half are flipped.
    assert 0.4 < np.mean(found < 0) < 0.6


def test_cutout_hides_at_most_a_quarter_and_at_least_a_sixteenth():
    ones = np.ones([40, 16, 16, 1], np.float32)
    numbers = draws(40)
    with_holes = ada(ones, numbers, 1.0, cutout=True).numpy()
    hidden = (with_holes == 0).mean(axis=(1, 2, 3))
    assert (ada(ones, numbers, 1.0).numpy() != 0).all()
    assert hidden.max() <= 0.26 and hidden.min() >= 0.05


def test_bands_split_frequencies_into_octaves_and_add_up_to_the_image():
    bands = band_filters(64)
    np.testing.assert_allclose(bands.sum(axis=0), np.eye(64), atol=1e-12)
    places = np.arange(64)
    for frequency, band in ((0.03, 0), (0.09, 1), (0.19, 2), (0.45, 3)):  # Periods a pixel; octaves end at 1/2.
        wave = np.cos(2 * np.pi * frequency * places)
        powers = [np.mean((matrix @ wave)[22:-22] ** 2) for matrix in bands]
        assert np.argmax(powers) == band and powers[band] > 0.4 * np.mean(wave[22:-22] ** 2)


def test_filtering_keeps_the_expected_power_and_noise_is_as_strong_as_drawn():
    flat = np.ones([400, 8, 8, 1], np.float32)
    numbers = draw_augmentation(400, SEED, (8, 8, 1))
    plain = ada(flat, numbers, 0.7).numpy()
    gain = ada(flat, numbers, 0.7, filtering=True).numpy()[:, 0, 0, 0] / plain[:, 0, 0, 0]
    assert 0 < gain.min() < 0.9 and 1.05 < gain.max() <= 13 / 10 * (13 / 12) ** 3 + 1e-3  # The mean is in band 0.
    noise = (ada(flat, numbers, 0.7, noise=True) - plain).numpy().std(axis=(1, 2, 3))
    assert np.mean(noise > 1e-6) == pytest.approx(0.7, abs=0.06)
    assert noise.mean() == pytest.approx(0.7 * 0.1 * np.sqrt(2 / np.pi), rel=0.15)  # Half-normal.


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_derivatives_are_those_of_finite_differences(kind):
    """First and second, of a smooth function of the augmented image, in float64: what R1 takes."""
    numbers = AugmentDraws(*(tf.cast(x, tf.float64) for x in draw_augmentation(1, SEED, (4, 4, 3))))
    everything = {"filtering": True, "noise": True, "cutout": True}
    weights = tf.constant(np.random.RandomState(1).randn(4, 4, 3))

    def score(images):
        augmented = ada(images, numbers, 0.9, **everything) if kind == "ada" else diffaugment(images, numbers)
        return tf.reduce_sum(tf.sin(augmented) * weights)

    def gradient_norm(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = score(images)
        return tf.reduce_sum(tape.gradient(value, images) ** 2)

    images = tf.constant(random_images(1, 4, dtype=np.float64))
    for function in (score, gradient_norm):
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = function(images)
        found = tape.gradient(value, images).numpy()
        direction = np.random.RandomState(2).randn(*images.shape)
        delta = 1e-5
        expected = (function(images + delta * direction) - function(images - delta * direction)) / (2 * delta)
        assert abs(expected.numpy()) > 1e-3
        assert np.sum(found * direction) == pytest.approx(expected.numpy(), rel=1e-6)


def test_p_moves_every_4_iterations_towards_the_target_and_stays_in_0_to_1():
    strength, strategy = AugmentationStrength(), tf.distribute.get_strategy()
    seen = []
    for sign in [1.0] * 8 + [0.0] * 12:  # Batches of 10, from 0 to 1 in 100 images.
        strength.update(strategy, tf.constant(sign), 10, kimg=0.1)
        seen.append(round(float(strength.p), 3))
    assert seen == [0.0] * 3 + [0.4] * 4 + [0.8] * 4 + [0.4] * 4 + [0.0] * 5
    for _ in range(12):
        strength.update(strategy, tf.constant(1.0), 10, kimg=0.1)
    assert float(strength.p) == 1.0 and float(strength.variables["overfitting"]) == 1.0
    np.testing.assert_array_equal(signs_of(tf.constant([-2.0, 0.0, 3.0, np.nan])), [-1, 0, 1, 0])


def test_the_target_of_p_is_an_option():
    """At a mean sign of 0.5 p rises for a target below, and stays at 0 for one above."""
    for target, expected in ((0.4, 0.4), (0.6, 0.0)):
        strength = AugmentationStrength(target=target)
        for _ in range(4):
            strength.update(tf.distribute.get_strategy(), tf.constant(0.5), 10, kimg=0.1)
        assert float(strength.p) == pytest.approx(expected)


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny", resolution=8))


def test_two_replicas_and_two_rounds_augment_alike_and_adapt_p_alike(info):
    options = {
        "iterations": 4, "adam_epsilon": 0.1, "resolution": 8, "augment": "ada", "augment_kimg": 0.1,
        "schedule": {"max_replica_batch": {4: 4}},  # One device computes two rounds.
        "losses": {"r1_gamma": 1.0},
    }  # fmt: skip
    metrics, one = run(info, **options)
    metrics_of_two, two = run(info, strategy=two_replicas(), **options)
    assert metrics_of_two == pytest.approx(metrics, rel=1e-4)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-5, rtol=1e-5, err_msg=name)
    assert one["augmentation/overfitting"] == pytest.approx(metrics["real_sign"])
    expected = 0.32 if one["augmentation/overfitting"] > 0.6 else 0.0
    assert one["augmentation/p"] == pytest.approx(expected)


def test_a_fixed_p_is_what_the_discriminator_sees_through_and_stays(info):
    options = {"iterations": 4, "resolution": 8, "augment": "ada", "augment_kimg": 0.1, "losses": {"r1_gamma": 1.0}}
    adapting, _ = run(info, **options)
    fixed, arrays = run(info, **options, augment_p=0.9)
    assert fixed["real_score"] != adapting["real_score"]
    assert arrays["augmentation/p"] == 0 and arrays["augmentation/overfitting"] == pytest.approx(fixed["real_sign"])
    _, state = build(info, augment="ada", augment_p=0.9)
    assert state.step_counts()["augment_p"] == pytest.approx(0.9)


def test_a_fixed_p_without_ada_is_refused():
    with pytest.raises(UserError, match="augment_p needs `augment` ada, got none"):
        TrainConfig(data_dir="d", run_dir="r", augment_p=0.5)


def test_cutout_without_ada_is_refused():
    with pytest.raises(UserError, match="augment_cutout needs `augment` ada, got diffaugment"):
        TrainConfig(data_dir="d", run_dir="r", augment="diffaugment", augment_cutout=True)


def test_a_run_without_augmentation_draws_none_and_reports_the_overfitting(info):
    config, _state = build(info)
    assert config.augment == "none"
    metrics, arrays = run(info, iterations=1, resolution=4)
    assert metrics["real_sign"] in (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
    assert arrays["augmentation/images"] == arrays["augmentation/p"] == 0
