"""The best network of a run is kept, and a run without progress ends."""

import dataclasses
import signal

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.network_file import find_network, load_networks
from stylegan_tf.training.run.loop import train
from tests.helpers.tiny_run import tiny_config, write_images


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "tiny", resolution=4)


def run(config, values, name="fid20-x"):
    """Trains with a metric that has these values by images seen, others having been measured; returns the lines."""
    lines = []

    def measure(_growth, images_seen):
        if images_seen not in values:
            return
        yield "pr20-x  precision 0.1", {"metrics/pr20-x/precision": 0.1}
        yield f"{name}  fid {values[images_seen]}", {f"metrics/{name}": values[images_seen]}

    train(config, lambda *_: measure, note=lines.append)
    return lines


def config_of(data_dir, run_dir, **options):
    schedule = {"tick_kimg": {4: 0.016}}
    metrics = {"metrics": "pr20,fid20", "metric_ticks": 1, "keep_best": "fid20", "keep_networks": 1, "network_ticks": 1}
    return tiny_config(data_dir, run_dir, schedule, resolution=4, **{"total_kimg": 0.08, **metrics, **options})


def test_the_network_of_the_lowest_value_stays_whatever_else_is_deleted(data_dir, tmp_path):
    config = config_of(data_dir, tmp_path)
    lines = run(config, {16: 9.0, 32: 5.0, 48: 7.0, 64: 4.5, 80: 6.0})
    best = load_networks(tmp_path / "network-best.npz").metadata
    assert best["kimg"] == 0.064 and (best["best"]["metric"], best["best"]["value"]) == ("fid20", 4.5)
    assert sum("kept as network-best.npz" in line for line in lines) == 3
    assert find_network(tmp_path).name == "network-000000.npz"
    run(dataclasses.replace(config, total_kimg=0.112), {96: 4.7, 112: 5.0})
    assert load_networks(tmp_path / "network-best.npz").metadata["kimg"] == 0.064, "a resumed run knows the best value"


def test_a_run_without_a_better_value_ends_early_also_when_it_is_started_again(data_dir, tmp_path):
    config = config_of(data_dir, tmp_path, total_kimg=9.0, patience=2)
    values = {16: 5.0, 32: 6.0, 48: 4.0, 64: 4.1, 80: 4.2, 96: 1.0}
    lines = run(config, values)
    assert "finished at 0.1 kimg" in lines[-1]
    assert any("no better fid20 in 2 measurements: the run ends" in line for line in lines)
    assert "finished at 0.1 kimg" in run(config, {96: 1.0})[-1]
    assert load_networks(tmp_path / "network-best.npz").metadata["kimg"] == 0.048


@pytest.mark.parametrize("name, options", [("fid20-y", {}), ("fid20-x", {"mirror_augment": True})])
def test_a_value_that_was_measured_differently_is_not_compared(data_dir, tmp_path, name, options):
    config = config_of(data_dir, tmp_path, total_kimg=0.032, patience=1)
    run(config, {16: 5.0, 32: 4.0})
    resumed = dataclasses.replace(config, total_kimg=0.064, **options)
    lines = run(resumed, {48: 9.0, 64: 8.0}, name)
    assert sum("measured differently: it is not compared" in line for line in lines) == 1
    best = load_networks(tmp_path / "network-best.npz").metadata["best"]
    assert (best["value"], best["name"]) == (8.0, name) and best["data"]["images"] == 32


@pytest.mark.parametrize("stopped_at", [16, 32])
def test_a_measurement_that_a_signal_ends_is_made_when_the_run_resumes(data_dir, tmp_path, stopped_at):
    config, measured, lines = config_of(data_dir, tmp_path, total_kimg=0.032, patience=1), {}, []
    signals = [signal.SIGTERM]

    def prepare(_info, _strategy, _generator, _images_seen, progress):
        def measure(_growth, images_seen):
            if images_seen == stopped_at and signals:
                signal.raise_signal(signals.pop())
                progress(1, "Measuring", "images").update(1)
            if images_seen not in measured:
                measured[images_seen] = 1 / images_seen
                yield "fid20-x", {"metrics/fid20-x": measured[images_seen]}

        return measure

    with pytest.raises(SystemExit):
        train(config, prepare, note=lines.append)
    assert "metrics abandoned at 0.0 kimg; the same command computes them" in lines and "stopped" in lines[-1]
    train(config, prepare)
    train(config, prepare)
    assert list(measured) == [16, 32]
    assert load_networks(tmp_path / "network-best.npz").metadata["kimg"] == 0.032


@pytest.mark.parametrize(
    "options, message",
    [
        ({"keep_best": "fid50"}, "keep_best must be one"),
        ({"keep_best": "pr20"}, "keep_best must be one"),
        ({"keep_best": None, "patience": 3}, "patience needs"),
    ],
)
def test_what_cannot_be_the_best_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        config_of("data", "run", **options)
