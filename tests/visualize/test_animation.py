"""Animations are read back: sizes, times, colours, loops."""

import sys
import weakref

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.animation import check_animation_path, frame_durations, write_animation

COLOURS = np.array([(250, 20, 20), (20, 250, 20), (20, 20, 250), (200, 200, 40), (120, 120, 120)], np.uint8)


def _frames():
    """Five frames of 31x18 pixels: a dark left half, a coloured right one."""
    for colour in COLOURS:
        frame = np.zeros([18, 31, 3], np.uint8)
        frame[:, 16:] = colour
        yield frame


@pytest.mark.parametrize(
    "suffix, fps, durations", [(".webp", 30, [33, 34, 33, 33, 34]), (".GIF", 30, [30, 40, 30, 30, 40])]
)
def test_pictures_have_all_frames_with_their_times_and_repeat_for_ever(tmp_path, suffix, fps, durations):
    path = tmp_path / "new" / f"x{suffix}"
    write_animation(_frames(), 5, path, fps)
    with Image.open(path) as picture:
        assert (picture.size, picture.n_frames, picture.info["loop"]) == ((31, 18), 5, 0)
        for index, (colour, duration) in enumerate(zip(COLOURS, durations)):
            picture.seek(index)
            frame = np.asarray(picture.convert("RGB")).astype(int)
            assert np.abs(frame[4:14, 20:28] - colour).max() < 12 and frame[4:14, 4:12].max() < 12
            assert picture.info["duration"] == duration
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_videos_have_all_frames_and_even_sizes(tmp_path):
    write_animation(_frames(), 5, tmp_path / "x.mp4", 10)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "x.mp4"))
    facts = next(reader)
    assert (facts["size"], facts["fps"]) == ((32, 18), 10.0)
    frames = [np.frombuffer(frame, np.uint8).reshape(18, 32, 3).astype(int) for frame in reader]
    assert len(frames) == 5
    for frame, colour in zip(frames, COLOURS):
        assert np.abs(frame[4:14, 20:28] - colour).max() < 25  # Another colour space.
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".mp4"])
def test_frames_are_not_collected_in_memory(tmp_path, suffix):
    alive, most = weakref.WeakSet(), [0]

    class Frame(np.ndarray):
        """An array that can be counted."""

    def frames():
        for index in range(30):
            frame = np.full([16, 16, 3], 8 * index, np.uint8).view(Frame)
            alive.add(Counted(frame))
            most[0] = max(most[0], len(alive))
            yield frame

    class Counted:
        """Lives as long as the frame does."""

        def __init__(self, frame):
            frame.counted = self

        __hash__ = object.__hash__

    write_animation(frames(), 30, tmp_path / f"x{suffix}", 10)
    assert most[0] <= 4


def test_times_do_not_drift():
    durations = frame_durations(600, 60, unit=10)
    assert set(durations) == {10, 20} and sum(durations) == 10_000


def test_other_names_are_refused(tmp_path):
    with pytest.raises(UserError, match="x.avi: the name of an animation must end in .webp, .gif, .mp4"):
        check_animation_path(tmp_path / "x.avi")


@pytest.mark.parametrize("suffix, width", [(".webp", 16384), (".gif", 65536)])
def test_frames_too_large_for_the_format_are_refused(tmp_path, suffix, width):
    with pytest.raises(UserError, match=f"{width:,} x 1 pixels, {suffix} holds {width - 1:,} a side"):
        write_animation(iter([np.zeros([1, width, 3], np.uint8)]), 1, tmp_path / f"x{suffix}", 10)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_for_videos_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match=r"imageio-ffmpeg: pip install 'stylegan-tf\[video\]'"):
        check_animation_path("x.mp4")
    check_animation_path("x.webp")


def test_a_failure_on_the_way_leaves_nothing(tmp_path):
    def frames():
        yield np.zeros([16, 16, 3], np.uint8)
        raise RuntimeError("out of ideas")

    for suffix in (".webp", ".gif", ".mp4"):
        with pytest.raises(RuntimeError, match="out of ideas"):
            write_animation(frames(), 5, tmp_path / f"x{suffix}", 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script, message",
    [
        ("exit 3", "ffmpeg failed: "),  # Nobody reads the frames.
        ("cat > /dev/null", "ffmpeg failed: "),  # Nothing is written.
        ("cat > /dev/null; exit 3", "ffmpeg failed: "),
    ],
)
def test_a_video_that_ffmpeg_has_not_written_is_none(tmp_path, monkeypatch, script, message):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg._io, "get_ffmpeg_exe", lambda: str(program))
    frames = (np.zeros([256, 256, 3], np.uint8) for _ in range(20))
    with pytest.raises(UserError, match=message):
        write_animation(frames, 20, tmp_path / "x.mp4", 10)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_video_that_lacks_frames_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "count_frames_and_secs", lambda path: (4, 0.4))
    with pytest.raises(UserError, match="ffmpeg failed: it wrote 4 of 5 frames"):
        write_animation(_frames(), 5, tmp_path / "x.mp4", 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix, clear", [(".webp", [0]), (".gif", [255, 255, 255])])
def test_clear_pixels_stay_clear_in_webp_and_are_white_elsewhere(tmp_path, suffix, clear):
    frames = np.full([3, 16, 16, 4], 255, np.uint8)
    frames[:, :, 8:] = [10, 60, 200, 0]
    frames[:, 12:, :8, 0] = [[[0]], [[100]], [[200]]]  # Equal frames would be merged.
    write_animation(iter(frames), 3, tmp_path / f"x{suffix}", 10)
    with Image.open(tmp_path / f"x{suffix}") as picture:
        assert picture.n_frames == 3
        picture.seek(1)
        pixels = np.asarray(picture.convert("RGBA" if suffix == ".webp" else "RGB"))
    assert pixels[4, 12, -len(clear) :].tolist() == clear and pixels[4, 4, -1] == 255
