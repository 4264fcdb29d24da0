"""Networks that were trained on letterboxed pictures give pictures without bars."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.networks.network_file import Networks, save_networks
from tests.helpers import tiny_networks


@pytest.mark.end_to_end
def test_the_content_box_of_the_network_file_is_cut_out(tmp_path):
    generator, _ = tiny_networks.generator()  # 8x8
    metadata = {"content_box": [0.0, 0.25, 1.0, 0.75]}
    save_networks(tmp_path / "net.npz", Networks(None, None, generator, metadata))
    pictures = []
    command = [sys.executable, "-m", "stylegan_tf.generate", "--network", str(tmp_path / "net.npz"), "--seeds=3"]
    for crop in ("--crop", "--nocrop"):
        done = subprocess.run([*command, crop, f"--outdir={tmp_path / crop[2:]}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        pictures.append(np.asarray(Image.open(tmp_path / crop[2:] / "seed0003.png")))
    cropped, whole = pictures
    assert whole.shape == (8, 8, 3)
    np.testing.assert_array_equal(cropped, whole[2:6])
