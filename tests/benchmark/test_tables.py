"""Tables and ratios of made-up measurements."""

import pytest

from stylegan_tf.benchmark import measuring
from stylegan_tf.benchmark.cases import Case
from stylegan_tf.benchmark.measuring import Measured, Run, measure, ratio_lines, table_lines
from stylegan_tf.config.errors import UserError


def _measured(seconds, **options):
    case = Case(**options)
    start = {"first_iteration": 3.0, "to_first_step": 5.0, "peak_memory": 2**29, "device": "CPU:0"}
    return Measured(case, start, {"iteration": seconds}, {"iteration": seconds}, 2**30)


def _run(fast):
    cases = [
        _measured([2.0, 4.0, 1.0], form="plain"),
        _measured(fast, precision="bfloat16"),
        _measured([1.0, 2.5, 1.0], precision="bfloat16", replicas=2),
    ]
    return Run(cases, {"float32": {"matmul": 100.0, "conv3x3": 50.0}, "bfloat16": {"matmul": 0.0, "conv3x3": 200.0}})


def test_ratios_are_taken_within_a_round():
    # 2 / 1, 4 / 1, 1 / 0.25: the median is 4, the ratio of the medians would be 2.
    assert "    iteration       4.00x" in ratio_lines([_run([1.0, 1.0, 0.25])])


def test_ratios_of_several_runs_are_listed_with_their_median():
    lines = ratio_lines([_run([1.0, 1.0, 0.25]), _run([2.0, 4.0, 1.0]), _run([1.0, 2.0, 0.5])])
    assert lines[0] == "32x32 batch 16 bfloat16 fused / 32x32 batch 16 float32 plain:"
    assert lines[1].split() == ["iteration", "2.00x", "(runs:", "4.00,", "1.00,", "2.00)"]


def test_a_run_that_left_a_case_out_is_not_mistaken_for_another():
    whole, part = _run([1.0, 1.0, 0.25]), _run([1.0, 1.0, 0.25])
    lines = ratio_lines([whole, Run([part.cases[0], part.cases[2]], {})])
    assert lines[1].split() == ["iteration", "4.00x"] and lines[3].split() == ["iteration", "0.40x"]


def test_replicas_are_compared_with_one_replica_of_the_same_form():
    lines = ratio_lines([_run([1.0, 1.0, 1.0])])
    assert lines[2] == "32x32 batch 16 bfloat16 fused 2 replicas / 32x32 batch 16 bfloat16 fused:"
    assert lines[3].split() == ["iteration", "1.00x"]  # 1 / 1, 1 / 2.5, 1 / 1.


def test_augmentation_is_compared_with_none_of_the_same_form():
    cases = [_measured([2.0, 4.0], form="plain"), _measured([1.0, 1.0]), _measured([1.25, 1.25], augment="ada")]
    lines = ratio_lines([Run(cases, {})])
    assert lines[2] == "32x32 batch 16 float32 fused ada / 32x32 batch 16 float32 fused:"
    assert lines[3:] == ["    iteration       0.80x"]


def test_the_table_shows_medians_and_the_share_of_the_best_ceiling():
    run = _run([1.0, 0.5, 0.25])
    lines = table_lines(run)
    assert lines[1].startswith("32x32 batch 16 float32 plain")
    assert float(lines[1].split()[5]) == 8.0  # 16 images in 2 seconds.
    gflops = 16 / 0.5 * run.cases[1].flops("iteration") / 1e9
    assert f"{gflops:,.0f}" in lines[2].split() and f"{gflops / 200:.0%}" in lines[2].split()
    assert "1.00 GB" in lines[1] and "5.0 s" in lines[1]


@pytest.mark.parametrize("part, images", [("iteration", 64), ("generator", 16)])
def test_a_call_of_several_iterations_counts_all_their_images(part, images):
    assert Case(iterations=4).images_per_call(part) == images


def test_a_case_that_fails_is_left_out_with_the_reason_unless_it_is_the_first(monkeypatch):
    class Worker:
        def __init__(self, case):
            self.case = case

        def answer(self, most_seconds):
            if self.case.precision == "float16":
                raise UserError("no kernel")
            return {}

        def ask(self, part):
            return {"seconds": 2.0, "cpu_seconds": 3.0, "peak_memory": 4}

        def stop(self):
            pass

    monkeypatch.setattr(measuring, "_Worker", Worker)
    good, bad = Case(), Case(precision="float16")
    run = measure([good, bad], ["generator"], rounds=2, with_ceiling=False)
    assert run.cases == [Measured(good, {}, {"generator": [2.0] * 2}, {"generator": [3.0] * 2}, 4)]
    assert run.left_out == {"32x32 batch 16 float16 fused": "no kernel"} and run.ceilings == {}
    with pytest.raises(UserError, match="no kernel"):
        measure([bad, good], ["generator"], rounds=2, with_ceiling=False)
