"""The program in a process of its own, and the networks that it serves."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers import tiny_networks as tiny

# The program as it is, but for connections to other machines, which are said and fail.
_SEALED = """
import runpy, socket, sys
connect = socket.socket.connect
def only_here(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        print("REACHED OUT", address, flush=True)
        raise OSError("sealed")
    return connect(self, address)
socket.socket.connect = only_here
runpy.run_module("stylegan_tf.explore", run_name="__main__", alter_sys=True)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


class Program:
    """`explore` with these flags, in a folder that is its folder for temporary files, too."""

    def __init__(self, folder, *flags):
        (folder / "tmp").mkdir(exist_ok=True)
        self.folder, self._log = folder, folder / f"log-{time.monotonic()}.txt"
        with open(self._log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SEALED, *flags, "--nobrowser", "--port=0"],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**ENVIRONMENT, "TMPDIR": str(folder / "tmp")},
            )

    @property
    def log(self):
        return self._log.read_text()

    def address(self):
        """What it says as soon as it is there."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http://\S+", self.log)
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"it does not serve: {self.log}")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        return self.process.returncode


@pytest.fixture(scope="session")
def networks(tmp_path_factory):
    """A folder with directions.npz and `networks`: classes, its relative, growing and large (.npz)."""
    from stylegan_tf.editing.directions import Directions, save_directions
    from stylegan_tf.networks.growth import Growth
    from stylegan_tf.networks.network_file import Networks, save_networks

    folder = tmp_path_factory.mktemp("explore")
    (folder / "networks").mkdir()
    names = {"label_names": ["cat", "dog", "owl"]}
    for name, options, metadata in (
        ("classes", {"resolution": 16, "label_size": 3}, names),
        ("classes_relative", {"resolution": 16, "label_size": 3, "seed": 5}, names),
        ("growing", {"resolution": 32, "growth": Growth(16, 0.5)}, {}),
        ("large", {"resolution": 256, "fmap_base": 512}, {}),
    ):
        generator, _ = tiny.generator(**{"seed": 4, **options})
        for to_rgb in generator.synthesis.to_rgb.values():
            for variable in to_rgb.weights:
                variable.assign(variable * 0.2)  # Not all black and white.
        save_networks(folder / "networks" / f"{name}.npz", Networks(None, None, generator, metadata))
    vectors = np.concatenate([np.eye(7), np.ones([5, 7]) + np.eye(5, 7)])
    names = [f"way{index}" for index in range(12)]
    save_directions(folder / "directions.npz", Directions.from_vectors(names, vectors, tiny.normal(50, 7), (0, 6)), {})
    return folder
