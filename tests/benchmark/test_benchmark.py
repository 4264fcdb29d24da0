"""python -m stylegan_tf.benchmark as a user runs it, at a size that means nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "benchmark.py"


def _run(*arguments):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


@pytest.mark.slow
def test_every_part_of_every_case_is_measured_in_every_round(tmp_path):
    path = tmp_path / "results" / "benchmark.json"
    result = _run(
        *("--resolution=4", "--fmap_max=4", "--batch_size=8", "--precision=float32", "--form=fused", "--replicas=2"),
        *("--rounds=2", "--iterations_per_call=3", f"--json={path}"),
    )
    assert result.returncode == 0, result.stderr
    (run,) = json.loads(path.read_text())["runs"]
    assert [entry["case"]["replicas"] for entry in run["cases"]] == [1, 2]
    for entry in run["cases"]:
        assert set(entry["seconds"]) == {"discriminator", "generator", "iteration"}
        assert all(len(times) == 2 and min(times) > 0 for times in entry["seconds"].values())
        assert entry["peak_memory"] > 2**26
        assert entry["start"]["to_first_step"] > entry["start"]["first_iteration"] > 0
        assert entry["flops_per_image"]["iteration"] > 0
    assert min(run["ceiling_gflops"]["float32"].values()) > 0
    assert "4x4 batch 8 float32 fused 2 replicas / 4x4 batch 8 float32 fused:" in result.stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--precision=float8"], ["precision", "bfloat16", "float8"]),
        (["--form=fast"], ["form", "plain", "fast"]),
        (["--parts=all"], ["parts", "iteration", "all"]),
        (["--resolution=big"], ["resolution", "int()", "big"]),
        (["--rounds=0"], ["rounds", "positive"]),
        (["--jit_compile=maybe"], ["jit_compile", "on", "maybe"]),
        (["--most_seconds=0"], ["most_seconds", "0.001"]),
    ],
)
def test_wrong_flags_are_told_in_one_line(arguments, words):
    result = _run(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words)


# In a process of its own, as its flags are not those of training.
SERVING = """
from stylegan_tf.benchmark import serving
from stylegan_tf.cli import command_line
from stylegan_tf.config.errors import UserError

def export(_generator, folder, _kind, weights):
    if weights == "float16":
        raise UserError("not precise enough")
    folder.mkdir()

serving.KINDS, serving.file_caller = {}, export
serving.measure = lambda callers, *_: print(list(callers))
command_line.run(serving.main)
"""


def _serving(*flags):
    command = [sys.executable, "-c", SERVING, "--network=demo", "--batch_sizes=1", "--requests=0", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_a_format_that_refuses_a_network_does_not_end_the_measurement_of_the_others():
    result = _serving("--formats=onnx")
    assert result.returncode == 0, result.stderr
    assert "onnx 16 skipped: not precise enough" in result.stdout and "['keras', 'onnx 32']" in result.stdout
    unknown = _serving("--formats=onnx,onxn")
    assert "--formats=onnx,onxn: value should be one of <onnx|tflite>" in unknown.stderr and unknown.stdout == ""


def test_what_takes_too_long_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    size = ("--resolution=4", "--fmap_max=4", "--batch_size=8", "--form=fused", "--parts=iteration", "--rounds=1")
    result = _run(*size, "--precision=float32", "--most_seconds=0.1", "--ceiling=false")
    assert result.returncode == 0, result.stderr
    assert "oneDNN off (TF_ENABLE_ONEDNN_OPTS=0)" in result.stdout
    assert "4x4 batch 8 float32 fused: skipped: its first iteration takes more than 0.1 s" in result.stdout


def test_a_process_that_ends_is_told_with_its_last_words():
    result = _run("--resolution=5", "--data_dir=nowhere", "--parts=iteration", "--form=fused")
    assert result.returncode == 1
    assert "error:" in result.stderr and "resolution" in result.stderr
