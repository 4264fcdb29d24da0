"""`directions` as a user runs it, and what `generate` makes of its file."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.editing.directions import load_directions
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from tests.helpers import tiny_networks as tiny

pytestmark = pytest.mark.end_to_end


def _run(module, *arguments):
    command = [sys.executable, "-m", f"stylegan_tf.{module}", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_directions_of_every_method_move_generated_images(tmp_path):
    generator, _ = tiny.generator(label_size=2, num_channels=1)
    network, file, classifiers = (tmp_path / name for name in ("net.npz", "directions.npz", "classifiers"))
    save_networks(network, Networks(None, None, generator, {}))
    classifiers.mkdir()
    classifier, _ = tiny.discriminator(num_channels=1, mbstd_group_size=0)
    save_networks(classifiers / "hat.npz", Networks(None, classifier, None, {"attribute": "hat"}))

    common = (f"--network={network}", "--class=1")
    options = (f"--output={file}", "--count=2", f"--classifiers={classifiers}", "--samples=500", "--seeds=0,1")
    done = _run("directions", *common, *options, "--method=pca,sefa,attributes", "--layers=middle", "--amounts=-1,1")
    assert done.returncode == 0, done.stderr
    directions = load_directions(file, 4, 7)
    assert directions.names == ("pca1", "pca2", "sefa1", "sefa2", "hat")
    assert directions.layers.tolist() == [[2, 4]] * 5
    with Image.open(file.with_suffix(".png")) as picture:
        assert picture.height > 10 * 128 and picture.width > 2 * 128  # A row for each of both seeds.

    moves = "--move=hat=1.5,pca2=-1"
    done = _run("generate", *common, "--seeds=3", f"--outdir={tmp_path}", f"--directions={file}", moves)
    assert done.returncode == 0, done.stderr
    painter = Painter(generator, np.float32([0, 1]), truncation=Truncation(0.7, 8, "class"))
    ws = painter.dlatents(painter.latents([3]))
    moved = ws + directions.offset({"hat": 1.5, "pca2": -1}, 4)
    expected = painter.pictures(moved)[0, ..., 0]
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "seed0003.png")), expected, atol=1)
    assert (painter.pictures(ws)[0, ..., 0] != expected).any()


def test_a_file_that_the_picture_would_replace_is_refused(tmp_path):
    done = _run("directions", "--network=demo", f"--output={tmp_path / 'd.png'}")
    assert done.returncode == 1 and "--output must end in .npz" in done.stderr.splitlines()[-1]


def test_a_move_without_directions_is_told_in_one_line(tmp_path):
    done = _run("generate", "--network=demo", "--move=hat=1", f"--outdir={tmp_path}")
    assert done.returncode == 1 and "go together" in done.stderr.splitlines()[-1]
