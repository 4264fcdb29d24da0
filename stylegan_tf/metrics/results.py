"""Results of metrics, the `metric-NAME.jsonl` of a run that records them, and their tables. Needs no TensorFlow."""

import csv
import dataclasses
import io
import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import write_text
from stylegan_tf.files.file_errors import read_lines
from stylegan_tf.files.locks import locked

SUFFIXES = (".md", ".csv")


@dataclasses.dataclass(frozen=True)
class MetricResult:
    """The result of one metric for one network.

    Results with different `name`s are not comparable: `fid50k` is the paper's, on TF-GAN's Inception features;
    `fid50k-efficientnet_lite0` is on other features, `fid50k-4096reals` on fewer real images than generated ones.
    """

    name: str
    values: Mapping[str, float]  # E.g. {"precision": 0.7, "recall": 0.4}.
    protocol: Mapping[str, Any]  # Everything that the values depend on: digests, seeds, counts, ...
    # Kilo-images, names, seconds: information for readers.
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def line(self) -> str:
        """`fid50k-efficientnet_lite0  fid 12.34 +- 0.12`, with the standard error if there is one."""
        parts = [self.name]
        for name, value in self.values.items():
            error = self.facts.get(f"{name}_error")
            parts.append(f"{name} {value:.5g}" + ("" if error is None else f" +- {error:.2g}"))
        return "  ".join(parts)

    def scalars(self) -> dict[str, float]:
        """Values by TensorBoard tag: metrics/NAME for a single one, else metrics/NAME/value."""
        if len(self.values) == 1:
            return {f"metrics/{self.name}": value for value in self.values.values()}
        return {f"metrics/{self.name}/{name}": value for name, value in self.values.items()}


def result_file(folder, name: str) -> pathlib.Path:
    return pathlib.Path(folder) / f"metric-{name}.jsonl"


def append_result(folder, result: MetricResult) -> None:
    """Appends a line to the metric's file; drops a last line that a crash has truncated."""
    path = result_file(folder, result.name)
    record = {"metric": result.name, "results": _finite(result.values), **result.facts, "protocol": result.protocol}
    with _locked(folder):
        write_text(path, "".join(line for line, _ in _lines(path)) + json.dumps(record) + "\n")


def find_result(folder, name: str, protocol: Mapping[str, Any]) -> Optional[MetricResult]:
    """The newest result with this name and protocol, or None."""
    found = None
    for _, record in _lines(result_file(folder, name)):
        if record.get("protocol") == json.loads(json.dumps(protocol)):
            values = {key: math.nan if value is None else value for key, value in record["results"].items()}
            facts = {key: value for key, value in record.items() if key not in ("metric", "results", "protocol")}
            found = MetricResult(name, values, protocol, facts)
    return found


def is_recorded(folder, name: str, kimg: float) -> bool:
    """Whether a run measured its own network after this many thousand images."""
    records = [record for _, record in _lines(result_file(folder, name))]
    return any(record.get("kimg") == kimg and record.get("network") is None for record in records)


def results_of_network(folder, digest: str) -> dict[str, dict[str, float]]:
    """Metric -> its newest values for the generator with this `network_digest`, measured by training or `evaluate`."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("metric-*.jsonl")):
        for _, record in _lines(path):
            protocol = record.get("protocol")
            if isinstance(protocol, dict) and protocol.get("network_digest") == digest:
                found[record.get("metric")] = record["results"]
    return found


def drop_results_beyond(folder, kimg: float) -> None:
    """Removes what a run reported after the checkpoint from which it resumes."""
    with _locked(folder):
        for path in pathlib.Path(folder).glob("metric-*.jsonl"):
            lines = _lines(path)
            kept = [line for line, record in lines if not _is_beyond(record.get("kimg"), kimg)]
            if len(kept) < len(lines):
                write_text(path, "".join(kept))


def _is_beyond(value: Any, kimg: float) -> bool:
    return isinstance(value, (int, float)) and value > kimg


def _locked(folder):
    """Several processes may measure networks of one folder."""
    return locked(pathlib.Path(folder) / ".results.lock", f"the results in {folder}", wait=60)


def _lines(path: pathlib.Path) -> list[tuple[str, dict]]:
    """The readable lines of a file, each with its record."""
    return [(line, record) for line, record in read_lines(path) if isinstance(record.get("results"), dict)]


def _finite(values: Mapping[str, float]) -> dict:
    """JSON has no NaN."""
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


class ResultTable:
    """A row for each network, a column for each value; empty where there is none."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, float]] = {}

    def add(self, name: str, results: Iterable[MetricResult]) -> None:
        row = self._rows.setdefault(name, {})
        for result in results:
            for value_name, value in result.values.items():
                row[result.name if len(result.values) == 1 else f"{result.name} {value_name}"] = value

    def lines(self) -> list[list[str]]:
        """The header, then the rows."""
        columns = list(dict.fromkeys(column for row in self._rows.values() for column in row))
        body = [[name] + [_text(row.get(column)) for column in columns] for name, row in self._rows.items()]
        return [["network", *columns], *body]

    def markdown(self) -> str:
        header, *body = ([cell.replace("|", "\\|") for cell in line] for line in self.lines())
        rule = ["---"] + ["---:"] * (len(header) - 1)
        return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *body))

    def csv(self) -> str:
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(self.lines())
        return stream.getvalue()

    def write(self, path: pathlib.Path) -> None:
        write_text(path, self.csv() if path.suffix == ".csv" else self.markdown())


def check_table_path(path: pathlib.Path) -> None:
    if path.suffix not in SUFFIXES:
        raise UserError(f"`table={path}`: the name of a table must end in {' or '.join(SUFFIXES)}.")


def _text(value) -> str:
    return "" if value is None else f"{value:.5g}"
