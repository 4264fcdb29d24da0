"""`python -m stylegan_tf.evaluate` with files of LPIPS and of classifiers, as a user calls it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.metrics.context import MetricContext
from stylegan_tf.metrics.features.image_distance import convert_weights, load_lpips, save_lpips
from stylegan_tf.metrics.kinds.path_length import PathLengthProtocol, perceptual_path_length
from stylegan_tf.networks.network_file import Networks, save_networks
from tests.helpers import lpips_case
from tests.helpers import tiny_networks as tiny


def run(*flags):
    command = [sys.executable, "-m", "stylegan_tf.evaluate", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.end_to_end
def test_path_length_and_separability_from_files(tmp_path):
    generator, _ = tiny.generator(resolution=32)
    save_networks(tmp_path / "network.npz", Networks(None, None, generator, {"kimg": 3.0}))
    save_lpips(tmp_path / "lpips.npz", convert_weights(*lpips_case.weights(np.random.RandomState(0))))
    (tmp_path / "classifiers").mkdir()
    classifier = tiny.discriminator(resolution=16, mbstd_group_size=0)[0]
    save_networks(tmp_path / "classifiers" / "hat.npz", Networks(None, classifier, None, {}))
    result = run(
        f"--network={tmp_path / 'network.npz'}", "--metrics=ppl10_wend_face,ls60", f"--cache_dir={tmp_path / 'cache'}",
        f"--image_distance={tmp_path / 'lpips.npz'}", f"--classifiers={tmp_path / 'classifiers'}", "--seed=4",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "metric-ppl10_wend_face.jsonl").read_text())
    protocol = PathLengthProtocol("w", "end", num_pairs=10, face_crop=True)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    context = MetricContext(generator, strategy, 4, tmp_path, distance=load_lpips(tmp_path / "lpips.npz"))
    expected = perceptual_path_length(context, protocol)
    assert record["results"]["ppl"] == pytest.approx(expected.mean, rel=1e-3) and record["kimg"] == 3.0
    (file,) = tmp_path.glob("metric-ls60-1attributes-*.jsonl")
    scores = json.loads(file.read_text())
    assert 1 <= scores["results"]["w"] <= 2 and 1 <= scores["results"]["z"] <= 2
    assert scores["attributes"]["hat"].keys() == {"z", "w", "share"}


def test_what_is_missing_is_told_in_one_line(tmp_path):
    generator, _ = tiny.generator(resolution=4)
    save_networks(tmp_path / "network.npz", Networks(None, None, generator, {}))
    result = run(f"--network={tmp_path / 'network.npz'}", "--metrics=ppl10_wend", f"--image_distance={tmp_path / 'x'}")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "x does not exist: make one with python -m stylegan_tf.build_lpips" in result.stderr
