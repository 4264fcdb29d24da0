"""The export command; `serving/test_served` exports and serves with it."""

import os
import re
import subprocess
import sys

import pytest

from stylegan_tf.files.arrays import write_arrays
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, save_networks
from tests.helpers import tiny_networks


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--saved_model_dir=out"], "--network is missing: give a network file, a run folder"),
        (["--network=net.npz"], "--saved_model_dir is missing: give a folder of versions"),
        (["--network=net.npz", "--format=onnx"], "--dest is missing: give a folder for the files"),
        (
            ["--network=net.npz", "--format=onnx", "--dest=out", "--weights=bfloat16"],
            "--format=onnx stores --weights as one of float32, float16, got bfloat16",
        ),
        (
            ["--network=net.npz", "--format=onnx", "--dest=out", "--noconstants", "--bad_rows=mark"],
            "--constants has no effect without --format=saved_model",
        ),
        (["--network=net.npz", "--format=web", "--dest=out"], "--ort_dir is missing: unpack the npm package"),
        (["--network=none.npz", "--saved_model_dir=out"], "none.npz does not exist"),
        (
            ["--network=net.npz", "--saved_model_dir=out", "--truncation_cutoff=-1"],
            "truncation_cutoff must be at least 0",
        ),
        (["--network=box.npz", "--saved_model_dir=out"], r"metadata are damaged: content_box is \[0.5, 0, 0.5, 1\]"),
    ],
)
def test_what_cannot_be_exported_is_reported_and_leaves_nothing(tmp_path, arguments, message):
    generator, _ = tiny_networks.generator()
    save_networks(tmp_path / "net.npz", Networks(None, None, generator, {}))
    description = {"format_version": 1, "metadata": {"content_box": [0.5, 0, 0.5, 1]}}
    description["generator_ema"] = generator.config.to_dict()
    arrays = {f"generator_ema/{name}": value.numpy() for name, value in named_variables(generator).items()}
    write_arrays(tmp_path / "box.npz", "architecture", description, arrays)
    command = [sys.executable, "-m", "stylegan_tf.export", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1 and re.search(message, result.stderr.splitlines()[-1]), result.stderr
    assert not any(name.isdecimal() for _, folders, _ in os.walk(tmp_path) for name in folders)
