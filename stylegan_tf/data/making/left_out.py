"""What has become of every file that a conversion has seen, and what its user may not have meant."""

import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from stylegan_tf.data.label_summary import described_labels
from stylegan_tf.data.making.record_workers import Stretched, Wide
from stylegan_tf.data.sources.collection import LeftOut
from stylegan_tf.data.sources.decoding import WIDEST
from stylegan_tf.data.sources.image_files import summary
from stylegan_tf.files.file_errors import short

FILE_NAME = "left_out.txt"  # In the set.
_UNREADABLE = "that cannot be read"


def account(
    source,
    labels: Optional[np.ndarray],
    reports: Sequence[dict],
    bad: Sequence[tuple[int, str]],
    folder: pathlib.Path,
    dest: pathlib.Path,
) -> Iterator[str]:
    """Lines to tell, after all that was left out is listed in a file.

    Args:
      labels: of the records, float32 [N, L].
      reports: of the shards.
      bad: (number, reason) of the pictures that were skipped.
      folder, dest: where the set is, and where it will be.
    """
    yield f"written: {sum(found['count'] for found in reports):,} of {len(source):,} pictures"
    left_out = [*source.left_out, *(LeftOut(reason, _UNREADABLE) for _, reason in bad)]
    if left_out:
        lines = sorted(f"{entry.kind}: {entry.name}" for entry in left_out)
        text = "".join(f"{short(line, 2000)}\n" for line in lines)
        (folder / FILE_NAME).write_text(text, encoding="utf-8", errors="backslashreplace")
        yield f"left out: {summary(left_out)}; all of them are listed in {dest / FILE_NAME}"
    if labels is not None:
        yield described_labels(labels, source.label_names)
    wide = functools.reduce(Wide.joined, (Wide(*found.get("wide", ())) for found in reports))
    if wide.count and source.white is None and (wide.dark or wide.peak < WIDEST / 2):
        advice = f"--white={wide.peak:g} makes that value white."
        if wide.colours:
            advice = f"Convert them to 8 bits first, {wide.peak:g} to white: --white is for gray without transparency."
        yield (
            f"dark: {wide.count:,} pictures have 16 bits, with values up to {wide.peak:g} of {WIDEST}; "
            f"{wide.dark:,} of them come out nearly black. {advice}"
        )
    shapes = stretched(reports)
    if shapes.ratio is not None:
        yield (
            f"stretched: pictures are {shapes.lowest:.3g} to {shapes.highest:.3g} times as wide as high; "
            f"{shapes.ratio:g} is recorded, and `generate` gives its pictures that shape."
        )
    for note in source.notes:
        yield f"note: {note}"


def stretched(reports: Sequence[dict]) -> Stretched:
    """Of all shards."""
    return functools.reduce(Stretched.joined, (Stretched(*found.get("stretched", ())) for found in reports))
