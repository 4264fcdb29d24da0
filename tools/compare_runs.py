"""Compares training runs by recipe: a metric over thousands of images and over minutes, as Markdown tables.

    python tools/compare_runs.py runs/recipes --metric fid1k-efficientnet_lite0 --kimg 20,40,60
    python tools/compare_runs.py runs/recipes --kimg 20,40,60 --minutes 10,30,60 \\
        --speed "EPYC, AVX512-BF16=8:210,16:150,32:69" --speed "Xeon, AMX=32:160"

Reads stats.jsonl and metric-NAME.jsonl of the run folders in a folder, which are called RECIPE-SEED, as
tools/train_recipes.py calls them. Means and standard deviations are over the seeds. What a recipe reaches in some
minutes follows from the images that it had seen by then: --speed gives images/s by resolution, which
`stylegan_tf.benchmark` measures. Metrics, checkpoints and the preparation of a level take no time there.
"""

import argparse
import dataclasses
import math
import pathlib
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Optional

import checkout

_CLOSE = 0.05  # A measurement within this share of the images asked for counts as one there: ticks are not exact.
Point = tuple[float, float]  # Thousands of images, and what was measured or done by then.


@dataclasses.dataclass(frozen=True)
class Run:
    recipe: str
    seed: str
    stats: Sequence[Mapping]  # Records of stats.jsonl.
    measured: Sequence[Point]  # Values of the metric.

    def value_at(self, kimg: float) -> Optional[float]:
        """The value that was measured closest to `kimg`; None if there is none close by."""
        close = [(abs(at - kimg), value) for at, value in self.measured if abs(at - kimg) <= _CLOSE * kimg]
        return min(close)[1] if close else None

    def kimg_after(self, minutes: float, speed: Mapping[int, float]) -> Optional[float]:
        """Thousands of images seen after `minutes` at `speed`, images/s by resolution; None: the run was shorter."""
        seconds, points = 0.0, [(0.0, 0.0)]
        for record in self.stats:
            listed = [resolution for resolution in speed if resolution <= record["resolution"]]
            rate = speed[max(listed) if listed else min(speed)]
            seconds += (record["kimg"] - points[-1][1]) * 1000 / rate
            points.append((seconds, record["kimg"]))
        return _interpolated(points, minutes * 60)

    def value_after(self, minutes: float, speed: Mapping[int, float]) -> Optional[float]:
        kimg = self.kimg_after(minutes, speed)
        value = None if kimg is None else _interpolated(self.measured, kimg)
        return self.value_at(kimg) if value is None and kimg else value


def _interpolated(points: Sequence[Point], x: float) -> Optional[float]:
    for (left, low), (right, high) in zip(points, points[1:]):
        if left <= x <= right and left < right:
            return low + (high - low) * (x - left) / (right - left)
    return None


def read_runs(folder: pathlib.Path, metric: str) -> list[Run]:
    """The runs in `folder` that are called RECIPE-SEED and have reported, by name. metric: NAME, or NAME/VALUE for one
    with several values.
    """
    from stylegan_tf.files.file_errors import read_lines

    name, _, value = metric.partition("/")
    runs = []
    for path in sorted(folder.iterdir()):
        parts = re.fullmatch(r"(.+)-(\d+)", path.name)
        stats = [record for _, record in read_lines(path / "stats.jsonl")]
        if not parts or not stats:
            continue
        measured = {}  # The newest of each number of images.
        for _, record in read_lines(path / f"metric-{name}.jsonl"):
            results = record["results"]
            if value in results or not value:
                measured[record["kimg"]] = results[value] if value else next(iter(results.values()))
        runs.append(Run(parts[1], parts[2], stats, sorted(measured.items())))
    return runs


def mean_text(values: Sequence[Optional[float]]) -> str:
    """`148.2 ± 17.4 (3)`: mean, standard deviation and number of those that are there."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return f"{known[0]:.1f} (1)" if known else ""
    return f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f} ({len(known)})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Without the rows that have nothing in their last columns, those of `head` that begin with a number."""
    columns = [index for index, title in enumerate(head) if title[0].isdigit()]
    lines = [head, ["---"] * len(head), *(row for row in rows if any(row[index] for index in columns))]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def recipes_of(runs: Sequence[Run]) -> dict[str, list[Run]]:
    return {recipe: [run for run in runs if run.recipe == recipe] for recipe in dict.fromkeys(r.recipe for r in runs)}


def table_over_kimg(runs: Sequence[Run], kimg: Sequence[float]) -> str:
    rows = [
        [recipe, *(mean_text([run.value_at(at) for run in its]) for at in kimg)]
        for recipe, its in recipes_of(runs).items()
    ]
    return table(["recipe", *(f"{at:g} kimg" for at in kimg)], rows)


def table_of_runs(runs: Sequence[Run], kimg: Sequence[float]) -> str:
    """Run by run, with the time that it took itself, whatever else the machine had to do."""
    rows = []
    for run in runs:
        last, values = run.stats[-1], [run.value_at(at) for at in kimg]
        texts = ["" if value is None else f"{value:.1f}" for value in values]
        rows.append([run.recipe, run.seed, f"{last['kimg']:.1f}", f"{last['total_seconds'] / 60:.1f}", *texts])
    return table(["recipe", "seed", "kimg", "minutes", *(f"{at:g} kimg" for at in kimg)], rows)


def table_over_minutes(runs: Sequence[Run], minutes: Sequence[float], speeds: Mapping[str, Mapping[int, float]]) -> str:
    rows = [
        [machine, recipe, *(mean_text([run.value_after(at, speed) for run in its]) for at in minutes)]
        for machine, speed in speeds.items()
        for recipe, its in recipes_of(runs).items()
    ]
    return table(["machine", "recipe", *(f"{at:g} min" for at in minutes)], rows)


def speed_from(text: str) -> tuple[str, dict[int, float]]:
    """`Xeon=8:200,32:80` -> ("Xeon", {8: 200.0, 32: 80.0})."""
    machine, _, rates = text.rpartition("=")
    pairs = [part.split(":") for part in rates.split(",")]
    speed = {int(resolution): float(rate) for resolution, rate in pairs}
    if not all(0 < rate < math.inf for rate in speed.values()):
        raise ValueError(text)
    return machine, speed


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the folder of the run folders")
    parser.add_argument("--metric", default="fid1k-efficientnet_lite0", help="of metric-NAME.jsonl, or NAME/VALUE")
    parser.add_argument("--kimg", type=_numbers, default=[20, 40, 60], help="columns: thousands of images")
    parser.add_argument("--minutes", type=_numbers, default=[10, 30, 60], help="columns of the table over minutes")
    parser.add_argument("--speed", type=speed_from, action="append", default=[], help="a machine's, see above")
    args = parser.parse_args()
    runs = read_runs(args.folder, args.metric)
    if not runs:
        parser.error(f"{args.folder} holds no run folders called RECIPE-SEED with reports")
    if not any(run.measured for run in runs):
        parser.error(f"no run in {args.folder} has measured {args.metric}")
    tables = [table_over_kimg(runs, args.kimg), table_of_runs(runs, args.kimg)]
    tables += [table_over_minutes(runs, args.minutes, dict(args.speed))] if args.speed else []
    print("\n".join([f"{args.metric}, mean ± standard deviation (seeds)\n", *tables]), end="")


if __name__ == "__main__":
    checkout.run(main)
