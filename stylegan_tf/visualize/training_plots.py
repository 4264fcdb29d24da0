"""Curves of a training run as a picture: losses, scores, penalties, speed, metrics. Needs matplotlib."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stylegan_tf.config.errors import UserError, optional_module
from stylegan_tf.config.option import is_finite_number
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.file_errors import read_lines

# Title of a panel -> entries of stats.jsonl and their names in the legend.
_PANELS = {
    "Loss": {"d_loss": "discriminator", "g_loss": "generator"},
    "Mean score of the discriminator": {"real_score": "real images", "fake_score": "generated images"},
    "Mean difference of two images": {"real_variety": "real images", "fake_variety": "generated images"},
    "Squared gradient norm (R1)": {"r1": ""},
    "Mean sign of the real scores: 1 where it recognises all of them": {"real_sign": ""},
    "Probability of augmentation (ADA)": {"augment_p": ""},
    "Seconds per thousand images": {"sec_per_kimg": ""},
}
_NOT_PLOTTED = {
    "images_seen", "kimg", "resolution", "lod", "alpha", "batch_size", "learning_rate",
    "total_seconds", "memory_gib", "gpu_memory_gib",
}  # fmt: skip


class Panel(NamedTuple):
    """One plot over thousands of images."""

    title: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]  # Name in the legend -> (kimg, values).


def read_panels(run_dir: os.PathLike) -> tuple[list[Panel], list[dict[str, Any]]]:
    """The panels of a run folder, and the records of its stats.jsonl. UserError if there are none."""
    run_dir = Path(run_dir)
    records = [record for _, record in read_lines(run_dir / "stats.jsonl")]
    stats = [record for record in records if all(is_finite_number(record.get(name)) for name in ("kimg", "resolution"))]
    if not stats:
        raise UserError(f"{run_dir} holds no stats.jsonl with records: give the folder of a training run.")
    known = {name for names in _PANELS.values() for name in names} | _NOT_PLOTTED
    others = dict.fromkeys(name for record in stats for name in record if name not in known)
    titles = {**_PANELS, **{name.replace("_", " ").capitalize(): {name: ""} for name in others}}
    panels = [Panel(title, _curves(stats, names)) for title, names in titles.items()]
    for path in sorted(run_dir.glob("metric-*.jsonl")):
        records = [record for _, record in read_lines(path) if isinstance(record.get("results"), dict)]
        found = [{**record["results"], "kimg": record.get("kimg")} for record in records]
        names = dict.fromkeys(name for record in found for name in record if name != "kimg")
        labels = {name: name if len(names) > 1 else "" for name in names}
        panels.append(Panel(path.stem[len("metric-") :], _curves(found, labels)))
    return [panel for panel in panels if panel.curves], stats


def _curves(records, names):
    """Label of each name -> (kimg, values), in order, of the records that have a number there."""
    curves = {}
    for name, label in names.items():
        points = [(record.get("kimg"), record.get(name)) for record in records]
        points = sorted(point for point in points if all(map(is_finite_number, point)))
        if points:
            curves[label] = [kimg for kimg, _ in points], [value for _, value in points]
    return curves


def resolution_spans(stats: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """(first kimg, last kimg, "8x8") of every resolution, one after the other without gaps."""
    spans, start = [], 0.0
    for record, following in zip(stats, [*stats[1:], {}]):
        if record.get("resolution") != following.get("resolution"):
            size = record.get("resolution")
            spans.append((start, record["kimg"], f"{size}x{size}"))
            start = record["kimg"]
    return spans


def save_training_plots(run_dir: os.PathLike, path: os.PathLike) -> None:
    """Draws all curves of a run folder into a PNG, two panels in a row."""
    matplotlib = optional_module("matplotlib.figure", "a picture of curves", "plots")
    panels, stats = read_panels(run_dir)
    spans = resolution_spans(stats)
    rows = -(-len(panels) // 2)
    figure = matplotlib.Figure(figsize=(10, 2.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    for panel, axis in zip(panels, axes):
        _draw(axis, panel, spans)
    for axis in axes[len(panels) :]:
        axis.remove()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _draw(axis, panel, spans):
    for name, (kimg, values) in panel.curves.items():
        axis.plot(kimg, values, label=name, linewidth=1.2, marker="." if len(kimg) < 30 else "")
    for index, (start, end, name) in enumerate(spans):
        if (len(spans) - index) % 2 == 0:  # The last, usually the longest, stays white.
            axis.axvspan(start, end, color="0.94", zorder=0)
        if end - start > 0.05 * spans[-1][1]:  # Where there is room for the name.
            place = {"transform": axis.get_xaxis_transform(), "ha": "center", "va": "top"}
            axis.text((start + end) / 2, 0.98, name, fontsize=7, color="0.45", **place)
    axis.set_title(panel.title, fontsize=10, loc="left")
    axis.set_xlabel("thousands of images", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.set_xlim(0, spans[-1][1])
    axis.margins(y=0.15)
    axis.grid(axis="y", color="0.88", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    if len(panel.curves) > 1:
        axis.legend(fontsize=8, frameon=False)
