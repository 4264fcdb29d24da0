"""A run that fails says so: collapse, standstill, a discriminator that wins."""

import numpy as np
import pytest

from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.training.reports.reporting import Health
from stylegan_tf.training.run.loop import train
from tests.helpers.tiny_run import tiny_config, write_images

HEALTHY = {"real_variety": 0.5, "fake_variety": 0.45, "grid_change": 8.0, "real_score": 1.0, "fake_score": -1.2}


@pytest.mark.parametrize(
    "sick, words",
    [
        ({"fake_variety": 0.05}, "looks collapsed"),
        ({"grid_change": 0.1}, "hardly change any more"),
        ({"real_score": 9.0, "fake_score": -12.0}, "the discriminator wins"),
    ],
)
def test_a_symptom_that_lasts_is_reported_once_and_again_when_it_returns(sick, words):
    health = Health(scores_are_logits=True)
    found = [health.warnings({**HEALTHY, **sick}) for _ in range(8)]
    assert [len(lines) for lines in found] == [0, 0, 0, 0, 1, 0, 0, 0]
    assert words in found[4][0] and "docs/troubleshooting.md" in found[4][0]
    assert health.warnings(HEALTHY) == []
    assert sum(len(health.warnings({**HEALTHY, **sick})) for _ in range(5)) == 1


def test_a_tick_without_a_grid_does_not_end_a_standstill():
    health = Health(True)
    records = [{**HEALTHY, "grid_change": 0.1}, {"real_variety": 0.5, "fake_variety": 0.45}]
    found = [health.warnings(records[tick % 2]) for tick in range(20)]
    assert [tick for tick, lines in enumerate(found) if lines] == [8]


def test_four_ticks_are_no_symptom_nor_are_unbounded_scores():
    health = Health(scores_are_logits=False)
    for tick in range(20):
        collapsed = {"fake_variety": 0.0} if tick % 5 else {}
        assert health.warnings({**HEALTHY, **collapsed, "fake_score": -900.0}) == []
    assert Health(True).warnings({}) == []


def test_a_run_whose_generator_has_collapsed_says_so(tmp_path):
    """Its pictures are all the same, as no feature reaches them; steps of 1e-30 keep it so."""
    data_dir = write_images(tmp_path / "data", resolution=4)
    config = tiny_config(data_dir, tmp_path / "run", resolution=4)
    networks = config.network_configs(4, 3)
    generator, discriminator = Generator(networks[0]), Discriminator(networks[1])
    layer = generator.synthesis.to_rgb["4x4"]
    layer.weight.assign(np.zeros(layer.weight.shape))
    save_networks(tmp_path / "collapsed.npz", Networks(generator, discriminator, None, {}))
    schedule = {"learning_rate": 1e-30, "tick_kimg": {4: 0.016}}
    options = {"resolution": 4, "total_kimg": 0.112, "init_from": str(tmp_path / "collapsed.npz"), "image_ticks": 1}
    lines = []
    train(tiny_config(data_dir, tmp_path / "run", schedule, **options), note=lines.append)
    assert sum("looks collapsed" in line for line in lines) == 1
    assert sum("hardly change" in line for line in lines) == 1
    healthy = []
    train(tiny_config(data_dir, tmp_path / "healthy", {"tick_kimg": {4: 0.016}}, **{**options, "init_from": None}),
          note=healthy.append)  # fmt: skip
    assert not any("looks collapsed" in line for line in healthy)
