"""Runs that start with the weights of a network file."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from stylegan_tf.cli import training_flags
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, load_networks, save_networks
from stylegan_tf.ops.elementwise import leaky_relu
from stylegan_tf.training.run.initial_networks import initialise
from stylegan_tf.training.run.loop import train
from stylegan_tf.training.run.record import write_flag_file
from stylegan_tf.training.state import TrainState
from tests.helpers.tiny_run import tiny_config, write_images

CONFIG = tiny_config("data", "run")
SIZE = {"resolution": 8, "fmap_base": 32, "fmap_max": 8}
VECTORS = {"latent_size": 16, "dlatent_size": 16, "mapping_fmaps": 16, "mapping_layers": 2}
GENERATOR, DISCRIMINATOR = GeneratorConfig(**SIZE, **VECTORS), DiscriminatorConfig(**SIZE)


def randomized(network, seed):
    random = np.random.RandomState(seed)
    for variable in named_variables(network).values():
        variable.assign(random.standard_normal(tuple(variable.shape)).astype(np.float32))
    return network


def arrays(network):
    return {name: variable.numpy() for name, variable in named_variables(network).items()}


def assert_equal(network, expected):
    for name, value in arrays(network).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def network_file(path, generator=None, discriminator=None, generator_ema=None, metadata=None):
    save_networks(path, Networks(generator, discriminator, generator_ema, metadata or {}))
    return str(path)


@pytest.fixture
def networks():
    return Networks(
        randomized(Generator(GENERATOR), 1),
        randomized(Discriminator(DISCRIMINATOR), 2),
        randomized(Generator(GENERATOR), 3),
        {},
    )


def state():
    return TrainState(CONFIG, GENERATOR, DISCRIMINATOR)


def test_all_networks_are_copied(tmp_path, networks):
    new = state()
    path = network_file(tmp_path / "n.npz", *networks[:3])
    assert initialise(new, path, 8) == [f"starting with the weights of {path}, fully grown; training begins at 8x8"]
    assert_equal(new.generator, arrays(networks.generator))
    assert_equal(new.discriminator, arrays(networks.discriminator))
    assert_equal(new.generator_ema, arrays(networks.generator_ema))


@pytest.mark.parametrize("part", ["generator", "generator_ema"])
def test_one_generator_serves_as_both_and_a_missing_discriminator_is_reported(tmp_path, networks, part):
    new = state()
    before = arrays(new.discriminator)
    lines = initialise(new, network_file(tmp_path / "n.npz", **{part: getattr(networks, part)}), 8)
    expected = arrays(getattr(networks, part))
    assert_equal(new.generator, expected)
    assert_equal(new.generator_ema, expected)
    assert_equal(new.discriminator, before)
    assert lines[1].startswith("warning: ") and "holds no discriminator" in lines[1]


def test_a_file_without_generator_is_refused(tmp_path, networks):
    with pytest.raises(UserError, match="no generator"):
        initialise(state(), network_file(tmp_path / "n.npz", discriminator=networks.discriminator), 8)


@pytest.mark.parametrize(
    "part, options, message",
    [
        ("generator_ema", {"use_noise": False}, "the generator_ema of .* has use_noise False, this run has True"),
        ("discriminator", {"fmap_max": 4}, "the discriminator of .* has fmap_max 4, this run has 8"),
    ],
)
def test_the_first_option_that_differs_is_named_and_nothing_is_copied(tmp_path, networks, part, options, message):
    kind, config = (Discriminator, DISCRIMINATOR) if part == "discriminator" else (Generator, GENERATOR)
    other = kind(dataclasses.replace(config, **options))
    new = state()
    before = arrays(new.generator)
    path = network_file(tmp_path / "n.npz", **{**networks._asdict(), part: other, "metadata": None})
    with pytest.raises(UserError, match=message):
        initialise(new, path, 8)
    assert_equal(new.generator, before)


@pytest.mark.parametrize("freeze_d, options", [(1, {"resolution": 4}), (1, None)])
def test_what_would_be_frozen_at_random_weights_is_refused(tmp_path, networks, freeze_d, options):
    if options:
        path, _ = file_of_others(tmp_path / "n.npz", **options)
    else:
        path = network_file(tmp_path / "n.npz", generator=networks.generator)
    with pytest.raises(UserError, match="freeze_d 1 would freeze random weights: .* has none for .* 8x8"):
        initialise(state(), path, 4, freeze_d)


def test_frozen_levels_that_the_file_has_are_taken(tmp_path, networks):
    path = network_file(tmp_path / "n.npz", discriminator=networks.discriminator, generator=networks.generator)
    new = state()
    initialise(new, path, 8, freeze_d=1)
    assert_equal(new.discriminator, arrays(networks.discriminator))


def file_of_others(path, **options):
    """(path, its networks), which differ from the run's in these options."""
    generator, discriminator = (dataclasses.replace(config, **options) for config in (GENERATOR, DISCRIMINATOR))
    found = randomized(Generator(generator), 1), randomized(Discriminator(discriminator), 2)
    return network_file(path, *found), found


