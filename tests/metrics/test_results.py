"""Records of results: appended, found again by their protocol, dropped when a run goes back."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

from stylegan_tf.metrics.results import (
    MetricResult,
    append_result,
    drop_results_beyond,
    find_result,
    result_file,
    results_of_network,
)


def _result(value=1.5, seed=0, kimg=10.0, name="fid5k"):
    protocol = {"network_digest": "abc", "seed": seed, "count": 5000}
    return MetricResult(name, {"fid": value}, protocol, {"kimg": kimg, "network": "n.npz"})


def test_a_record_says_what_was_measured_and_how(tmp_path):
    append_result(tmp_path, _result())
    (line,) = (tmp_path / "metric-fid5k.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "metric": "fid5k",
        "results": {"fid": 1.5},
        "kimg": 10.0,
        "network": "n.npz",
        "protocol": {"network_digest": "abc", "seed": 0, "count": 5000},
    }


def test_the_newest_record_of_the_same_protocol_is_found(tmp_path):
    for result in (_result(1.0), _result(2.0, seed=1), _result(3.0)):
        append_result(tmp_path, result)
    assert find_result(tmp_path, "fid5k", dict(reversed(_result().protocol.items()))) == _result(3.0)
    assert find_result(tmp_path, "fid5k", _result(seed=2).protocol) is None
    assert find_result(tmp_path, "kid5k", _result().protocol) is None


def test_a_line_that_a_crash_has_cut_is_dropped(tmp_path):
    append_result(tmp_path, _result(1.0))
    with open(result_file(tmp_path, "fid5k"), "a") as stream:
        stream.write('{"metric": "fid5k", "resul')
    assert find_result(tmp_path, "fid5k", _result().protocol) == _result(1.0)
    append_result(tmp_path, _result(2.0))
    lines = result_file(tmp_path, "fid5k").read_text().splitlines()
    assert [json.loads(line)["results"]["fid"] for line in lines] == [1.0, 2.0]


def test_what_is_not_finite_is_null_in_json(tmp_path):
    append_result(tmp_path, _result(math.nan))
    assert "NaN" not in result_file(tmp_path, "fid5k").read_text()
    assert math.isnan(find_result(tmp_path, "fid5k", _result().protocol).values["fid"])


def test_a_run_that_goes_back_drops_what_came_later(tmp_path):
    for kimg in (10.0, 20.0, 30.0):
        append_result(tmp_path, _result(kimg=kimg))
        append_result(tmp_path, _result(kimg=kimg, name="kid5k"))
    drop_results_beyond(tmp_path, 20.0)
    for name in ("fid5k", "kid5k"):
        lines = result_file(tmp_path, name).read_text().splitlines()
        assert [json.loads(line)["kimg"] for line in lines] == [10.0, 20.0]


def test_lines_and_scalars_carry_the_names():
    single, double = _result(), MetricResult("pr5k", {"precision": 0.5, "recall": 0.25}, {})
    assert single.line() == "fid5k  fid 1.5"
    assert double.line() == "pr5k  precision 0.5  recall 0.25"
    assert single.scalars() == {"metrics/fid5k": 1.5}
    assert double.scalars() == {"metrics/pr5k/precision": 0.5, "metrics/pr5k/recall": 0.25}


def test_the_newest_values_of_one_network_are_collected(tmp_path):
    for result in (_result(1.0), _result(2.0, kimg=20.0), _result(3.0, seed=1), _result(4.0, name="kid5k")):
        append_result(tmp_path, result)
    in_training = MetricResult("ppl", {"ppl": 5.0}, {"network_digest": "abc"}, {"network": None})
    overwritten = MetricResult("fid5k", {"fid": 9.0}, {"network_digest": "def"}, {"network": "n.npz"})
    for result in (in_training, overwritten, MetricResult("fid5k", {"fid": 8.0}, {}, {"network": "n.npz"})):
        append_result(tmp_path, result)
    expected = {"fid5k": {"fid": 3.0}, "kid5k": {"fid": 4.0}, "ppl": {"ppl": 5.0}}
    assert results_of_network(tmp_path, "abc") == expected
    assert results_of_network(tmp_path, "nothing") == {}
    assert results_of_network(tmp_path / "nowhere", "abc") == {}


def test_processes_that_append_at_the_same_time_lose_no_line(tmp_path):
    code = """
import sys
from stylegan_tf.metrics.results import MetricResult, append_result
for number in range(20):
    append_result(sys.argv[1], MetricResult("fid5k", {"fid": 1.0}, {"process": int(sys.argv[2]), "number": number}))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(index)], env=environment) for index in range(3)
    ]
    assert [process.wait() for process in processes] == [0] * 3
    lines = (tmp_path / "metric-fid5k.jsonl").read_text().splitlines()
    found = {tuple(json.loads(line)["protocol"].values()) for line in lines}
    assert found == {(process, number) for process in range(3) for number in range(20)} and len(lines) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["metric-fid5k.jsonl"]


def test_lines_of_any_other_content_are_passed_over(tmp_path):
    append_result(tmp_path, _result(kimg=10.0))
    with open(tmp_path / "metric-fid5k.jsonl", "a") as stream:
        stream.write("[" * 100000 + "\n" + '{"results": {"fid": NaN}}\n' + '{"results": {}, "kimg": "x"}\n')
    drop_results_beyond(tmp_path, 5.0)
    assert (tmp_path / "metric-fid5k.jsonl").read_text() == '{"results": {}, "kimg": "x"}\n'
