"""Options of making a data set: what becomes of the pictures of a source, and how they are written."""

import dataclasses
import re
from typing import Optional

from stylegan_tf.config.option import GENERAL, OptionError, Options, option

PICTURES = "Pictures"
FILES = "Files"
SPEED = "Speed"
FITS = ("crop", "pad", "stretch")


@dataclasses.dataclass(frozen=True)
class PictureOptions(Options):
    """How pictures become squares of one size and number of channels."""

    resolution: Optional[int] = option(PICTURES, None, "Side of the squares.", at_least=1, at_most=4096)
    channels: Optional[int] = option(
        PICTURES,
        None,
        "1 (gray), 3 (RGB) or 4 (with transparency, also of arrays with four planes); left out: gray or RGB.",
        choices=(1, 3, 4),
    )
    fit: Optional[str] = option(
        PICTURES,
        None,
        "For pictures of other sizes: central square, letterbox (its content box is recorded), or distort; with "
        "--resolution crop, unless another is given.",
        choices=FITS,
    )
    filter: str = option(
        PICTURES,
        "lanczos",
        "Of resizing: lanczos for photographs, box (means, no halos) for drawings that shrink, nearest (whole pixels) "
        "for sprites and pixel art.",
        choices=("lanczos", "box", "nearest"),
    )
    background: str = option(
        PICTURES, "white", "Behind transparent pictures, and beside letterboxed ones: a name or #rrggbb."
    )
    white: Optional[float] = option(
        PICTURES,
        None,
        "The value that becomes white in pictures and arrays of more than 8 bits; left out: 65535, no floats.",
    )
    black: Optional[float] = option(PICTURES, None, "The value that becomes black in those; left out: 0.")
    planes: Optional[int] = option(
        PICTURES,
        None,
        "Keep the first N planes of arrays and of TIFFs as they are, none of them as transparency: spectrograms, "
        "masks, near infrared.",
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
        """Of the squares."""
        return self.planes or self.channels or 3


@dataclasses.dataclass(frozen=True)
class SourceOptions(PictureOptions):
    """Which pictures of a source are taken, with which labels, and what becomes of them."""

    resolution: Optional[int] = option(
        PICTURES, None, "Side of the images, a power of two; left out: the source's.", is_resolution=True, at_most=4096
    )
    labels: str = option(
        GENERAL,
        "",
        "Labels for conditional training: classes (the source's own), folders (one class each), a .json (StyleGAN2's "
        "dataset.json), .csv or .npy file in the source or here, or attributes (demo set, CelebA): a,b.",
    )
    pages: str = option(
        PICTURES, "first", "Of TIFFs with several: the first one, or all, each as a picture.", choices=("first", "all")
    )
    max_images: Optional[int] = option(
        GENERAL, None, "Take the first N pictures only; how many 'synthetic' has.", at_least=1
    )


@dataclasses.dataclass(frozen=True)
class WriteOptions(Options):
    """How a data set is written. What the records hold depends on shards, shuffle, seed and encoding alone."""

    shards: Optional[int] = option(FILES, None, "Files per level; 1 for the authors' code; left out: 4.", at_least=1)
    shard_mb: Optional[float] = option(
        FILES, None, "Instead of --shards: about so many MB per file of the full size.", above=0
    )
    encoding: str = option(
        FILES,
        "raw",
        "Of the records; png is smaller and slower to read. jpeg keeps the files of JPEG sources as they are where "
        "their size fits, encodes other pictures at quality 95, and has png at the levels below.",
        choices=("raw", "png", "jpeg"),
    )
    shuffle: bool = option(FILES, True, "Shuffle the pictures once, here.")
    seed: int = option(
        FILES, 123, "Of the order of the pictures; 123 gives the authors' order.", at_least=0, below=2**32
    )
    skip_bad: bool = option(PICTURES, False, "Leave out damaged pictures, instead of failing.")
    drop_duplicates: bool = option(
        PICTURES, False, "Leave out pictures that are equal to another one, pixel by pixel; each is decoded twice."
    )
    overwrite: bool = option(FILES, False, "Replace the dataset that is at --dest.")
    restart: bool = option(FILES, False, "Throw away what an interrupted conversion has written; not for parts.")
    workers: Optional[int] = option(
        SPEED, None, "Processes; left out: one per core. The result is the same.", at_least=1, at_most=1000
    )
    part: Optional[str] = option(SPEED, None, "i/n: write the i-th of n parts of the shards only, i from 1.")
    join: bool = option(SPEED, False, "Check the parts that were written and finish the dataset.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part is not None:
            match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", self.part)
            if not match or not 1 <= int(match[1]) <= int(match[2]):
                raise OptionError(f"part takes i/n, like 2/4 for the second of four, got {self.part}.")
            if self.join:
                raise OptionError("part writes a part, join finishes the set: give one of them.")

    @property
    def part_numbers(self) -> Optional[tuple[int, int]]:
        """(i, n) of part i of n."""
        if self.part is None:
            return None
        number, count = self.part.split("/")
        return int(number), int(count)


@dataclasses.dataclass(frozen=True)
class AlignOptions(Options):
    """What faces become that are cut out of photos."""

    size: int = option(PICTURES, 1024, "Side of the faces in pixels.", at_least=4, at_most=4096)
