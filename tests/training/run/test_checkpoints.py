"""Checkpoints: verified as a whole before they are used, and which of them stay."""

import errno
import lzma
import os
import tokenize
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import arrays
from stylegan_tf.files.arrays import write_arrays
from stylegan_tf.training.run.checkpoints import Checkpoints, kept_numbers


def new_state(size=500):
    """What `Checkpoints` looks at of a TrainState."""
    state = SimpleNamespace(images_seen=0)
    state.variables = {
        "generator": {"4x4/weight": tf.Variable(tf.zeros([size])), "4x4/bias": tf.Variable(tf.zeros([3]))},
        "clock": {"ticks": tf.Variable(0, dtype=tf.int64)},
    }
    return state


def fill(state, value, images_seen):
    state.images_seen = images_seen
    for named in state.variables.values():
        for variable in named.values():
            variable.assign(tf.fill(variable.shape, tf.cast(value, variable.dtype)))


def values(state):
    return {float(x) for named in state.variables.values() for v in named.values() for x in np.ravel(v.numpy())}


@pytest.fixture
def saved(tmp_path):
    """A run folder with checkpoints after 10 images (all values 1), 20 (2) and 30 (3)."""
    state = new_state()
    checkpoints = Checkpoints(state, tmp_path, keep=3)
    for number in (1, 2, 3):
        fill(state, number, 10 * number)
        checkpoints.save()
    return tmp_path


def names(run_dir):
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def change_a_weight(path):
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(3).tobytes() * 400) + 800] ^= 1
    path.write_bytes(content)


def replace_by_text(path):
    path.write_text("not a checkpoint")


def test_the_newest_is_restored(saved):
    state = new_state()
    checkpoints = Checkpoints(state, saved, keep=3)
    assert checkpoints.restore() and checkpoints.warnings == []
    assert values(state) == {3.0}
    assert checkpoints.latest == str(saved / "checkpoints" / "images-30.npz")


def test_without_checkpoints_there_is_nothing_to_restore(tmp_path):
    checkpoints = Checkpoints(new_state(), tmp_path, keep=3)
    assert not checkpoints.restore() and checkpoints.latest is None


@pytest.mark.parametrize("damage", [cut, empty, change_a_weight, replace_by_text])
def test_the_one_before_a_damaged_one_is_restored_and_the_damaged_one_named(saved, damage):
    damage(saved / "checkpoints" / "images-30.npz")
    state = new_state()
    checkpoints = Checkpoints(state, saved, keep=3)
    assert checkpoints.restore()
    assert values(state) == {2.0}, "nothing of the damaged file was used"
    (warning,) = checkpoints.warnings
    assert warning.startswith("warning: checkpoint ") and "images-30.npz is damaged" in warning
    assert "resuming from" in warning and "images-20.npz, 20 images" in warning


def test_damage_of_any_byte_is_found_or_does_no_harm(tmp_path):
    state = new_state(size=4)
    fill(state, 1, 10)
    path = tmp_path / "checkpoints" / "images-10.npz"
    Checkpoints(state, tmp_path, keep=1).save()
    whole = path.read_bytes()
    found = 0
    for place in range(0, len(whole), 4):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        restored = new_state(size=4)
        try:
            Checkpoints(restored, tmp_path, keep=1).restore()
            assert values(restored) == {1.0}, place
        except UserError:
            found += 1
            assert values(restored) == {0.0}, place
    assert found > len(whole) / 8


def test_if_all_are_damaged_the_error_names_them(saved):
    for number in (10, 20, 30):
        cut(saved / "checkpoints" / f"images-{number}.npz")
    with pytest.raises(UserError, match="no checkpoint.*images-30.*images-20.*images-10.*init_from"):
        Checkpoints(new_state(), saved, keep=3).restore()


def test_one_that_does_not_fit_is_refused_and_nothing_older_is_taken(saved):
    state = new_state(size=501)
    with pytest.raises(UserError, match=r"images-30.npz does not fit.*4x4/weight: float32 \[501\] expected, .*\[500\]"):
        Checkpoints(state, saved, keep=3).restore()
    assert values(state) == {0.0}, "nothing of it was used"


def test_one_that_lacks_a_variable_is_refused(saved):
    state = new_state()
    state.variables["clock"]["scale"] = tf.Variable(1.0)
    with pytest.raises(UserError, match=r"clock/scale: float32 \[\] expected, missing found"):
        Checkpoints(state, saved, keep=3).restore()


