"""Exports that the tests of servers and of other readers share."""

import subprocess
import sys

import pytest

from stylegan_tf.serving.saved_model import export_generator
from tests.helpers.exported_models import ENVIRONMENT, NAMES, ROOT, make_networks


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    return make_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="session")
def exports(models, tmp_path_factory):
    """A folder with one folder per model. One of them is written by the command, as a user does."""
    root = tmp_path_factory.mktemp("saved_models")
    for name in NAMES[:-1]:
        export_generator(models[name].generator, root / name, metadata=models[name].metadata)
    command = [sys.executable, "-m", "stylegan_tf.export", "--network", str(models["letterboxed"].path)]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    (root / "letterboxed" / "1").mkdir(parents=True)  # An older version.
    done = subprocess.run(
        [*command, f"--saved_model_dir={root / 'letterboxed'}"], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, str(root / "letterboxed" / "2")), done.stderr
    (root / "letterboxed" / "1").rmdir()
    return root
