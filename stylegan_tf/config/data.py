"""Options for making a dataset: how the pictures of a source are processed, and how they are written."""

import dataclasses
import re
from typing import Optional

from stylegan_tf.config.option import OptionError, Options, option

PICTURES = "Pictures"
SPEED = "Speed"
FITS = ("crop", "pad", "stretch")
MAX_RATIO = 1000  # Width by height, or height by width, of stretched pictures.


@dataclasses.dataclass(frozen=True)
class PictureOptions(Options, group=PICTURES):
    """How pictures are converted to square images of one size and one number of channels."""

    resolution: Optional[int] = option(None, "Width and height of the images in pixels.", at_least=1, at_most=4096)
    channels: Optional[int] = option(
        None,
        "Channels of the images: 1 (grayscale), 3 (RGB) or 4 (RGB and transparency; also for arrays with four "
        "planes). Default: grayscale or RGB, as the pictures are.",
        choices=(1, 3, 4),
    )
    fit: Optional[str] = option(
        None,
        "How pictures of other sizes are fitted: crop (take the central square), pad (letterbox; the content box is "
        "recorded) or stretch (distort). Default: crop if --resolution is given.",
        choices=FITS,
    )
    filter: str = option(
        "lanczos",
        "Resampling filter: lanczos for photographs, box (averages, no halos) for drawings that are reduced in size, "
        "nearest (whole pixels) for sprites and pixel art.",
        choices=("lanczos", "box", "nearest"),
    )
    background: str = option(
        "white", "Background colour behind transparent pictures and beside letterboxed ones: a name or #rrggbb."
    )
    white: Optional[float] = option(
        None, "Value mapped to white beyond 8 bits. Default: 65535; floating-point values need this option."
    )
    black: Optional[float] = option(None, "Value mapped to black beyond 8 bits. Default: 0.")
    planes: Optional[int] = option(
        None,
        "Keep the first N planes of arrays and TIFFs unchanged and treat none of them as transparency, as for "
        "spectrograms, masks and near infrared.",
        at_least=1,
        at_most=16,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.planes is not None and self.channels is not None:
            raise OptionError("planes keeps planes as they are, channels makes colours of them: give one of them.")
        if self.white is not None and self.white <= (self.black or 0):
            raise OptionError(f"white must be above black ({self.black or 0:g}), got {self.white:g}.")

    @property
    def num_channels(self) -> int:
        """Channels of the square images."""
        return self.planes or self.channels or 3


@dataclasses.dataclass(frozen=True)
class SourceOptions(PictureOptions):
    """Which pictures of a source are taken, with which labels, and how they are processed."""

    resolution: Optional[int] = option(
        None,
        "Width and height of the images in pixels, a power of two. Default: that of the source.",
        is_resolution=True,
        at_most=4096,
        group=PICTURES,
    )
    labels: str = option(
        "",
        "Labels for conditional training: classes (the source's own); folders (one class per folder); a .json "
        "(StyleGAN2's dataset.json), .csv or .npy file, in the source or given by its path; or names of attributes "
        "(demo set, CelebA) separated by commas: a,b.",
    )
    pages: str = option(
        "first",
        "Pages to take from multi-page TIFFs: the first one, or all of them, each as a picture of its own.",
        choices=("first", "all"),
        group=PICTURES,
    )
    max_images: Optional[int] = option(
        None, "Take only the first N pictures; for the source 'synthetic', the number of pictures to make.", at_least=1
    )


@dataclasses.dataclass(frozen=True)
class WriteOptions(Options, group="Files"):
    """How a dataset is written. The content of the records depends only on shards, shuffle, seed and encoding."""

    shards: Optional[int] = option(
        None, "Number of files per level; 1 for compatibility with the authors' code. Default: 4.", at_least=1
    )
    shard_mb: Optional[float] = option(
        None, "Approximate size in MB of each file at full resolution, in place of --shards.", above=0
    )
    encoding: str = option(
        "raw",
        "Encoding of the records: raw; png, which is smaller and slower to read; or jpeg, which stores JPEG sources "
        "of the right size unchanged, encodes other pictures at quality 95, and uses png for the lower levels.",
        choices=("raw", "png", "jpeg"),
    )
    shuffle: bool = option(True, "Shuffle the pictures once, when the dataset is written.")
    seed: int = option(
        123,
        "Seed of the order of the pictures; 123 gives the authors' order.",
        at_least=0,
        below=2**32,
        requires={"shuffle": (True,)},
    )
    skip_bad: bool = option(False, "Skip damaged pictures instead of failing.", group=PICTURES)
    drop_duplicates: bool = option(
        False, "Skip pictures with the same pixels as an earlier one. Each is decoded twice.", group=PICTURES
    )
    overwrite: bool = option(False, "Replace an existing dataset at --dest.")
    restart: bool = option(
        False, "Discard what an interrupted conversion has written and start again; not with --part."
    )
    workers: Optional[int] = option(
        None,
        "Number of processes, which does not affect the result. Default: one per core.",
        at_least=1,
        at_most=1000,
        group=SPEED,
    )
    part: Optional[str] = option(
        None, "Part to write, as i/n: only the i-th of n parts of the shards, with i counted from 1.", group=SPEED
    )
    join: bool = option(False, "Check the parts that have been written and complete the dataset.", group=SPEED)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shards is not None and self.shard_mb is not None:
            raise OptionError("shards and `shard_mb` both give the number of files: give one of them.")
        if self.part is not None:
            number, count = self.part_numbers or (0, 0)
            if not 1 <= number <= count:
                raise OptionError(f"part takes i/n, like 2/4 for the second of four, got {self.part}.")
            if self.join:
                raise OptionError("part writes a part, join finishes the set: give one of them.")

    @property
    def part_numbers(self) -> Optional[tuple[int, int]]:
        """(i, n) of part i of n."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", self.part or "")
        return (int(match[1]), int(match[2])) if match else None
