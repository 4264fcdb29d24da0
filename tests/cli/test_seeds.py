"""Seeds and lists of images from text, and their styles."""

import numpy as np
import pytest

from stylegan_tf.cli.seeds import Key, parse_keys, parse_seeds, styles_of
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.dlatents import save_dlatents
from tests.helpers import painters


def test_keys_are_seeds_and_files_each_with_its_psi():
    keys = parse_keys("0-1@.5, 7@-1,a/w.npz,w@2.npy:0-1@0.25,w.npz:3", "keys")
    assert keys[:3] == [Key(seed=0, psi=0.5), Key(seed=1, psi=0.5), Key(seed=7, psi=-1.0)]
    assert keys[3:] == [
        Key(file="a/w.npz"),
        Key(file="w@2.npy", indices=(0, 1), psi=0.25),
        Key(file="w.npz", indices=(3,)),
    ]


@pytest.mark.parametrize("psi", ["1001", "-" + 400 * "9"])
def test_a_psi_that_no_network_can_draw_is_refused(psi):
    with pytest.raises(UserError, match="--keys: psi must be from -1000 to 1000, got '?7@"):
        parse_keys(f"7@{psi}", "keys")


@pytest.mark.parametrize("text", ["", "x", "3@", "w.npz:", "w.npz:a", "w.png", "1-", "3@1@2", "2-1"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(UserError, match="--keys"):
        parse_keys(text, "keys")


def test_styles_come_in_the_order_of_the_keys_each_truncated_as_it_says(tmp_path):
    painter, generator = painters.painter(psi=0.7, cutoff=2)
    w = painter.map(painter.latents([3, 4]))
    own = np.random.RandomState(0).randn(2, *painter.dlatent_shape).astype(np.float32)
    save_dlatents(tmp_path / "w.npz", own.shape, [own])
    styles = styles_of(painter, parse_keys(f"3@0.5,{tmp_path}/w.npz:1,4,{tmp_path}/w.npz@0", "keys"))
    average = generator.truncation.w_avg.numpy()
    expected = painter.broadcast(w[:1])
    expected[0, :2] = average + 0.5 * (w[0] - average)
    np.testing.assert_allclose(styles[0], expected[0], atol=1e-5)
    np.testing.assert_array_equal(styles[1], own[1])
    np.testing.assert_allclose(styles[2], painter.broadcast(w[1:])[0], atol=1e-5)
    np.testing.assert_allclose(styles[3:, :2], np.broadcast_to(average, [2, 2, len(average)]), atol=1e-5)
    np.testing.assert_array_equal(styles[3:, 2:], own[:, 2:])  # Beyond the cutoff.
    with pytest.raises(UserError, match="has 2 images, counted from 0: there is no 2"):
        styles_of(painter, parse_keys(f"{tmp_path}/w.npz:2", "keys"))


def test_notes_say_how_a_file_is_read(tmp_path):
    notes, (painter, _) = [], painters.painter()
    maps = [np.zeros([1, *shape], np.float32) for shape in painter.noise_shapes]
    save_dlatents(tmp_path / "w.npz", painter.dlatent_shape, [np.zeros(painter.dlatent_shape)], maps)
    styles_of(painter, parse_keys(f"3,{tmp_path}/w.npz", "keys"), notes.append)
    assert [note.removeprefix(f"{tmp_path}/w.npz ")[:30] for note in notes] == [
        "holds [6, 7]: taken as the 6 l",
        "also holds noise maps, which o",
    ]


@pytest.mark.parametrize(
    "text, seeds",
    [("5", [5]), ("0-3,12", [0, 1, 2, 3, 12]), (" 7, 1-2 ", [7, 1, 2]), ("4294967295", [2**32 - 1]), ("3,3", [3, 3])],
)
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1--2", "1,,2", "1.5", "²"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(UserError, match="--rows takes numbers and ranges like 0-7,12"):
        parse_seeds(text, "rows")


@pytest.mark.parametrize("text", ["3-1", "4294967296", "0-4294967296"])
def test_seeds_beyond_what_numpy_takes_are_refused(text):
    with pytest.raises(UserError, match="not a range within 0 to 4294967295"):
        parse_seeds(text)


def test_more_seeds_than_a_command_takes_are_refused():
    with pytest.raises(UserError, match="--rows names 4,294,967,296 seeds: the maximum here is 65,536"):
        parse_seeds("0-4294967295", "rows")


@pytest.mark.parametrize("text", ["4294967296", "0-4294967296", "9" * 5000, "\u0663", "-1", "1-", "nan", "1e3"])
def test_what_is_no_seed_is_told_in_a_short_line(text):
    with pytest.raises(UserError) as caught:
        parse_seeds(text)
    assert len(str(caught.value)) < 200
