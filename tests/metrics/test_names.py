"""Names of metrics."""

import pytest

from stylegan_tf.errors import UserError
from stylegan_tf.metrics.names import MetricName, parse_metrics


@pytest.mark.parametrize(
    "text, expected",
    [
        ("fid50k", MetricName("fid50k", "fid", 50_000)),
        ("kid500", MetricName("kid500", "kid", 500)),
        ("pr10k", MetricName("pr10k", "pr", 10_000)),
        ("is50k", MetricName("is50k", "is", 50_000)),
        ("fid50k_mix3", MetricName("fid50k_mix3", "fid", 50_000, mixed_latents=3)),
        ("ppl_zfull", MetricName("ppl_zfull", "ppl", 100_000, space="z", sampling="full")),
        ("ppl2k_wend", MetricName("ppl2k_wend", "ppl", 2000, space="w", sampling="end")),
        ("ppl_wend_face", MetricName("ppl_wend_face", "ppl", 100_000, space="w", sampling="end", face_crop=True)),
        ("ls", MetricName("ls", "ls", 200_000)),
        ("ls20k", MetricName("ls20k", "ls", 20_000)),
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
    "text, message", [("fid1", "at least 2"), ("fid50k_mix5", "5 latents, expected 1 to 4"), (" ,", "no metric")]
)
def test_counts_that_make_no_sense_are_told(text, message):
    with pytest.raises(UserError, match=message):
        parse_metrics(text)
