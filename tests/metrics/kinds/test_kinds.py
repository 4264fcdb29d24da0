"""Names of metrics."""

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.kinds import METRICS, parse_metrics
from stylegan_tf.metrics.kinds.feature_distances import FrechetMetric, KernelMetric
from stylegan_tf.metrics.kinds.path_length import PathLengthMetric, PathLengthProtocol
from stylegan_tf.metrics.kinds.sample_quality import InceptionScoreMetric, PrecisionRecallMetric
from stylegan_tf.metrics.kinds.separability import SeparabilityMetric


@pytest.mark.parametrize(
    "text, expected",
    [
        ("fid50k", FrechetMetric("fid50k", 50_000)),
        ("kid500", KernelMetric("kid500", 500)),
        ("pr10k", PrecisionRecallMetric("pr10k", 10_000)),
        ("is50k", InceptionScoreMetric("is50k", 50_000)),
        ("fid50k_mix3", FrechetMetric("fid50k_mix3", 50_000, mixed_latents=3)),
        ("ppl_zfull", PathLengthMetric("ppl_zfull", 100_000, PathLengthProtocol("z", "full", 100_000))),
        ("ppl2k_wend", PathLengthMetric("ppl2k_wend", 2000, PathLengthProtocol("w", "end", 2000))),
        ("ppl_wend_face", PathLengthMetric("ppl_wend_face", 100_000, PathLengthProtocol("w", "end", 100_000, True))),
        ("ls", SeparabilityMetric("ls", 200_000)),
        ("ls20k", SeparabilityMetric("ls20k", 20_000)),
    ],
)
def test_a_name_says_what_is_measured_on_how_many(text, expected):
    assert parse_metrics(text) == (expected,)


def test_names_are_separated_by_commas_and_counted_once():
    assert [metric.text for metric in parse_metrics(" fid5k, ls,fid5k,")] == ["fid5k", "ls"]


@pytest.mark.parametrize("text", ["fid", "fid50m", "fid-5", "ppl", "ppl_wmiddle", "inception", "fid50k_mix", "ls_w"])
def test_an_unknown_name_is_told_with_what_there_is(text):
    with pytest.raises(UserError, match=f"unknown metric '{text}'; there are: fidN"):
        parse_metrics(text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("fid1", "at least 2 images"),
        ("kid3", "at least 4 images, got 3"),
        ("pr3", "at least 4 images, got 3"),
        ("is19", "at least 20 images, got 19"),
        ("fid50k_mix5", "5 latents, expected 1 to 4"),
        (" ,", "no metric"),
    ],
)
def test_counts_that_make_no_sense_are_told(text, message):
    with pytest.raises(UserError, match=message):
        parse_metrics(text)


def test_no_name_means_two_kinds_and_what_is_told_of_a_kind_is_one_of_its_names():
    for kind in METRICS:
        example = kind.syntax.partition(",")[0].replace("N", "50")
        assert [other for other in METRICS if other.pattern.fullmatch(example)] == [kind]
