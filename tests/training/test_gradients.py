"""What the gradients of a step are of."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import LossConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.training.step import TrainingStep, build_iteration
from tests.helpers.tiny_run import write_images
from tests.helpers.tiny_step import build, inputs

STRATEGY = tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """(dataset, function that starts its batches of 8 at 4x4)."""
    info = find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny"))
    return info, lambda: training_batches(STRATEGY, info, 4, 8, seed=3)


def discriminator_step(batches, images_seen, **losses):
    """(gradients, metrics) of one step on the first batch.

    With beta1 = 0 Adam's first moment is the last gradient; with a rate of 0 the weights stay as they are.
    """
    info, start = batches
    config, state = build(info, losses=losses, adam_beta1=0.0)
    step = TrainingStep(config, state, resolution=4, batch_size=8)
    metrics = STRATEGY.run(step.train_discriminator, args=(next(start()), inputs(images_seen, learning_rate=0.0)))
    adam = state.discriminator_adam.variables
    return {name: variable.numpy() for name, variable in adam.items() if name.startswith("m/")}, metrics


def test_lazy_r1_is_as_many_times_as_strong_in_every_third_iteration(batches):
    """gamma 2 in every 3rd iteration is gamma 6 there, and 0 at all others; at 8 images each, 0 and 24 are due."""
    for images_seen, gamma in [(0, 6.0), (8, 0.0), (16, 0.0), (24, 6.0)]:
        lazy, metrics = discriminator_step(batches, images_seen, r1_gamma=2.0, r2_gamma=1.0, r1_interval=3)
        plain, expected = discriminator_step(batches, images_seen, r1_gamma=gamma, r2_gamma=gamma / 2)
        for name, value in plain.items():
            np.testing.assert_allclose(lazy[name], value, rtol=1e-5, atol=1e-6, err_msg=f"{name}, {images_seen}")
        assert float(metrics["d_loss"]) == pytest.approx(float(expected["d_loss"]), rel=1e-5)
        if gamma:
            assert float(metrics["r1"]) == pytest.approx(float(expected["r1"]), rel=1e-5)
        else:
            assert np.isnan(metrics["r1"]) and "r1" not in expected


def test_the_highest_resolutions_of_the_discriminator_keep_their_weights(tmp_path):
    info = find_dataset(write_images(tmp_path / "tiny", resolution=8))
    config, state = build(info, freeze_d=1, init_from="net.npz")
    before = {name: variable.numpy() for name, variable in state.variables["discriminator"].items()}
    step = TrainingStep(config, state, resolution=8, batch_size=8)
    batch = next(training_batches(STRATEGY, info, 8, 8, seed=3))
    STRATEGY.run(step.train_discriminator, args=(batch, inputs(alpha=0.5)))
    for name, variable in state.variables["discriminator"].items():
        assert np.array_equal(variable, before[name]) == name.startswith("8x8/"), name


def test_freezing_the_whole_discriminator_is_refused():
    config = TrainConfig(data_dir="d", run_dir="r", freeze_d=2, init_from="net.npz")
    with pytest.raises(UserError, match="freeze_d 2 leaves nothing of the discriminator to train: it has 2 resol"):
        config.network_configs(8, 3)


def test_lazy_r1_is_traced_once_and_reported_where_it_was_computed(batches):
    info, start = batches
    config, state = build(info, losses={"r1_interval": 3})
    run = build_iteration(config, state, STRATEGY, 4, 8)
    # Every call starts the data anew: each iteration has the first batch.
    reports = [run(start(), inputs(seen, learning_rate=0.0)) for seen in (24, 32, 40, 48)]
    assert run.experimental_get_tracing_count() == 1
    assert float(reports[3]["r1"]) == pytest.approx(float(discriminator_step(batches, 0)[1]["r1"]), rel=1e-4)
    assert [bool(np.isfinite(report["r1"])) for report in reports] == [True, False, False, True]
    assert all(np.isfinite(report["d_loss"]) for report in reports)


def test_an_interval_without_anything_to_regularise_is_refused():
    with pytest.raises(UserError, match="r1_interval 16 needs `r1_gamma` or `r2_gamma`"):
        LossConfig(r1_interval=16, r1_gamma=0.0)
    with pytest.raises(UserError, match="r1_interval must be at least 1, got 0"):
        LossConfig(r1_interval=0)
