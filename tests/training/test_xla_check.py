"""--jit_compile changes the speed, not the numbers."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.training.step import check_jit_compile
from tests.helpers.tiny_run import write_images
from tests.helpers.tiny_step import run
from tests.helpers.two_replicas import two_replicas


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny"))


def test_compiled_steps_compute_what_plain_ones_compute(info):
    """The same weights after three iterations, two replicas with compiled steps against one device without."""
    # A large epsilon keeps Adam's steps proportional to the gradients; see test_step.py.
    options = {"iterations": 3, "adam_epsilon": 0.1, "resolution": 4, "generator": {"mapping_layers": 1}}
    metrics, plain = run(info, **options)
    two = two_replicas()
    metrics_of_compiled, compiled = run(info, strategy=two, jit_compile=True, **options)
    assert metrics_of_compiled == pytest.approx(metrics, rel=1e-4)
    for name, value in plain.items():
        np.testing.assert_allclose(compiled[name], value, atol=1e-5, rtol=1e-5, err_msg=name)


def test_devices_without_xla_are_named(monkeypatch):
    def failing(function=None, jit_compile=None, **_options):
        def call(*_args):
            assert jit_compile
            raise tf.errors.UnimplementedError(None, None, "no XLA compiler for this device\nand more")

        return call if function is not None else lambda function: call

    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    check_jit_compile(strategy)
    monkeypatch.setattr(tf, "function", failing)
    with pytest.raises(UserError, match=r"XLA does not work on .*CPU:0 \(no XLA compiler for this device\). Leave"):
        check_jit_compile(strategy)
