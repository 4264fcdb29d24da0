"""What a conversion tells its user: the size before it starts, and in the end what it noticed about the pictures."""

import collections
import contextlib
import functools
import math
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.inspection import describe_labels, readable_size
from stylegan_tf.data.letterbox import Box, union
from stylegan_tf.data.sources.collection import Skipped
from stylegan_tf.data.sources.colours import BROKEN, CONVERTED, CUT, UNSUPPORTED, WIDEST
from stylegan_tf.data.sources.fitted import CROPPED, ENLARGED, PIXEL_ART, DecodedImage
from stylegan_tf.data.sources.image_files import summary
from stylegan_tf.data.sources.opening import PAGES, BadPicture
from stylegan_tf.files.file_errors import short

_SAMPLES = 8  # Pictures that are encoded to estimate the size of PNG and JPEG records.
_RESERVE = 0.02  # Share of the estimate that should be free beyond it.
LEFT_OUT_FILE = "left_out.txt"  # In the set.
_DARK = WIDEST / 8  # Peaks below come out darker than 32 of 255.


class Estimate(NamedTuple):
    """Bytes of an average picture, and of all."""

    image_bytes: int  # All levels.
    largest_level_bytes: int
    total_bytes: int
    encoding: str

    def text(self, source) -> str:
        """One line for people."""
        about = "about " if self.encoding != "raw" else ""
        kind = {1: "gray", 3: "RGB", 4: "RGBA"}.get(source.num_channels, f"{source.num_channels}-channel")
        return (
            f"{len(source):,} images of {source.resolution}x{source.resolution} pixels, {kind}, {self.encoding}: "
            f"{about}{readable_size(self.image_bytes)} each with all levels, "
            f"{about}{readable_size(self.total_bytes)} in all"
        )


