"""Frames of loops: where they begin and end, what is beside what."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.interpolation import LatentPath, LatentWalk, frame_count, split_keys, walk_frames
from tests.helpers import painters


@pytest.fixture(scope="module")
def painter():
    return painters.painter(psi=0.7, cutoff=2)[0]


def _frames(painter, seeds, frames, space="w", walks=1, smooth=True, closed=True, **options):
    z = painter.latents(seeds)
    if space == "z":
        paths = [LatentWalk(painter, keys, smooth=smooth, closed=closed) for keys in split_keys(z, walks)]
    else:
        paths = [LatentPath(keys, smooth=smooth, closed=closed) for keys in split_keys(painter.dlatents(z), walks)]
    return np.stack(list(walk_frames(painter, paths, frames, closed=closed, **options)))


def _pictures(painter, seeds):
    return painter.pictures(painter.dlatents(painter.latents(seeds)))


@pytest.mark.parametrize("space", ["z", "w"])
def test_the_loop_passes_its_seeds_and_its_last_frame_precedes_its_first(painter, space):
    frames = _frames(painter, [3, 4, 5], frames=240, space=space)
    assert frames.shape == (240, 16, 16, 3)
    differences = np.abs(frames[[0, 80, 160]].astype(int) - _pictures(painter, [3, 4, 5]))
    assert np.mean(differences) < 0.05  # A rounding here and there.
    steps = np.abs(frames.astype(float) - np.roll(frames, 1, axis=0)).mean(axis=(1, 2, 3))
    assert (
        0 < steps[0] < 2 * np.median(steps) + steps.max() / 2
    )  # From the last frame to the first: a step like others.
    assert (frames[0] != frames[-1]).any()  # The first is not shown twice.


def test_halfway_in_w_is_the_image_of_the_mean_w_truncated(painter):
    frames = _frames(painter, [3, 4], frames=4, space="w", smooth=False)
    w = painter.map(painter.latents([3, 4]))
    halfway = painter.pictures(painter.broadcast(w.mean(axis=0, keepdims=True)))[0]
    assert np.abs(frames[1].astype(int) - halfway).mean() < 0.05
    np.testing.assert_array_equal(frames[1], frames[3])


def test_halfway_in_z_is_the_image_of_the_middle_of_the_arc(painter):
    frames = _frames(painter, [3, 4], frames=4, space="z", smooth=False)
    directions = [z / np.linalg.norm(z) for z in painter.latents([3, 4])]
    z = sum(directions)[None] / np.linalg.norm(sum(directions)) * np.sqrt(5)  # The mapping normalises it anyway.
    assert np.abs(frames[1].astype(int) - painter.pictures(painter.dlatents(z))[0]).mean() < 0.05


def test_loops_side_by_side_get_their_seeds_in_order(painter):
    frames = _frames(painter, [0, 1, 2, 3, 4, 5, 6, 7], frames=2, walks=4, columns=2, scale=3)
    assert frames.shape == (2, 96, 96, 3)
    expected = _pictures(painter, [0, 2, 4, 6]).repeat(3, axis=1).repeat(3, axis=2)
    expected = np.concatenate([np.concatenate(expected[:2], axis=1), np.concatenate(expected[2:], axis=1)])
    assert np.abs(frames[0].astype(int) - expected).mean() < 0.05


def test_an_open_walk_begins_at_its_first_image_and_ends_at_its_last(painter):
    frames = _frames(painter, [3, 4, 5], frames=5, closed=False)
    expected = _pictures(painter, [3, 4, 5])
    assert np.abs(frames[[0, 2, 4]].astype(int) - expected).mean() < 0.05


def test_psi_changes_evenly_from_key_to_key(painter):
    z = painter.latents([3, 3])
    walk = LatentWalk(painter, z, np.float32([1.0, 0.0]), smooth=False, closed=False)
    expected = painter.broadcast(np.repeat(painter.map(z[:1]), 3, axis=0), psi=np.float32([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(walk(np.array([0, 0.5, 1])), expected, atol=1e-4)
    assert np.abs(expected[0] - expected[2]).max() > 0.1


def test_an_offset_is_added_in_every_frame(painter):
    ws = painter.dlatents(painter.latents([3, 4]))
    offset = np.random.RandomState(0).randn(*painter.dlatent_shape).astype(np.float32)
    (first, _) = walk_frames(painter, [LatentPath(ws)], 2, offset=offset)
    assert np.abs(first.astype(int) - painter.pictures(ws[:1] + offset)[0]).mean() < 0.05


@pytest.mark.parametrize("keys, walks", [([0], 1), ([0, 1, 2], 2), ([0, 1], 2)])
def test_keys_that_do_not_fit_the_grid_are_refused(keys, walks):
    with pytest.raises(UserError, match=f"{len(keys)} cannot be split"):
        split_keys(keys, walks)


def test_frames_are_counted():
    assert frame_count(3, 25) == 75 and frame_count(1.02, 25) == 26
    with pytest.raises(UserError, match="fewer than two frames"):
        frame_count(0.01, 25)


def test_frames_of_networks_with_transparency_keep_it():
    painter, _ = painters.painter(num_channels=4)
    ws = painter.dlatents(painter.latents([1, 2]))
    first, _ = walk_frames(painter, [LatentPath(ws)], 2, scale=2)
    (image,) = next(painter.image_batches(ws[:1]))
    np.testing.assert_array_equal(first[::2, ::2], image)
