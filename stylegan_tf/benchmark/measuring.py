"""Cases that take turns, each in a process of its own, and the tables of their times. No TensorFlow in the parent."""

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from typing import Any, Optional

from stylegan_tf.benchmark.cases import OPERATIONS, PARTS, Case
from stylegan_tf.benchmark.flops import training_flops
from stylegan_tf.config.errors import UserError

_TITLES = {"discriminator": "D step", "generator": "G step", "iteration": "iteration"}


@dataclasses.dataclass
class Measured:
    """One case of one run. Lists have one value a round."""

    case: Case
    start: dict[str, Any]  # first_iteration and to_first_step (seconds), peak_memory (bytes), device.
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)  # Per call, by part.
    cpu_seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    peak_memory: int = 0  # After all rounds, bytes.

    def flops(self, part: str) -> int:
        """Per image."""
        case = self.case
        return training_flops(*case.networks, case.resolution, fused=case.form == "fused")[part]


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

    most_seconds: a case that has not finished its first iteration after so long is skipped, as is one that fails,
      for example in a precision that this CPU does not have. If the first case fails, all of them do.
    """
    run, workers = Run([], {}), []
    try:
        for case in cases:
            workers.append(_Worker(case))
            reason = f"its first iteration takes more than {most_seconds:g} s"
            try:
                start = workers[-1].answer(most_seconds)
            except UserError as error:
                if not run.cases:
                    raise
                start, reason = None, str(error)
            if start is None:
                run.left_out[case.name] = reason
                workers.pop().stop()
            else:
                run.cases.append(Measured(case, start))
        limits = {worker.case.precision: worker for worker in reversed(workers)} if with_ceiling else {}
        run.ceilings = {precision: dict.fromkeys(OPERATIONS, 0.0) for precision in reversed(limits)}
        for number in range(1 + rounds):  # In the first one everything is traced.
            _one_round(run, workers, limits, parts, counts=number > 0)
    finally:
        for worker in workers:
            worker.stop()
    return run


def _one_round(run, workers, limits, parts, counts):
    for part in parts:
        for measured, worker in zip(run.cases, workers):
            answer = worker.ask(part)
            if counts:
                measured.seconds.setdefault(part, []).append(answer["seconds"])
                measured.cpu_seconds.setdefault(part, []).append(answer["cpu_seconds"])
                measured.peak_memory = answer["peak_memory"]
    for precision, best in run.ceilings.items():
        for operation in OPERATIONS:
            found = limits[precision].ask(operation)["gflops"]
            best[operation] = max(best[operation], found if counts else 0.0)


class _Worker:
    """The process of one case: it measures one call of one part per request."""

    def __init__(self, case: Case):
        self.case = case
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(case, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, part: str) -> dict[str, Any]:
        self._connection.send(part)
        return self.answer()

    def answer(self, most_seconds: Optional[float] = None) -> Optional[dict[str, Any]]:
        """None if there is none after `most_seconds`."""
        if not self._connection.poll(most_seconds):
            return None
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            answer = {"error": f"exit status {self._process.exitcode}"}
        if "error" in answer:
            raise UserError(f"the process of {self.case.name} ended: {answer['error']}")
        return answer

    def stop(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.join()


def _serve(case: Case, connection) -> None:
    """Answers what `_Worker` asks for, until it is killed."""
    started = time.perf_counter()
    try:
        from stylegan_tf.benchmark.training_case import TrainingCase

        training = TrainingCase(case)
        connection.send(training.first_iteration(started))
        while True:
            connection.send(training.timed(connection.recv()))
    except (EOFError, OSError):
        return  # Nobody asks any more.
    except Exception as error:
        connection.send({"error": f"{type(error).__name__}: {error}"})


def table_lines(run: Run) -> list[str]:
    """Images per second of each part (medians), fraction of the ceiling of complete iterations, memory, start."""
    lines = []
    if run.cases:
        parts = [part for part in PARTS if part in run.cases[0].seconds]
        width = max(len(measured.case.name) for measured in run.cases)
        head = "".join(f"{_TITLES[part]:>12}" for part in parts)
        lines = [f"{'images/s':{width}}{head}   GFLOP/s   share   memory   first step"]
    for measured in run.cases:
        rates = "".join(f"{_rate(measured, part):12,.1f}" for part in parts)
        lines.append(f"{measured.case.name:{width}}{rates}{_work(run, measured)}{_start(measured)}")
    lines += [f"{name}: skipped: {reason}" for name, reason in run.left_out.items()]
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