def test_one_that_may_not_be_read_is_no_damaged_one(saved, monkeypatch):
    def refuse(path, *_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(arrays, "open", refuse, raising=False)
    with pytest.raises(UserError, match="cannot read .*images-30.npz: Permission denied"):
        Checkpoints(new_state(), saved, keep=3).restore()


def test_a_damaged_one_goes_when_the_next_is_saved(saved):
    cut(saved / "checkpoints" / "images-30.npz")
    state = new_state()
    checkpoints = Checkpoints(state, saved, keep=3)
    checkpoints.restore()
    fill(state, 4, 25)
    checkpoints.save()
    assert names(saved) == ["images-10.npz", "images-20.npz", "images-25.npz"]


def test_a_write_that_fails_leaves_the_older_ones(saved, monkeypatch):
    def fail(member, _array, **_options):
        member.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state = new_state()
    checkpoints = Checkpoints(state, saved, keep=3)
    checkpoints.restore()
    fill(state, 4, 40)
    monkeypatch.setattr(arrays.np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save()
    assert names(saved) == ["images-10.npz", "images-20.npz", "images-30.npz"]


@pytest.mark.parametrize(
    "numbers, keep, keep_every, expected",
    [
        ([10, 20, 30, 40], 2, 0, {30, 40}),
        ([10, 20, 30, 40], 9, 0, {10, 20, 30, 40}),
        ([10, 20, 30, 40], 1, 20, {20, 40}),
        ([8, 24, 32, 40, 48], 1, 20, {24, 40, 48}),
        ([24, 40, 56], 1, 20, {24, 40, 56}),  # None between 20 and 40 but 24: it stays as 60 comes near.
        ([8, 16], 1, 20, {16}),  # The first images are no milestone.
        ([], 2, 20, set()),
    ],
)
def test_the_newest_stay_and_the_first_of_every_interval(numbers, keep, keep_every, expected):
    assert kept_numbers(numbers, keep, keep_every) == expected


def test_what_is_kept_by_interval_stays_over_a_long_run(tmp_path):
    state = new_state()
    checkpoints = Checkpoints(state, tmp_path, keep=2, keep_every_kimg=0.1)
    for images in range(16, 401, 16):
        fill(state, 1, images)
        checkpoints.save()
    kept = [f"images-{n}.npz" for n in (112, 208, 304, 384, 400)]
    assert names(tmp_path) == kept


def hide_behind_a_length_in_the_directory(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 32] ^= 0x80  # Of the comment of a member.
    path.write_bytes(content)


def spoil_a_header(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"'fortran_order'") - 3] ^= 1
    path.write_bytes(content)


def no_longer_finite(path):
    write_arrays(path, "checkpoint", {"format_version": 1}, {"generator/4x4/weight": np.float32([np.nan])})


@pytest.mark.parametrize("damage", [hide_behind_a_length_in_the_directory, spoil_a_header, no_longer_finite])
def test_a_damaged_newest_one_is_passed_over_whatever_is_damaged(saved, damage):
    damage(saved / "checkpoints" / "images-30.npz")
    checkpoints = Checkpoints(new_state(), saved, keep=3)
    assert checkpoints.restore() and values(checkpoints._state) == {2.0}
    assert "images-30.npz is damaged" in checkpoints.warnings[0]


@pytest.mark.parametrize(
    "error", [lzma.LZMAError("x"), tokenize.TokenError("x"), RecursionError(), KeyError("x"), EOFError()]
)
def test_a_newest_one_is_passed_over_whatever_reading_it_raises(saved, monkeypatch, error):
    def read(archive, member):
        if "images-30" in archive.fp.name:
            raise error
        return intact(archive, member)

    intact = arrays._read
    monkeypatch.setattr(arrays, "_read", read)
    checkpoints = Checkpoints(new_state(), saved, keep=3)
    assert checkpoints.restore() and values(checkpoints._state) == {2.0}


def test_a_checkpoint_from_before_augmentation_resumes_and_other_variables_have_to_be_there(saved):
    state = new_state()
    state.variables["augmentation"] = {"p": tf.Variable(0.25)}
    assert Checkpoints(state, saved, keep=3).restore()
    assert values(state) == {3.0, 0.25}
    state.variables["other"] = {"p": tf.Variable(0.25)}
    with pytest.raises(UserError, match="other/p: float32 .* expected, missing found"):
        Checkpoints(state, saved, keep=3).restore()
