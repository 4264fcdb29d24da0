"""The benchmark's output: a table per run, and ratios over all runs."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Optional

from stylegan_tf.benchmark.cases import PARTS, Case
from stylegan_tf.benchmark.measuring import Measured, Run

_TITLES = {"discriminator": "D step", "generator": "G step", "iteration": "iteration"}


def table_lines(run: Run) -> list[str]:
    """Images per second of each part (medians), share of the ceiling of whole iterations, memory, start."""
    lines = []
    if run.cases:
        parts = [part for part in PARTS if part in run.cases[0].seconds]
        width = max(len(measured.case.name) for measured in run.cases)
        head = "".join(f"{_TITLES[part]:>12}" for part in parts)
        lines = [f"{'images/s':{width}}{head}   GFLOP/s   share   memory   first step"]
    for measured in run.cases:
        rates = "".join(f"{_rate(measured, part):12,.1f}" for part in parts)
        lines.append(f"{measured.case.name:{width}}{rates}{_work(run, measured)}{_start(measured)}")
    lines += [f"{name}: left out: {reason}" for name, reason in run.left_out.items()]
    for precision, ceiling in run.ceilings.items():
        best = ", ".join(f"{operation} {value:,.0f}" for operation, value in ceiling.items())
        lines.append(f"ceiling in {precision}: {best} GFLOP/s")
    return lines


def _rate(measured: Measured, part: str) -> float:
    return measured.case.images_per_call(part) / statistics.median(measured.seconds[part])


def _work(run: Run, measured: Measured) -> str:
    if "iteration" not in measured.seconds:
        return f"{'':18}"
    gflops = _rate(measured, "iteration") * measured.flops("iteration") / 1e9
    ceiling = run.ceiling(measured.case.precision)
    return f"{gflops:10,.0f}" + (f"{gflops / ceiling:8.0%}" if ceiling else f"{'':8}")


def _start(measured: Measured) -> str:
    return f"{measured.peak_memory / 2**30:6.2f} GB{measured.start['to_first_step']:11.1f} s"


def ratio_lines(runs: Sequence[Run]) -> list[str]:
    """How much faster than its reference each case is: medians of the rounds' ratios, run by run, and their median."""
    lines = []
    for measured in runs[0].cases:
        reference = _reference(measured.case)
        if reference == measured.case or _both(runs[0], reference, measured.case) is None:
            continue
        lines += [f"{measured.case.name} / {reference.name}:"]
        for part in (part for part in PARTS if part in measured.seconds):
            found = [_both(run, reference, measured.case) for run in runs]
            ratios = [_ratio(*pair, part) for pair in found if pair is not None]
            listed = "" if len(ratios) == 1 else f"   (runs: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
            lines.append(f"    {_TITLES[part]:14}{statistics.median(ratios):6.2f}x{listed}")
    return lines


def _reference(case: Case) -> Case:
    """What this one is compared with: replicas with one replica, augmentation with none, others with plain float32."""
    if case.replicas > 1:
        return dataclasses.replace(case, replicas=1)
    if case.augment != "none":
        return dataclasses.replace(case, augment="none")
    return dataclasses.replace(case, precision="float32", form="plain", jit_compile=False)


def _both(run: Run, *wanted: Case) -> Optional[list[Measured]]:
    """What a run has measured of these cases; None if it left one out."""
    found = {measured.case: measured for measured in run.cases}
    return [found[case] for case in wanted] if all(case in found for case in wanted) else None


def _ratio(reference: Measured, measured: Measured, part: str) -> float:
    return statistics.median(slow / fast for slow, fast in zip(reference.seconds[part], measured.seconds[part]))
