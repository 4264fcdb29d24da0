"""Gradient accumulation changes memory, not numbers."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import ScheduleConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.networks.layers.progan import MinibatchStddev
from stylegan_tf.training.gradients import accumulated
from stylegan_tf.training.schedule import accumulation_rounds
from tests.helpers.tiny_run import write_images
from tests.helpers.tiny_step import run
from tests.helpers.two_replicas import two_replicas


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny"))


@pytest.fixture(scope="module")
def whole(info):
    return run(info, **OPTIONS)


# A large epsilon keeps Adam's steps proportional to the gradients; see test_step.py.
OPTIONS = {"iterations": 2, "adam_epsilon": 0.1, "batch_size": 16, "resolution": 4, "losses": {"r2_gamma": 1.0}}


@pytest.mark.parametrize("replicas", [1, 2])
def test_rounds_add_up_to_the_undivided_batch(info, whole, replicas):
    """Both losses, R1 and R2, minibatch statistics, w_avg: 4 rounds of 4 images, or 2 of 4 on each of two replicas."""
    strategy = two_replicas() if replicas == 2 else None
    metrics, arrays = run(info, strategy=strategy, schedule={"max_replica_batch": {4: 4}}, **OPTIONS)
    assert metrics == pytest.approx(whole[0], rel=1e-4)
    for name, value in whole[1].items():
        np.testing.assert_allclose(arrays[name], value, atol=1e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_groups_of_the_minibatch_statistics_stay_whole(jit_compile):
    layer = MinibatchStddev(group_size=4)
    images = tf.constant(np.random.RandomState(0).randn(24, 2, 2, 3), tf.float32)

    def sums(inputs, factor):
        x, none = inputs
        assert none is None and x.shape[0] is not None
        return {"statistics": tf.reduce_sum(layer(x)[..., -1] ** 2) * factor, "images": tf.shape(x)[0]}

    @tf.function
    def result(rounds):
        return accumulated(sums, rounds, jit_compile)((images, None), tf.constant(2.0))

    expected = float(result(1)["statistics"])
    assert not np.isclose(expected, float(2 * tf.reduce_sum(layer(images[::-1][:12])[..., -1] ** 2)))
    for rounds in (1, 2, 3, 6):
        values = result(rounds)
        assert int(values["images"]) == 24
        assert float(values["statistics"]) == pytest.approx(expected, rel=1e-6)


def test_the_fewest_rounds_that_fit_are_taken():
    def rounds(resolution, share, group_size=4, table=None):
        schedule = ScheduleConfig(max_replica_batch={16: 8, 64: 3} if table is None else table)
        return accumulation_rounds(resolution, schedule, share, group_size)

    assert accumulation_rounds(64, ScheduleConfig(), 128, 4) == 1
    assert rounds(8, 128) == 1, "below the first entry of the table"
    assert rounds(16, 8) == 1 and rounds(16, 16) == 2 and rounds(32, 64) == 8
    assert rounds(16, 24) == 3 and rounds(16, 20) == 5, "whole groups of 4: 8 + 8 + 8, and 5 times 4"
    assert rounds(16, 10, group_size=0) == 2, "no groups: 5 + 5"
    assert rounds(64, 3) == 1 and rounds(64, 2) == 1, "one group of fewer than 4"


def test_a_limit_below_one_group_is_refused():
    with pytest.raises(UserError, match=r"max_replica_batch: 8 images a replica at 64x64.*at most 3.*at least 4"):
        accumulation_rounds(64, ScheduleConfig(max_replica_batch={64: 3}), 8, 4)
