"""The developers' scripts, above all those that train recipes and compare their runs, on run folders made by hand."""

import json
import random
import runpy
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def script():
    """Name -> what a script of tools/ defines."""
    sys.path.insert(0, str(TOOLS))
    yield lambda name: runpy.run_path(str(TOOLS / f"{name}.py"))
    sys.path.remove(str(TOOLS))


def _write_run(folder, kimg_and_resolution, fid):
    """A run whose reports are 60 s apart, and distances by kimg."""
    folder.mkdir()
    stats = [
        {"kimg": kimg, "resolution": resolution, "total_seconds": 60.0 * (index + 1)}
        for index, (kimg, resolution) in enumerate(kimg_and_resolution)
    ]
    (folder / "stats.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in stats))
    metric = [{"kimg": kimg, "results": {"fid": value}} for kimg, value in fid.items()]
    (folder / "metric-fid1k.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in metric))


@pytest.fixture
def runs(tmp_path):
    """Two seeds at 16x16 alone; one seed that begins at 8x8 and has no second measurement yet."""
    _write_run(tmp_path / "plain-1", [(10.0, 16), (20.2, 16)], {10.0: 100.0, 20.2: 60.0})
    _write_run(tmp_path / "plain-2", [(10.0, 16), (20.2, 16)], {10.0: 110.0, 20.2: 70.0})
    _write_run(tmp_path / "grown-1", [(10.0, 8), (20.0, 16)], {10.0: 90.0})
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_tables_have_means_spreads_and_seeds(runs):
    command = [sys.executable, TOOLS / "compare_runs.py", runs, "--metric=fid1k", "--kimg=10,20"]
    command += ["--minutes=0.5,1.5,9", "--speed=A, old=8:1000,16:200", "--speed=B=16:100"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "| recipe | 10 kimg | 20 kimg |" in lines
    assert "| grown | 90.0 (1) |  |" in lines
    assert "| plain | 105.0 ± 7.1 (2) | 65.0 ± 7.1 (2) |" in lines  # 10 / sqrt(2).
    assert "| plain | 2 | 20.2 | 2.0 | 110.0 | 70.0 |" in lines
    # A: 30 s are 6 kimg, of which nothing is known; 90 s are 18, between 10 and 20.2: 100 - 40 * 8 / 10.2 = 68.6.
    assert "| A, old | plain |  | 73.6 ± 7.1 (2) |  |" in lines
    # B is never there: its 90 s are 9 kimg, a tenth from the first measurement; its 9 minutes are longer than the runs.
    assert not any(line.startswith("| B ") for line in lines)


def test_images_by_minutes_follow_the_resolutions(runs, script):
    run = script("compare_runs")["read_runs"](runs, "fid1k")[0]
    assert run.recipe == "grown"
    speed = {8: 1000.0, 16: 200.0}
    assert run.kimg_after(5 / 60, speed) == pytest.approx(5.0)
    assert run.kimg_after(40 / 60, speed) == pytest.approx(16.0)  # 10 s at 8x8, 30 s of 200 images at 16x16.
    assert run.kimg_after(2, speed) is None


def test_what_is_finished_is_not_trained_again(runs, script, tmp_path):
    tools = script("train_recipes")
    path = tmp_path / "recipes.txt"
    path.write_text("# It's a comment.\n\nplain: --flagfile=a.cfg --r1_gamma=1\nother: --data_dir=a#b  # Another.\n")
    recipes = tools["read_recipes"](path)
    assert recipes == {"plain": ["--flagfile=a.cfg", "--r1_gamma=1"], "other": ["--data_dir=a#b"]}
    planned = {folder.name: flags for folder, flags in tools["planned"](recipes, ["1", "3"], runs, 20, ["--x=1"])}
    assert list(planned) == ["plain-1", "other-1", "plain-3", "other-3"]
    assert [name for name, flags in planned.items() if not flags] == ["plain-1"]
    ends = ["--x=1", f"--run_dir={runs}/plain-3", "--seed=3", "--total_kimg=20"]
    assert planned["plain-3"] == ["--flagfile=a.cfg", "--r1_gamma=1", *ends]
    assert all(flags for _, flags in tools["planned"](recipes, ["1"], runs, 40, []))  # Longer than plain-1 was.


def test_runs_are_evaluated_whether_they_were_trained_now_or_before(runs, script, monkeypatch):
    main, ran = script("train_recipes")["main"], []
    (runs / "recipes.txt").write_text("plain: --a=1\nother: --a=2\n")
    monkeypatch.setitem(main.__globals__, "run", lambda command, flags: ran.append((command, flags[0])))
    command = ["recipes", f"{runs}/recipes.txt", f"--dest={runs}", "--seeds=1", "--kimg=20", "--evaluate=--metrics=fid"]
    monkeypatch.setattr(sys, "argv", command)
    main()
    evaluations = [("evaluate", f"--network={runs}/{name}") for name in ("plain-1", "other-1")]
    assert ran == [evaluations[0], ("train", "--a=2"), evaluations[1]]


def test_the_recipes_in_the_repository_are_valid(script):
    from stylegan_tf.cli import training_flags

    recipes = script("train_recipes")["read_recipes"](TOOLS / "recipes.txt")
    assert "demo" in recipes
    for flags in recipes.values():
        names = [flag.split("=")[0].lstrip("-") for flag in flags]
        assert names[0] == "flagfile" and set(names[1:]) <= set(training_flags.OPTIONS)
        assert (TOOLS.parent / flags[0].split("=")[1]).is_file()


def test_a_failed_run_is_named_and_the_others_are_trained(tmp_path):
    """With a train that is none: both fail, at once."""
    (tmp_path / "recipes.txt").write_text("one: --no_such_flag=1\ntwo: --no_such_flag=2\n")
    command = [sys.executable, TOOLS / "train_recipes.py", tmp_path / "recipes.txt", f"--dest={tmp_path}", "--kimg=1"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert f"failed: {tmp_path}/one-1000, {tmp_path}/two-1000" in result.stderr


def _message_and_status(script, monkeypatch, capsys, name, *arguments):
    main = script(name)["main"]
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as error:
        script("checkout")["run"](main)
    return f"{capsys.readouterr().err}{error.value}", error.value.code


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("compare_runs", ["none"], "error: none: No such file or directory: check the name."),
        ("compare_runs", [".", "--metric=typo"], "no run in . has measured typo"),
        ("compare_runs", [".", "--metric=fid1k/kid"], "no run in . has measured fid1k/kid"),
        ("compare_runs", [".", "--metric=fid1k", "--speed=X=8:0"], "argument --speed: invalid"),
        ("train_recipes", ["none.txt", "--dest=.", "--kimg=1"], "error: none.txt: No such file"),
        ("pack_network", ["--source=none", "--dest=x.npz"], "error: none"),
        ("measure_projection", ["--set", "steps"], "argument --set: invalid"),
        ("measure_projection", ["--set", "setps=3"], "argument --set: invalid"),
        ("grow_to_1024", ["."], "run exists, and would only be resumed"),
        ("render_demo_set", ["--style=pixel-art"], "--style needs --dest"),
        ("render_demo_set", ["--count=3"], "--count and --size need --style"),
        ("load_explorer", ["http://127.0.0.1:9/"], "Connection refused"),
    ],
)
def test_a_mistake_is_one_line(script, runs, monkeypatch, capsys, name, arguments, message):
    (runs / "run").mkdir()
    monkeypatch.chdir(runs)
    text, status = _message_and_status(script, monkeypatch, capsys, name, *arguments)
    assert status and message in text


def test_the_table_of_a_growing_run_has_each_tick_at_the_level_that_it_trained(script, tmp_path):
    ticks = [(8, 1.0, 1.0), (8, 1.0, 2.0), (16, 0.5, 3.0), (16, 1.0, 4.0)]
    records = [
        {"resolution": resolution, "alpha": alpha, "sec_per_kimg": 1000.0 * seconds, "batch_size": 1, "memory_gib": 1.0}
        for resolution, alpha, seconds in ticks
    ]
    (tmp_path / "stats.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    (tmp_path / "log.txt").write_text("16x16, batch 4: prepared in 7.0 s, first iteration 8.0 s\n")
    rows = script("grow_to_1024")["levels_table"](tmp_path, {8: 0.5}).splitlines()[2:]
    assert rows == ["| 8x8 | 1, 1 |  | 1.0 | 1.00 | 0.5 |", "| 16x16 | 0.5, 1 | 7.0 + 8.0 | 3.0 | 1.00 | 0.0 |"]


def test_ctrl_c_ends_a_script_in_one_line(script, monkeypatch, capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        script("checkout")["run"](main)
    assert capsys.readouterr().err == "interrupted\n"


def test_nan_is_the_largest_difference(script):
    tools = script("train_elsewhere")
    expected = {name: tools["summary"](name, np.ones(3)) for name in ("loss", "gradient")}
    about = {"outputs": list(expected), "expected": expected}
    assert tools["largest_difference"](about, [np.full(3, 1.00001), np.full(3, np.nan)]) == "nan (gradient)"


def test_failed_requests_are_no_pictures(script, monkeypatch):
    client, times, errors = script("load_explorer")["_client"], [], []
    monkeypatch.setitem(client.__globals__, "_request", lambda *_: (503, {}, b"busy"))
    client(None, "", random.Random(0), time.monotonic() + 0.02, times, errors)
    assert (times, errors[0]) == ([], (503, b"busy"))


def test_projection_is_measured_with_the_noise_it_found(script):
    target = np.full([1, 2, 2, 3], 7, np.uint8)
    found = types.SimpleNamespace(ws=np.full_like(target, 3), noise=np.full_like(target, 4))
    projector = types.SimpleNamespace(find=lambda _: [found], pictures=lambda ws, noise=0: ws + noise)
    assert script("measure_projection")["_errors"](projector, target) == [0.0]
