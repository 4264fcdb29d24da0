"""Frames to animated WebP, GIF and MP4 files, one frame in memory at a time."""

import contextlib
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image, ImageFile

from stylegan_tf.config.errors import UserError, optional_module
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import short
from stylegan_tf.visualize.picture_files import as_rgb, check_picture_size

_FFMPEG_ADVICE = "see what it says above, look for room on the disk, or write .webp."


def check_animation_path(path: os.PathLike) -> None:
    """UserError if `write_animation` could not write a file of this name, before anything is computed for it."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise UserError(f"{path}: the name of an animation must end in {', '.join(_WRITERS)}.")
    if suffix == ".mp4":
        _ffmpeg()


def write_animation(frames: Iterator[np.ndarray], count: int, path: os.PathLike, fps: float) -> None:
    """Writes `count` frames, uint8 [H, W, 3 or 4], that repeat forever (players of .mp4 decide that themselves).

    Only .webp keeps transparency; elsewhere transparent pixels are white.

    Raises UserError for other names than .webp, .gif and .mp4, and for .mp4 without the package imageio-ffmpeg.
    """
    check_animation_path(path)
    path = Path(path)
    with atomic_write(path) as temporary:
        suffix, frames = path.suffix.lower(), _checked(frames, path)
        _WRITERS[suffix](frames if suffix == ".webp" else map(as_rgb, frames), count, temporary, fps)


def frame_durations(count: int, fps: float, unit: int) -> list[int]:
    """Milliseconds of every frame in multiples of `unit`, without drift: frame k starts at about k / fps seconds."""
    starts = [round(1000 * frame / (fps * unit)) * unit for frame in range(count + 1)]
    return [end - start for start, end in zip(starts, starts[1:])]


def _checked(frames, path):
    for frame in frames:
        check_picture_size(path, *frame.shape[:2])
        yield frame


class _Frames(ImageFile.ImageFile):
    """A file of many frames that are made as Pillow seeks them, in order; only the current one is in memory.

    What it overrides and sets is what Pillow's documentation asks of a plugin for reading a file.
    """

    format = "frames"

    def __init__(self, frames: Iterator[np.ndarray], count: int):
        self.n_frames, self.is_animated = count, count > 1
        self._frames, self._position = frames, -1
        super().__init__(io.BytesIO())

    def _open(self) -> None:
        self.seek(0)

    def seek(self, frame: int) -> None:
        if frame <= self._position:  # Pillow goes back to where it began when it is done.
            return
        pixels = next(self._frames)
        height, width, channels = pixels.shape
        self._mode, self._size, self._position = "RGBA" if channels == 4 else "RGB", (width, height), frame
        self.fp = io.BytesIO(pixels.tobytes())
        self.tile = [("raw", (0, 0, width, height), 0, (self._mode, 0, 1))]

    def tell(self) -> int:
        return self._position


def _write_webp(frames, count, path, fps):
    # Pillow turns the list append_images over twice, but a picture of many frames frame by frame.
    picture = _Frames(frames, count)
    options = {"duration": frame_durations(count, fps, unit=1), "loop": 0, "quality": 90, "method": 4}
    if picture.mode == "RGBA":
        options.update(kmin=1, kmax=1)  # Whole frames: libwebp loses the transparency of frames that build on others.
    picture.save(path, format="WEBP", save_all=True, **options)


def _write_gif(frames, count, path, fps):
    # Pillow's save keeps all frames until the end; its functions for single ones do not. Times are whole 1/100 s.
    with open(path, "wb") as stream:
        for index, (frame, duration) in enumerate(zip(frames, frame_durations(count, fps, unit=10))):
            picture = Image.fromarray(frame).quantize(256)
            if index == 0:
                header, _ = GifImagePlugin.getheader(picture.copy(), info={"loop": 0})
                stream.write(b"".join(header))
            data = GifImagePlugin.getdata(picture, (0, 0), duration=duration, include_color_table=True)
            stream.write(b"".join(data))
        stream.write(b";")


def _write_mp4(frames, count, path, fps):
    frames = (_even(frame) for frame in itertools.islice(frames, count))
    first, written = next(frames), 0
    writer = _ffmpeg().write_frames(
        str(path),
        (first.shape[1], first.shape[0]),
        fps=fps,
        codec="libx264",
        quality=None,
        macro_block_size=1,
        output_params=["-crf", "16", "-preset", "slow", "-movflags", "+faststart", "-f", "mp4"],
        ffmpeg_log_level="error",
    )
    with _ffmpeg_errors():
        writer.send(None)
    try:
        for frame in itertools.chain([first], frames):
            with _ffmpeg_errors():
                writer.send(np.ascontiguousarray(frame))
            written += 1
    finally:
        with _ffmpeg_errors():
            writer.close()
    # The package does not look at how ffmpeg ended.
    with _ffmpeg_errors():
        found, _ = _ffmpeg().count_frames_and_secs(str(path))
    if found != written:
        raise UserError(f"ffmpeg failed: it wrote {found} of {written} frames; {_FFMPEG_ADVICE}")


@contextlib.contextmanager
def _ffmpeg_errors():
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = short(str(error).partition("\n")[0], 100)  # Its command follows.
        raise UserError(f"ffmpeg failed: {reason}; {_FFMPEG_ADVICE}") from error


def _even(frame):
    """Players need even sizes: an odd last row or column is doubled."""
    height, width = frame.shape[:2]
    return np.pad(frame, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")


def _ffmpeg():
    return optional_module("imageio_ffmpeg", ".mp4, unlike .webp,", "video")


_WRITERS = {".webp": _write_webp, ".gif": _write_gif, ".mp4": _write_mp4}
