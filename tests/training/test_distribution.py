"""Which strategy --strategy and the environment give, where no second machine is needed to tell."""

import json

import pytest
import tensorflow as tf

from stylegan_tf.errors import UserError
from stylegan_tf.training.distribution import create_strategy

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


def test_a_tpu_needs_a_name():
    with pytest.raises(UserError, match="--tpu=NAME"):
        create_strategy("tpu")
