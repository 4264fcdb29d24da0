"""Gradient accumulation changes memory, not numbers."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import ScheduleConfig
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.networks.layers.progan import MinibatchStddev
from stylegan_tf.training.microbatches import accumulated
from stylegan_tf.training.schedule import split_replica_batch
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


WGAN_GP = {"generator_loss": "wgan", "discriminator_loss": "wgan", "r1_gamma": 0.0, "gp_lambda": 10.0}
SPLIT = {
    "1 image, R1 and R2": (1, {}),
    "1 image, compiled": (1, {"jit_compile": True, "losses": {}}),
    "2 images on each of 2 replicas, WGAN-GP": (2, {"strategy": two_replicas, "losses": WGAN_GP}),
    "cross-fade, ADA, R1 in every other iteration": (
        1,
        {"resolution": 8, "augment": "ada", "augment_p": 0.7, "losses": {"r1_interval": 2}},
    ),
}


@pytest.mark.parametrize("limit, options", SPLIT.values(), ids=SPLIT)
def test_rounds_smaller_than_a_group_of_the_minibatch_statistics_change_nothing(info, limit, options):
    """Groups of 4, so that R1 of one image depends on three others: gradients, and all that follows from them."""
    options = {**OPTIONS, "batch_size": 8, **options}
    strategy = options.pop("strategy", lambda: None)()
    metrics, expected = run(info, **options)
    split, arrays = run(info, strategy=strategy, schedule={"max_replica_batch": {4: limit}}, **options)
    assert split == pytest.approx(metrics, rel=1e-4, nan_ok=True)
    for name, value in expected.items():
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
        return split_replica_batch(resolution, schedule, share, group_size).count

    assert split_replica_batch(64, ScheduleConfig(), 128, 4).count == 1
    assert rounds(8, 128) == 1, "below the first entry of the table"
    assert rounds(16, 8) == 1 and rounds(16, 16) == 2 and rounds(32, 64) == 8
    assert rounds(16, 24) == 3 and rounds(16, 20) == 5, "whole groups of 4: 8 + 8 + 8, and 5 times 4"
    assert rounds(16, 10, group_size=0) == 2, "no groups: 5 + 5"
    assert rounds(64, 3) == 1 and rounds(64, 2) == 1, "one group of fewer than 4"


def test_groups_are_split_only_where_the_limit_is_below_one():
    def rounds(share, limit, group_size=4):
        return split_replica_batch(64, ScheduleConfig(max_replica_batch={64: limit}), share, group_size)

    assert rounds(8, 3) == (4, True) and rounds(8, 1) == (8, True) and rounds(3, 2) == (3, True)
    assert rounds(12, 6) == (3, False), "4 + 4 + 4, though 6 + 6 would be fewer"
    assert rounds(8, 1, group_size=0) == (8, False)
