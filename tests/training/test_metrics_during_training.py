"""Metrics at an interval of training: computed when they are due, and without a trace in the run itself."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.during_training import TrainingMetrics
from stylegan_tf.metrics.evaluation import measure_and_record, network_context
from stylegan_tf.metrics.features.extractors import load_extractor
from stylegan_tf.metrics.kinds import parse_metrics
from stylegan_tf.metrics.kinds.sample_quality import InceptionScoreMetric
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import Networks, find_network, save_networks
from stylegan_tf.training.run.loop import train
from tests.helpers import small_extractor, tiny_run
from tests.helpers import tiny_networks as tiny


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    tiny_run.write_images(folder / "data", count=24)
    small_extractor.save_module(folder / "module")
    return folder


@pytest.fixture(scope="module")
def configs(workplace):
    """The same run without and with metrics: 8x8 from the start, which is one trace; six ticks of 16 images."""
    schedule = {"start_resolution": 8, "tick_kimg": {4: 0.016}}
    options = {"schedule": schedule, "resolution": 8, "mirror_augment": True, "total_kimg": 0.096}
    plain = tiny_run.tiny_config(workplace / "data", workplace / "plain", **options)
    measured = {"metrics": "fid24,is24_mix3,kid20", "metric_ticks": 2, "feature_extractor": str(workplace / "module")}
    return plain, dataclasses.replace(plain, run_dir=str(workplace / "measured"), **measured)


@pytest.fixture(scope="module")
def runs(configs, workplace):
    """Both runs, finished; their network files' arrays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
        train(configs[0])
        train(configs[1], TrainingMetrics(configs[1]))
    return [dict(np.load(find_network(config.run_dir))) for config in configs]


def _records(config, name):
    (path,) = [path for path in _files(config) if path.name.startswith(f"metric-{name}-")]
    return [json.loads(line) for line in path.read_text().splitlines()]


def _files(config):
    return sorted(Path(config.run_dir).glob("metric-*.jsonl"))


def test_a_run_is_the_same_with_metrics_and_without(runs):
    plain, measured = runs
    assert set(plain) == set(measured) and len(plain) > 50
    for name, values in plain.items():
        np.testing.assert_array_equal(values, measured[name], err_msg=name)


def test_results_come_every_metric_ticks_and_at_the_end(runs, configs):
    plain, measured = configs
    assert _files(plain) == []
    records = _records(measured, "fid24")
    assert [record["kimg"] for record in records] == [0.032, 0.064, 0.096]
    assert all(record["protocol"]["mirrored_copies"] and record["protocol"]["reals"] == 24 for record in records)
    assert len({record["results"]["fid"] for record in records}) == 3
    assert _records(measured, "kid20")[0]["results"].keys() == {"kid", "kid_error"}


def measure(path, metrics, config, cache, **options):
    strategy, extractor = tf.distribute.OneDeviceStrategy("CPU:0"), load_extractor(config.feature_extractor)
    template = MetricContext(None, strategy, 0, cache, extractor=extractor)
    context = network_context(template, path, find_dataset(config.data_dir))
    measure_and_record(context, parse_metrics(metrics), path.parent, raising, **options)


def raising(_metric, error):
    raise error


def test_what_evaluate_finds_is_what_training_measured(runs, configs, workplace, capsys, monkeypatch):
    path = find_network(configs[1].run_dir)
    notes = []
    measure(path, "fid24", configs[1], workplace / "cache" / "stylegan_tf", note=notes.append)
    assert "(already there)" in notes[0] and capsys.readouterr().out == ""
    measure(path, "fid24", configs[1], workplace / "cache" / "stylegan_tf", force=True)
    records = _records(configs[1], "fid24")
    assert records[-1]["network"] == path.name and records[-1]["kimg"] == records[-2]["kimg"]
    assert records[-1]["protocol"] == records[-2]["protocol"]
    assert records[-1]["results"]["fid"] == pytest.approx(records[-2]["results"]["fid"], rel=1e-6)


def test_a_network_file_knows_how_far_it_has_grown(workplace, configs, tmp_path):
    networks = Networks(None, None, tiny.generator(num_channels=3, growth=Growth(4))[0], {"kimg": 1.0})
    save_networks(tmp_path / "network-000001.npz", networks)
    measure(tmp_path / "network-000001.npz", "is20", configs[1], tmp_path)
    (path,) = tmp_path.glob("metric-is20-*.jsonl")
    assert json.loads(path.read_text())["protocol"]["resolution"] == 4


def test_metrics_that_training_cannot_have_are_refused_before_it_starts(configs):
    for metrics, message in [
        ("fid5m", "unknown metric"),
        ("ls", "compute it with stylegan_tf.evaluate"),
        (",", "no metric"),
    ]:
        with pytest.raises(UserError, match=message):
            TrainingMetrics(dataclasses.replace(configs[0], metrics=metrics))


def test_what_goes_wrong_with_a_metric_does_not_end_the_run(configs, workplace, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = dataclasses.replace(configs[1], metrics="is20_mix3,is20", run_dir=str(tmp_path))
    prepare = TrainingMetrics(config)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    measure = prepare(find_dataset(config.data_dir), strategy, tiny.generator()[0], 0)
    (line, scalars), told = measure(Growth(4), 16)
    assert line.startswith("is20-module-") and len(scalars) == 2, "what does not apply does not end the list"
    assert told == ("is20_mix3 skipped: 3 latents cannot be mixed in the 2 layers of a 4x4.", {})
    assert [line.split("-")[0] for line, _ in measure(Growth(8), 32)] == ["is20_mix3", "is20"]
    assert list(measure(Growth(8), 32)) == [], "a run that resumes here has been measured"


@pytest.mark.parametrize("error", [RuntimeError("of its own\nand more"), MemoryError(), KeyError("x")])
def test_whatever_a_metric_raises_is_a_line_and_not_the_end_of_a_run(configs, tmp_path, monkeypatch, error):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = dataclasses.replace(configs[1], metrics="is20,fid20", run_dir=str(tmp_path))
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    measure = TrainingMetrics(config)(find_dataset(config.data_dir), strategy, tiny.generator()[0], 0)

    def failing(*_arguments):
        raise error

    monkeypatch.setattr(InceptionScoreMetric, "values", failing)
    (line, _), told = measure(Growth(8), 16)
    assert line.startswith("fid20-module-")
    assert told[0].startswith(f"is20 skipped: {type(error).__name__}: ") and "\n" not in told[0]
    monkeypatch.setattr(MetricContext, "protocol", failing)
    assert [scalars for _, scalars in measure(Growth(8), 32)] == [{}, {}]
