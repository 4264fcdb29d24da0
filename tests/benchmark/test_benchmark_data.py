"""The benchmark of the input pipeline."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.helpers.array_source import write_numbered

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "benchmark_data.py"


def run_tool(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True)


def test_every_level_of_every_set_gets_a_line(tmp_path):
    raw, png = (write_numbered(tmp_path / name, encoding=name) for name in ("raw", "png"))
    ticks = [{"resolution": 8, "sec_per_kimg": value} for value in (5.0, 1e9, 4e9)]
    (tmp_path / "stats.jsonl").write_text("\n".join(map(json.dumps, ticks)))
    done = run_tool("--data_dir", raw, "--data_dir", png, "--seconds=0.05", "--batch_size=8", "--run_dir", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["raw:", "level", "4", "8", "png:", "level", "4", "8"]
    for line in lines:
        if line[0] in ("4", "8"):
            assert line[1].endswith("/s") and float(line[1][:-2].replace(",", "")) > 0 and line[4] == "s"
    # The median tick took a million seconds an image: reading one is nothing beside that.
    assert [line[5:] for line in lines if line[0] == "8"] == [["0.00%"]] * 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--data_dir is missing"),
        (["--data_dir=.", "--batch_size=0"], "0 is not a positive integer"),
        (["--data_dir=.", "--run_dir=nowhere"], "--run_dir nowhere: cannot read stats.jsonl"),
        (["--data_dir=nowhere"], "nowhere does not exist"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    done = run_tool(*arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and message in done.stderr