def state_with(**options):
    return TrainState(CONFIG, *(dataclasses.replace(config, **options) for config in (GENERATOR, DISCRIMINATOR)))


def latents(count=4):
    return np.random.RandomState(7).randn(count, 16).astype(np.float32)


def images(generator, labels=None):
    return generator(latents(), labels=labels, noise_mode="const").numpy()


def test_new_levels_start_fresh_and_the_old_ones_draw_what_they_drew(tmp_path):
    path, (generator, discriminator) = file_of_others(tmp_path / "n.npz", resolution=4)
    new = state()
    lines = initialise(new, path, 4)
    assert lines[0].endswith("training begins at 4x4, levels up to 8x8 fade in after that")
    assert lines[1].startswith("generator: ") and lines[1].endswith(" variables copied; new 8x8")
    assert lines[2].startswith("discriminator: ") and lines[2].endswith(" variables copied; new 8x8")
    at_4 = new.generator(latents(), noise_mode="const", resolution=4).numpy()
    np.testing.assert_array_equal(at_4, images(generator))
    np.testing.assert_array_equal(new.discriminator(at_4), discriminator(at_4))
    assert initialise(state(), path, 8)[1].startswith("warning: 8x8 starts from random weights; `start_resolution=4`")


def test_levels_above_those_of_the_run_are_left_out_and_the_highest_is_given_the_networks_own_colours(tmp_path):
    """Against least squares in NumPy on other pictures of the same network, halved."""
    path, (generator, _) = file_of_others(tmp_path / "n.npz", resolution=16)
    new = state()
    lines = initialise(new, path, 16)
    assert "training begins at 8x8" in lines[0] and lines[1].endswith(" variables copied; skipped 16x16")
    assert lines[-1].startswith("colours at 8x8 fitted to its own pictures: ")
    z = np.random.RandomState(7).randn(64, 16).astype(np.float32)
    whole = generator(z, noise_mode="const").numpy()
    halved = whole.reshape(64, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    ws = generator.broadcast(generator.mapping_network(z), 8)
    x = generator.synthesis.features(ws, 8)[-1].numpy().reshape(64 * 64, -1)
    x = np.concatenate([x, np.ones([len(x), 1])], axis=1)
    best = x @ np.linalg.lstsq(x, halved.reshape(len(x), 3), rcond=None)[0]

    def error(pictures):
        return np.sqrt(np.mean((np.reshape(pictures, [-1, 3]) - halved.reshape(-1, 3)) ** 2))

    found = error(new.generator(z, noise_mode="const"))
    assert found < 1.1 * error(best) and found < error(generator(z, noise_mode="const", resolution=8)) / 2


def test_the_discriminator_of_a_lower_resolution_sees_about_what_it_saw(tmp_path):
    path, (generator, discriminator) = file_of_others(tmp_path / "n.npz", resolution=16)
    new = state()
    before = discriminator.from_rgb["8x8"](np.zeros([1, 8, 8, 3], np.float32)).shape
    initialise(new, path, 8)
    whole = generator(np.random.RandomState(7).randn(32, 16).astype(np.float32), noise_mode="const")
    halved = np.reshape(whole, [32, 8, 2, 8, 2, 3]).mean(axis=(2, 4))
    x = leaky_relu(discriminator.from_rgb["16x16"](whole))
    for layer in discriminator.blocks["16x16"]:
        x = leaky_relu(layer(x))

    def error(network):
        return np.mean((leaky_relu(network.from_rgb["8x8"](halved)) - x) ** 2)

    assert before[-1] == x.shape[-1] and error(new.discriminator) < error(discriminator) / 2


@pytest.mark.parametrize("there, here", [(0, 3), (3, 0), (3, 2)])
def test_other_labels_take_over_what_does_not_depend_on_them(tmp_path, there, here):
    path, (generator, discriminator) = file_of_others(tmp_path / "n.npz", label_size=there)
    new = state_with(label_size=here)
    lines = initialise(new, path, 8)
    assert "dense1" in lines[2]
    if not there:  # New labels change nothing at first, and learn.
        labels = tf.eye(4, 3)
        expected = generator.mapping_network(latents())
        mapping = new.generator.mapping_network
        np.testing.assert_allclose(mapping(latents(), labels=labels), expected, rtol=1e-4, atol=1e-4)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(mapping(latents(), labels=labels) ** 2)
        assert np.abs(tape.gradient(total, mapping.label_embedding.weight)).min() > 0
        pictures = np.random.RandomState(3).uniform(-1, 1, [4, 8, 8, 3]).astype(np.float32)
        scores = new.discriminator(pictures, labels=np.eye(4, 3, dtype=np.float32)[[0, 1, 2, 0]])
        np.testing.assert_allclose(scores, discriminator(pictures), rtol=1e-4, atol=1e-4)
    assert "synthesis" not in lines[1]


def test_transparency_is_added_opaque_and_taken_away(tmp_path):
    path, (generator, discriminator) = file_of_others(tmp_path / "n.npz", num_channels=3)
    new = state_with(num_channels=4)
    initialise(new, path, 8)
    np.testing.assert_allclose(images(new.generator)[..., :3], images(generator), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(images(new.generator)[..., 3], 1.0)
    pictures = np.random.RandomState(3).uniform(-1, 1, [4, 8, 8, 4]).astype(np.float32)
    np.testing.assert_allclose(new.discriminator(pictures), discriminator(pictures[..., :3]), rtol=1e-3, atol=1e-3)
    path, (generator, discriminator) = file_of_others(tmp_path / "rgba.npz", num_channels=4)
    back = state()
    initialise(back, path, 8)
    np.testing.assert_allclose(images(back.generator), images(generator)[..., :3], rtol=1e-4, atol=1e-4)
    pictures[..., 3] = 1
    np.testing.assert_allclose(back.discriminator(pictures[..., :3]), discriminator(pictures), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("there, here", [(1, 3), (3, 1)])
def test_other_channels_begin_with_the_mean_brightness(tmp_path, there, here):
    path, (generator, discriminator) = file_of_others(tmp_path / "n.npz", num_channels=there)
    new = state_with(num_channels=here)
    lines = initialise(new, path, 8)
    assert "to_rgb" in lines[1] and "from_rgb" in lines[2]
    brightness = images(generator).mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(images(new.generator), np.repeat(brightness, here, axis=-1), rtol=1e-4, atol=1e-4)
    grey = np.random.RandomState(3).uniform(-1, 1, [4, 8, 8, 1]).astype(np.float32)
    scores = [d(np.repeat(grey, d.config.num_channels, axis=-1)) for d in (discriminator, new.discriminator)]
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-3)


def test_a_run_starts_from_the_file_and_resumes_without_it(tmp_path, networks):
    path = network_file(tmp_path / "n.npz", *networks[:3])
    write_images(tmp_path / "data", resolution=8)
    # A step of 1e-30 leaves every weight as it is: what the run writes is what it has started with.
    growth = {"start_resolution": 8, "learning_rate": 1e-30}
    run = tiny_config(tmp_path / "data", tmp_path / "run", growth, total_kimg=0.016, init_from=path)
    train(run)
    written = load_networks(tmp_path / "run")
    for part in ("discriminator", "generator"):
        expected = arrays(getattr(networks, part))
        expected["truncation/w_avg"] = arrays(written.generator)["truncation/w_avg"]  # It follows the batches' w.
        assert_equal(getattr(written, part), expected)
    assert f"starting with the weights of {path}" in (tmp_path / "run" / "log.txt").read_text()
    (tmp_path / "n.npz").unlink()
    train(dataclasses.replace(run, total_kimg=0.024))
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "resuming at" in log and log.count("starting with the weights") == 1 and "not read" not in log
    train(dataclasses.replace(run, total_kimg=0.032, init_from="demo"))
    assert "`init_from` is not read: the run resumes from its checkpoint" in (tmp_path / "run" / "log.txt").read_text()
    assert f"--init_from={path}\n" in (tmp_path / "run" / "flags.cfg").read_text()
    (tmp_path / "run" / "flags.cfg").unlink()
    train(dataclasses.replace(run, total_kimg=0.04, freeze_d=1))
    assert f"--init_from={path}\n" in (tmp_path / "run" / "flags.cfg").read_text()


@pytest.fixture
def parse():
    """Parses flags afresh; puts the defaults back afterwards."""

    def restore():
        flags.FLAGS.unparse_flags()
        for name in training_flags.OPTIONS:
            flags.FLAGS[name].unparse()

    def parse_arguments(*arguments):
        restore()
        flags.FLAGS(["train", "--data_dir=d", "--run_dir=r", *arguments])
        return training_flags.train_config_from_flags()

    yield parse_arguments
    restore()


def test_options_that_no_flag_sets_are_those_of_the_file(parse, tmp_path):
    narrow = dataclasses.replace(GENERATOR, use_noise=False)
    path = network_file(tmp_path / "n.npz", Generator(narrow), Discriminator(DISCRIMINATOR))
    run = parse(f"--init_from={path}", "--total_kimg=5", "--mapping_layers=4")
    assert run.network_configs(64, 3) == (dataclasses.replace(narrow, mapping_layers=4), DISCRIMINATOR)
    assert run.resolution == 8 and run.total_kimg == 5


def test_the_flag_file_of_the_run_does_not_need_the_network_file(parse, tmp_path):
    path = network_file(tmp_path / "n.npz", Generator(GENERATOR))
    first = parse(f"--init_from={path}")
    write_flag_file(tmp_path / "flags.cfg", first)
    (tmp_path / "n.npz").unlink()
    assert parse(f"--flagfile={tmp_path / 'flags.cfg'}") == first


def test_a_network_file_that_is_not_there_is_reported_at_once(parse, tmp_path):
    with pytest.raises(UserError, match="none.npz does not exist"):
        parse(f"--init_from={tmp_path / 'none.npz'}")


@pytest.mark.parametrize(
    "growth, given, start",
    [
        (None, [], 8),
        (Growth(4), [], 4),
        (Growth(8, 0.5), [], 4),
        (None, ["--start_resolution=4"], 4),
        (Growth(4), ["--start_resolution=8"], 8),
    ],
)
def test_training_starts_at_the_level_of_the_file_unless_a_flag_says_otherwise(parse, tmp_path, growth, given, start):
    path = network_file(tmp_path / "n.npz", Generator(GENERATOR, growth=growth))
    assert parse(f"--init_from={path}", *given).schedule.start_resolution == start
