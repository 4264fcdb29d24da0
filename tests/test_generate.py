"""`generate` as a user runs it: folders, zip files, going on, styles in files."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Sampler, seed_latents
from tests.helpers import tiny_networks as tiny

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    generator, _ = tiny.generator(num_channels=1, label_size=3)
    path = tmp_path_factory.mktemp("network") / "net.npz"
    save_networks(path, Networks(None, None, generator, {"label_names": ["cat", "dog", "owl"]}))
    return path, generator


def _generate(network, *arguments):
    command = [sys.executable, "-m", "stylegan_tf.generate", "--network", str(network[0]), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def _expected(generator, seeds, psi, label):
    sampler = Sampler(generator, Truncation(psi, 8, "class"))
    z = seed_latents(seeds, 5)
    return np.concatenate(list(sampler.images(z, np.tile(np.eye(3, dtype=np.float32)[label], [len(z), 1]))))


def _picture(path):
    return np.asarray(Image.open(path))


def test_a_folder_of_gray_conditional_images_is_continued(network, tmp_path):
    out, styles = tmp_path / "out", tmp_path / "w.npz"
    done = _generate(network, "--class=dog", "--seeds=0-2", f"--outdir={out}", f"--save_dlatents={styles}")
    assert done.returncode == 0, done.stderr
    images = _expected(network[1], range(5), 0.7, label=1)[..., 0]
    for seed in range(3):
        np.testing.assert_array_equal(_picture(out / f"seed{seed:04d}.png"), images[seed])
    with np.load(styles, allow_pickle=False) as data:
        assert data["dlatents"].shape == (3, 4, 7)  # Four layers at 8x8, w of 7 numbers.

    # As if interrupted: one image is gone; one is marked by its time, to see that it stays.
    (out / "seed0001.png").unlink()
    os.utime(out / "seed0002.png", (77, 77))
    done = _generate(network, "--class=dog", "--seeds=0-4", f"--outdir={out}")
    assert done.returncode == 0 and "5/5 images" in done.stderr, done.stderr
    np.testing.assert_array_equal(_picture(out / "seed0001.png"), images[1])
    np.testing.assert_array_equal(_picture(out / "seed0004.png"), images[4])
    assert (out / "seed0002.png").stat().st_mtime == 77
    options = [json.loads(line).get("options") for line in (out / "images.jsonl").read_text().splitlines()]
    assert [entry["truncation_psi"] for entry in options if entry] == [0.7, 0.7]


def test_styles_from_a_file_give_the_images_that_they_came_from_in_a_zip(network, tmp_path):
    ws = network[1].mapping_network(seed_latents([3, 4], 5), labels=np.eye(3, dtype=np.float32)[[2, 2]]).numpy()
    np.savez(tmp_path / "w.npz", dlatents=ws)  # [N, W]: the same w for every layer.
    arguments = (f"--dlatents={tmp_path / 'w.npz'}", f"--outdir={tmp_path / 'out.zip'}", "--format=webp", "--scale=2")
    done = _generate(network, *arguments, f"--grid={tmp_path / 'grid.png'}")
    assert done.returncode == 0, done.stderr
    grid = np.concatenate(list(_expected(network[1], [3, 4], 1.0, label=2)), axis=1)[..., 0]
    np.testing.assert_array_equal(_picture(tmp_path / "grid.png"), grid.repeat(2, axis=0).repeat(2, axis=1))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == ["image0000.webp", "image0001.webp", "images.jsonl"]
        with Image.open(archive.open("image0001.webp")) as picture:
            assert (picture.format, picture.size) == ("WEBP", (16, 16))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.png", "out.zip", "w.npz"]


@pytest.mark.parametrize("outdir", ["out", "out.zip"])
def test_a_grid_shows_the_images_of_the_files_also_of_those_that_were_there(network, tmp_path, outdir):
    arguments = ("--class=dog", "--noise_mode=random", f"--outdir={tmp_path / outdir}")
    assert _generate(network, *arguments, "--seeds=1").returncode == 0
    done = _generate(network, *arguments, "--seeds=0-2,0", f"--grid={tmp_path / 'grid.png'}", "--grid_columns=4")
    assert done.returncode == 0, done.stderr
    names = [f"seed{seed:04d}.png" for seed in (0, 1, 2, 0)]
    if outdir.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / outdir) as archive:
            images = [_picture(archive.open(name)) for name in names]
    else:
        images = [_picture(tmp_path / outdir / name) for name in names]
    grid = np.concatenate(images, axis=1)  # Enlarged to 128 pixels an image.
    np.testing.assert_array_equal(_picture(tmp_path / "grid.png"), grid.repeat(16, axis=0).repeat(16, axis=1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "nowhere to write to"),
        (
            ["--outdir=out", "--truncation_psi=1001"],
            "--truncation_psi=1001: 1001.0 is not a number in the range [-1000.0, 1000.0]",
        ),
        (["--grid=g.png", "--format=jpg"], "--format has no effect without --outdir"),
        (["--outdir=out", "--grid=g.pdf"], "g.pdf: the name of a picture must end in .png"),
        (["--class=cat", "--seeds=0-32", "--grid=g.webp", "--grid_columns=33", "--scale=64"], "16,896 x 512 pixels"),
        (["--outdir=out"], "choose with --class=NAME or =N; there are cat, dog, owl"),
        (["--outdir=out", "--dlatents=w.npz", "--truncation_psi=1"], "--truncation_psi does not go with --dlatents"),
    ],
)
def test_mistakes_are_told_in_one_line(network, arguments, message):
    done = _generate(network, *arguments)
    last = done.stderr.splitlines()[-1]  # Some versions of TensorFlow say something about GPUs before.
    assert done.returncode == 1 and last.startswith("error: ") and message in last
    assert "Traceback" not in done.stderr and "0000 00:00:" not in done.stderr  # Their C++ code's chatter.


def test_a_class_is_no_centre_of_truncation_without_labels():
    done = _generate(("demo",), "--truncation_centre=class", "--grid=g.png")
    assert "error: --truncation_centre has no effect without a network with labels" in done.stderr


def test_the_network_in_the_package_draws_figures_that_differ_from_seed_to_seed(tmp_path):
    """With bounds, not bits: a network file gives other roundings on other computers."""
    done = _generate(("demo",), "--seeds=0-7", "--truncation_psi=1", f"--outdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    pictures = np.stack([_picture(tmp_path / f"seed{seed:04d}.png") for seed in range(8)]).astype(float)
    assert pictures.shape == (8, 32, 32, 3)
    background, figure = pictures[:, 2:6, 1:5].mean(axis=(1, 2)), pictures[:, 10:18, 12:18].mean(axis=(1, 2))
    assert np.abs(background - figure).max(axis=-1).min() > 20  # A face stands out from a pale wall.
    assert background.min() > 120 and figure.std(axis=0).max() > 10  # Skins differ.


def test_several_classes_get_a_folder_each_with_the_images_of_each_alone(network, tmp_path):
    arguments = ("--scale=1", f"--outdir={tmp_path}", f"--grid={tmp_path / 'grid.png'}")
    done = _generate(network, "--class=owl,cat", "--seeds=1", *arguments)
    assert done.returncode == 0 and "2/2 images" in done.stderr, done.stderr
    images = [_expected(network[1], [1], 0.7, label)[0, ..., 0] for label in (2, 0)]
    for name, image in zip(("owl", "cat"), images):
        np.testing.assert_array_equal(_picture(tmp_path / name / "seed0001.png"), image)
    np.testing.assert_array_equal(_picture(tmp_path / "grid.png"), np.concatenate(images, axis=1))
