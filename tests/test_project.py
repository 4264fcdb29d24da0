"""`project` as a user runs it: pictures of any kind, files that other commands take, going on."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.files.dlatents import load_dlatents, load_noise
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.visualize.painter import Painter
from tests.helpers import tiny_networks as tiny

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    generator, _ = tiny.generator(num_channels=1, label_size=3)
    path = tmp_path_factory.mktemp("network") / "net.npz"
    save_networks(path, Networks(None, None, generator, {}))
    return path, generator


def _project(network, *arguments):
    command = [sys.executable, "-m", "stylegan_tf.project", "--network", str(network[0]), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def _picture(path):
    return np.asarray(Image.open(path))


def test_a_folder_of_odd_pictures_is_projected_and_continued(network, tmp_path):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    Image.fromarray(np.uint8(np.random.RandomState(0).randint(0, 256, [9, 14, 4]))).save(pictures / "a.png")
    Image.fromarray(np.full([20, 11], 40000, np.uint16)).save(pictures / "b.png")
    options = (f"--target={pictures}", f"--outdir={out}", "--steps=4", "--optimize_noise", "--batch_size=1", "--video")
    done = _project(network, *options)
    assert done.returncode == 0 and "8/8 steps" in done.stderr, done.stderr

    assert _picture(out / "b" / "target.png").tolist() == np.full([8, 8], 156).tolist()
    assert _picture(out / "compared.png").shape == (16 * 16, 16 * 16)  # Of 8x8, enlarged.
    with Image.open(out / "a" / "projection.webp") as video:
        assert video.is_animated and video.size == (256, 128)
    # What generate makes of the file.
    painter = Painter(network[1], np.eye(3, dtype=np.float32)[0])
    for name in ("a", "b"):
        ws = load_dlatents(out / name / "dlatents.npz", *painter.dlatent_shape)
        noise = load_noise(out / name / "dlatents.npz", 1, painter.noise_shapes)
        (images,) = painter.image_batches(ws, noise=noise)
        np.testing.assert_allclose(_picture(out / name / "projected.png"), images[0, ..., 0], atol=1)
    assert load_dlatents(out / "dlatents.npz", *painter.dlatent_shape).shape == (2, 4, 7)
    for all_maps, maps_of_b in zip(load_noise(out / "dlatents.npz", 2, painter.noise_shapes), noise):
        np.testing.assert_array_equal(all_maps[1:], maps_of_b)

    # As if interrupted in the second picture.
    (out / "b" / "projection.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in (out / "a").iterdir()}
    done = _project(network, *options)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (out / "a").iterdir()} == before
    assert (out / "b" / "projection.json").is_file()


def test_a_missing_target_is_told_in_one_line(network, tmp_path):
    done = _project(network, f"--target={tmp_path / 'nowhere.png'}", f"--outdir={tmp_path}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "nowhere.png: there is no such file or folder" in done.stderr.splitlines()[-1]


def test_pictures_for_a_network_of_stretched_ones_are_stretched(network, tmp_path):
    save_networks(tmp_path / "wide.npz", Networks(None, None, network[1], {"aspect_ratio": 2.0}))
    picture = np.full([8, 16], 255, np.uint8)
    picture[:, :4] = 0
    Image.fromarray(picture).save(tmp_path / "quarter.png")
    out = tmp_path / "out"
    done = _project((tmp_path / "wide.npz",), f"--target={tmp_path / 'quarter.png'}", f"--outdir={out}", "--steps=1")
    assert done.returncode == 0, done.stderr
    assert (_picture(out / "target.png") < 128).any()  # The first quarter, which cropping cuts off, is there.
