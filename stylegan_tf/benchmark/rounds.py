"""Cases that take turns: starts their processes, asks them round by round, keeps every answer. No TensorFlow here."""

import dataclasses
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, Optional

from stylegan_tf.benchmark.cases import Case
from stylegan_tf.benchmark.flops import training_flops
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.errors import UserError

_OPERATIONS = ("matmul", "conv3x3")
_EMULATED = 3.0  # So many times slower than float32, a precision has no instructions here: an iteration takes minutes.


@dataclasses.dataclass
class Measured:
    """One case of one run. Lists have one value a round."""

    case: Case
    start: dict[str, Any]  # first_iteration and to_first_step (seconds), peak_memory (bytes), device.
    seconds: dict[str, list[float]]  # Per call, by part.
    cpu_seconds: dict[str, list[float]]
    peak_memory: int = 0  # After all rounds, bytes.

    def flops(self, part: str) -> int:
        """Per image; 0 for what is not counted."""
        widths = {"resolution": self.case.resolution, "fmap_base": self.case.fmap_base, "fmap_max": self.case.fmap_max}
        counted = training_flops(
            GeneratorConfig(**widths),
            DiscriminatorConfig(**widths),
            self.case.resolution,
            fused=self.case.form == "fused",
        )
        return counted.get(part, 0)


@dataclasses.dataclass
class Run:
    """Everything of one run."""

    cases: list[Measured]
    ceilings: dict[str, dict[str, float]]  # Precision -> operation -> GFLOP/s, the best of all rounds.
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)  # Name of a case -> why it was not measured.

    def ceiling(self, precision: str) -> float:
        return max(self.ceilings.get(precision, {}).values(), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        cases = []
        for measured in self.cases:
            entry = dataclasses.asdict(measured)
            entry["flops_per_image"] = {part: measured.flops(part) for part in measured.seconds}
            entry["median_seconds"] = {part: statistics.median(times) for part, times in measured.seconds.items()}
            cases.append(entry)
        return {"cases": cases, "ceiling_gflops": self.ceilings, "left_out": self.left_out}


def measure(
    cases: Sequence[Case], parts: Sequence[str], rounds: int, with_ceiling: bool, most_seconds: float = 300.0
) -> Run:
    """Starts a process for every case, one after the other, and then lets them take turns.

    most_seconds: a case that has not finished its first iteration after so long is left out, as is one in a precision
      that this CPU only emulates.
    """
    run = Run([], {})
    workers: list[_Worker] = []
    limits: dict[str, _Worker] = {}
    try:
        emulated = _emulated({case.precision for case in cases} - {"float32"})
        for case in cases:
            if case.precision in emulated:
                run.left_out[case.name] = emulated[case.precision]
                continue
            try:
                workers.append(_Worker(case.name, case.to_dict(), most_seconds))
            except TimeoutError:
                run.left_out[case.name] = f"its first iteration takes more than {most_seconds:g} s"
                continue
            run.cases.append(Measured(case, workers[-1].start, {}, {}))
        if with_ceiling:
            for precision in dict.fromkeys(measured.case.precision for measured in run.cases):
                limits[precision] = _Worker(f"the ceiling in {precision}", {"ceiling": precision})
                run.ceilings[precision] = dict.fromkeys(_OPERATIONS, 0.0)
        for part in parts:
            for worker in workers:
                worker.ask(part)  # Traces; not counted.
        for _ in range(rounds):
            _one_round(run, workers, limits, parts)
    finally:
        for worker in [*workers, *limits.values()]:
            worker.stop()
    return run


def _emulated(precisions: set[str]) -> dict[str, str]:
    """Those of the precisions for which this CPU has no instructions, and what was measured."""
    if not precisions:
        return {}
    probe = _Worker("the precisions", {"slowness": sorted(precisions)})
    probe.stop()
    reasons = {}
    for name, factor in probe.start.items():
        if factor is None:
            reasons[name] = f"{name} does not run on this CPU"
        elif factor > _EMULATED:
            reasons[name] = f"{name} is emulated on this CPU: a convolution takes {factor:.3g} times as long as float32"
    return reasons


def _one_round(run, workers, limits, parts):
    for part in parts:
        for measured, worker in zip(run.cases, workers):
            answer = worker.ask(part)
            measured.seconds.setdefault(part, []).append(answer["seconds"])
            measured.cpu_seconds.setdefault(part, []).append(answer["cpu_seconds"])
            measured.peak_memory = answer["peak_memory"]
    for precision, worker in limits.items():
        best = run.ceilings[precision]
        for operation in _OPERATIONS:
            best[operation] = max(best[operation], worker.ask(operation)["gflops"])


class _Worker:
    """A process that answers one line at a time: see `stylegan_tf.benchmark.worker`."""

    def __init__(self, name: str, request: dict[str, Any], most_seconds: Optional[float] = None):
        """Raises TimeoutError if the first answer takes longer than `most_seconds`."""
        self._name = name
        self._errors = tempfile.TemporaryFile()
        command = [sys.executable, "-c", "from stylegan_tf.benchmark import worker; worker.serve()"]
        path = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, "PYTHONPATH": path}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)
        self.start = self.ask(json.dumps(request), most_seconds)

    def ask(self, line: str, most_seconds: Optional[float] = None) -> dict[str, Any]:
        try:
            print(line, file=self._process.stdin, flush=True)
            if most_seconds is not None and not select.select([self._process.stdout], [], [], most_seconds)[0]:
                self._process.kill()
                self.stop()
                raise TimeoutError
            return json.loads(self._process.stdout.readline())
        except TimeoutError:
            raise
        except (OSError, ValueError):
            raise UserError(f"the process of {self._name} ended: {self._last_words()}") from None

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"

    def stop(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