def estimate(source, encoding: str) -> Estimate:
    """Exact for raw records; for the others from a few pictures, evenly spaced."""
    images = []
    for index in [] if encoding == "raw" else range(0, len(source), max(1, len(source) // _SAMPLES)):
        with contextlib.suppress(BadPicture):
            images.append(source.read(index))
    black = DecodedImage(np.zeros([source.resolution, source.resolution, source.num_channels], np.uint8), None)
    largest, total = [], []
    for image in images or [black]:
        encoded = records.encoded_levels(image.image[np.newaxis], encoding, [image.file])
        sizes = {resolution: len(examples[0]) + tfrecord_files.OVERHEAD for resolution, examples in encoded.items()}
        largest.append(sizes[source.resolution])
        total.append(sum(sizes.values()))
    image_bytes = -(-sum(total) // len(total))
    return Estimate(image_bytes, -(-sum(largest) // len(largest)), image_bytes * len(source), encoding)


def check_disk(dest: pathlib.Path, expected: Estimate, partial: pathlib.Path) -> None:
    """Raises UserError if what is still to be written does not fit."""
    parent = next(folder for folder in dest.parents if folder.exists())
    written = sum(path.stat().st_size for path in partial.rglob("*.tfrecords")) if partial.exists() else 0
    needed = int((expected.total_bytes - written) * (1 + _RESERVE))
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise UserError(
            f"the disk of {parent} has {readable_size(free)} free, the dataset needs {readable_size(needed)} more: "
            "free some space, choose another `dest` or a smaller `resolution`, or `encoding=png` or jpeg."
        )


class ImageStatistics(NamedTuple):
    """What was noticed about some pictures.

    counts: number of pictures by what was noticed about them.
    peak: the largest value of those of more than 8 bits.
    log_ratio, narrowest, widest: width by height of stretched ones: sum of the logarithms, and range.
    """

    counts: Mapping[str, int] = {}
    peak: float = 0.0
    log_ratio: float = 0.0
    narrowest: float = 1e9
    widest: float = 0.0

    @classmethod
    def of(cls, images: Sequence[DecodedImage]) -> "ImageStatistics":
        """Of pictures, as they were decoded."""
        peaks = [image.peak for image in images if image.peak is not None]
        ratios = [image.ratio for image in images if image.ratio is not None]
        counts = collections.Counter(what for image in images for what in image.noticed)
        counts.update(wide=len(peaks), dark=sum(peak < _DARK for peak in peaks), stretched=len(ratios))
        return cls(
            counts,
            max(peaks, default=0.0),
            sum(map(math.log, ratios)),
            min(ratios, default=1e9),
            max(ratios, default=0.0),
        )

    def joined(self, other: "ImageStatistics") -> "ImageStatistics":
        counts = collections.Counter(self.counts) + collections.Counter(other.counts)
        return ImageStatistics(
            dict(counts),
            max(self.peak, other.peak),
            self.log_ratio + other.log_ratio,
            min(self.narrowest, other.narrowest),
            max(self.widest, other.widest),
        )

    def lines(self, white: Optional[float], pages_hint: str = "") -> Iterator[str]:
        """What the user should know about the way in which pictures were read. white: the option."""
        converted, broken, pages = (self.counts.get(what, 0) for what in (CONVERTED, BROKEN, PAGES))
        if converted or broken:
            yield f"colours: {converted:,} pictures were converted to sRGB from their profiles or gAMA chunks" + (
                f"; the profiles of {broken:,} are damaged and were ignored" if broken else ""
            )
        if self.counts.get(UNSUPPORTED):
            yield (
                f"colours: {self.counts[UNSUPPORTED]:,} PNGs describe colours other than sRGB by the chunks cICP or "
                "cHRM, which are not supported and were ignored: embed a colour profile."
            )
        if pages:
            yield f"pages: of {pages:,} files with several, the first one was taken{pages_hint}."
        cut = self.counts.get(CUT, 0)
        saved = (
            f"{cut:,} are of kinds without a choice of white: save these as 16-bit PNG or TIFF; then " if cut else ""
        )
        if self.counts.get("wide") and white is None and (self.counts.get("dark") or self.peak < WIDEST / 2):
            yield (
                f"dark: {self.counts['wide']:,} pictures have 16 bits, with values up to {self.peak:g} of {WIDEST}; "
                f"{self.counts.get('dark', 0):,} of them come out nearly black. {saved}`white={self.peak:g}` makes "
                "that value white."
            )

    @property
    def aspect_ratio(self) -> Optional[float]:
        """The geometric mean of width by height of stretched pictures; None where nothing was distorted."""
        count = self.counts.get("stretched", 0)
        ratio = round(math.exp(self.log_ratio / count), 4) if count else 1.0
        return None if abs(ratio - 1) < 0.002 else ratio


class Report(NamedTuple):
    """What became of some pictures: of a chunk, of a shard (stored as JSON), or of all."""

    count: int = 0  # Number of records.
    bad: Sequence[tuple[int, str]] = ()  # (index in the source, reason) of those that cannot be read.
    box: Optional[Box] = None  # Box around the content of all of them; None if there are no pictures.
    statistics: ImageStatistics = ImageStatistics()
    digests: Sequence[str] = ()  # Digests of the decoded pictures.

    @classmethod
    def stored(cls, found: Mapping[str, Any]) -> "Report":
        """Report of a finished shard."""
        statistics = found.get("statistics", found.get("tally"))  # As it was called before.
        return cls(found["count"], found["bad"], found["box"], ImageStatistics(*statistics), found["digests"])

    @classmethod
    def total(cls, reports: Sequence["Report"]) -> "Report":
        return cls(
            sum(report.count for report in reports),
            [entry for report in reports for entry in report.bad],
            union(report.box for report in reports),
            functools.reduce(ImageStatistics.joined, (report.statistics for report in reports), ImageStatistics()),
            [digest for report in reports for digest in report.digests],
        )


def summary_lines(
    source, labels: Optional[np.ndarray], report: Report, skipped: Sequence[Skipped], dest: Union[pathlib.Path, str]
) -> Iterator[str]:
    """What the user should know about a finished set in the folder, or at the address, `dest`.

    labels: of the records, float32 [N, L]; skipped: all files and pictures that are not in the set.
    """
    yield f"written: {report.count:,} of {len(source):,} pictures"
    if skipped:
        yield f"skipped: {summary(skipped)}; all of them are listed in {dest}/{LEFT_OUT_FILE}"
    if labels is not None:
        yield describe_labels(labels, source.label_names)
    statistics = report.statistics
    yield from statistics.lines(source.white, ": `pages=all` takes all")
    if 2 * statistics.counts.get(PIXEL_ART, 0) > report.count:
        yield "pixel art: most pictures have few colours and were enlarged: `filter=nearest` keeps them sharp."
    elif statistics.counts.get(ENLARGED):
        size = f"{source.resolution}x{source.resolution}"
        yield (
            f"enlarged: {statistics.counts[ENLARGED]:,} of {report.count:,} pictures are smaller than {size} and were "
            "blurred: a lower `resolution` enlarges fewer."
        )
    if statistics.counts.get(CROPPED):
        yield f"cropped: {statistics.counts[CROPPED]:,} pictures lost more than half of their area: `fit=pad` keeps it."
    again = len(report.digests) - len(set(report.digests))
    if again:
        yield f"duplicates: {again:,} pictures are equal to another one: `drop_duplicates` leaves them out."
    if statistics.aspect_ratio is not None:
        yield (
            f"stretched: pictures are {statistics.narrowest:.3g} to {statistics.widest:.3g} times as wide as high; "
            f"{statistics.aspect_ratio:g} is recorded, and `generate` gives its pictures that shape."
        )
    for note in source.notes:
        yield f"note: {note}"


def list_skipped(skipped: Sequence[Skipped], folder: pathlib.Path) -> None:
    """Writes `left_out.txt`, a sorted line for each; no file if there is nothing."""
    if skipped:
        lines = sorted(f"{entry.kind}: {entry.name}" for entry in skipped)
        text = "".join(f"{short(line, 2000)}\n" for line in lines)
        (folder / LEFT_OUT_FILE).write_text(text, encoding="utf-8", errors="backslashreplace")
