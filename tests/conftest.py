"""Shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # Before anything imports TensorFlow.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As in the commands.


def pytest_sessionstart():
    """Two logical CPUs, for the tests with two replicas; it must happen before TensorFlow runs anything."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of numbers computed by the authors' implementation, beside the checkout; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"the reference numbers are not here ({folder})")
    return folder


@pytest.fixture(scope="module")
def bucket():
    """The environment variables that lead to a server on loopback with an empty bucket; they are set."""
    from tests.helpers.object_store import BUCKET, environment, s3_server

    with s3_server() as variables, environment(variables):
        import s3fs

        s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
        yield variables
