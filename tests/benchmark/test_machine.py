"""What the benchmark says of the machine."""

import os

import pytest

from stylegan_tf.benchmark import cases, training_case


@pytest.mark.parametrize(
    "environment, words",
    [
        ({}, "oneDNN as TensorFlow chooses"),
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "oneDNN off (TF_ENABLE_ONEDNN_OPTS=0)"),
        (
            {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
            "oneDNN on (TF_ENABLE_ONEDNN_OPTS=1), limited to AVX2",
        ),
    ],
)
def test_the_line_says_how_onednn_is_configured(environment, words):
    assert cases._onednn(environment) == words


def test_cores_are_counted_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(cases.cpuinfo, "get_cpu_info", dict)
    assert cases.machine_line().startswith("unknown CPU, 6 cores: ")
    assert training_case.available_cores() == 6


def test_the_line_names_the_instructions_that_matter(monkeypatch):
    info = {"brand_raw": "Some CPU", "flags": ["sse2", "avx2", "amx_bf16"]}
    monkeypatch.setattr(cases.cpuinfo, "get_cpu_info", lambda: info)
    line = cases.machine_line()
    assert line.startswith("Some CPU, ")
    assert "cores: AVX2, AMX (bfloat16); oneDNN" in line
