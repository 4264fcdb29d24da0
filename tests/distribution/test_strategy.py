"""Which strategy --strategy and the environment give, where no second machine is needed to tell."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution import strategy
from stylegan_tf.distribution.processes import Cluster
from stylegan_tf.distribution.rendezvous import rendezvous
from stylegan_tf.distribution.strategy import create_strategy
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, TrainingStep
from tests.helpers.tiny_run import tiny_config

TWO = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
ALONE = {"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}


@pytest.fixture(autouse=True)
def no_cluster_of_the_surroundings(monkeypatch):
    for name in ("TF_CONFIG", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_auto_is_one_device_without_gpus():
    if tf.config.list_logical_devices("GPU"):
        pytest.skip("this machine has GPUs")
    assert isinstance(create_strategy("auto"), tf.distribute.OneDeviceStrategy)


def test_a_cluster_of_one_process_is_no_cluster_to_auto(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(ALONE))
    assert not isinstance(create_strategy("auto"), tf.distribute.MultiWorkerMirroredStrategy)


def test_mirrored_takes_all_logical_cpus_where_there_is_no_gpu():
    if tf.config.list_logical_devices("GPU"):
        pytest.skip("this machine has GPUs")
    assert create_strategy("mirrored").num_replicas_in_sync == len(tf.config.list_logical_devices("CPU")) == 2


def test_multi_worker_without_a_cluster_is_refused():
    with pytest.raises(UserError, match="multi_worker needs the environment variable TF_CONFIG"):
        create_strategy("multi_worker")


@pytest.mark.parametrize("name", ["one", "mirrored", "tpu"])
def test_processes_that_would_not_know_of_each_other_are_refused(monkeypatch, name):
    monkeypatch.setenv("TF_CONFIG", json.dumps(TWO))
    with pytest.raises(UserError, match=f"strategy {name} is for one process, but TF_CONFIG names 2"):
        create_strategy(name)


def test_a_process_that_vanishes_after_the_rendezvous_is_not_waited_for_without_end():
    """TensorFlow waits for an hour, holds Python's lock, and swallows SIGTERM."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("localhost", 0))
        addresses = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    description = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    code = (
        "from stylegan_tf.distribution import strategy; strategy._CONNECT_TIMEOUT = 5.0;"
        "strategy.create_strategy('multi_worker', note=print)"
    )
    variables = {**os.environ, "TF_CONFIG": json.dumps(description), "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen([sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True) as process:
        rendezvous(Cluster(tuple(addresses), 1), strategy._versions())
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "exits after 5 s" in out


def test_a_tpu_needs_a_name():
    with pytest.raises(UserError, match="tpu=NAME"):
        create_strategy("tpu")


def test_a_whole_iteration_compiles_with_xla():
    """As TPUs demand: no shape depends on data, and XLA knows every operation."""
    config = tiny_config("unused", "unused")
    state = TrainState(config, *config.network_configs(4, 3))
    step = TrainingStep(config, state, resolution=4, batch_size=4)
    images = tf.constant(np.random.RandomState(0).randint(0, 256, [4, 4, 4, 3]), tf.uint8)
    reals = tf.cast(images, tf.float32) / 127.5 - 1.0
    expected = np.mean(state.discriminator(reals))
    before = state.generator_variables["mapping/dense0/weight"].numpy()

    @tf.function(jit_compile=True)
    def iteration(images, inputs):
        metrics = step.train_discriminator({"images": images, "labels": tf.zeros([4, 0])}, inputs)
        step.update_average(tf.constant(0, tf.int64))
        return {**metrics, **step.train_generator({"images": images, "labels": tf.zeros([4, 0])}, inputs)}

    metrics = iteration(images, StepInputs(tf.constant(0, tf.int64), tf.constant(1.0), tf.constant(0.001)))
    assert all(np.isfinite(value) for value in metrics.values())
    assert float(metrics["real_score"]) == pytest.approx(expected, abs=1e-5)
    assert int(state.generator_adam.variables["steps"]) == int(state.discriminator_adam.variables["steps"]) == 1
    assert np.any(state.generator_variables["mapping/dense0/weight"] != before)
