"""Results of several networks as one table: Markdown or CSV. Needs no TensorFlow."""

import csv
import io
import pathlib
from collections.abc import Iterable

from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside
from stylegan_tf.metrics.results import MetricResult

SUFFIXES = (".md", ".csv")


class ResultTable:
    """A row for each network, a column for each value; empty where there is none."""

    def __init__(self):
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
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as temporary:
            temporary.write_text(self.csv() if path.suffix == ".csv" else self.markdown(), encoding="utf-8")


def check_table_path(path: pathlib.Path) -> None:
    if path.suffix not in SUFFIXES:
        raise UserError(f"--table={path}: the name of a table ends in {' or '.join(SUFFIXES)}.")


def _text(value) -> str:
    return "" if value is None else f"{value:.5g}"
