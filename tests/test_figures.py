"""`figures`, `mix` and `interpolate` as a user runs them, on networks of every kind."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.files.dlatents import save_dlatents
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.interpolation import LatentWalk, walk_frames
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.style_mixing import mixing_picture, style_mixing_figure
from tests.helpers import tiny_networks as tiny

pytestmark = pytest.mark.end_to_end
BOX = [0.0, 0.25, 1.0, 0.75]


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    """(file, generator) of a gray, conditional network, trained on letterboxed pictures, saved while it grew."""
    generator, _ = tiny.generator(num_channels=1, label_size=3, resolution=32, growth=Growth(16, 0.25))
    path = tmp_path_factory.mktemp("network") / "net.npz"
    save_networks(path, Networks(None, None, generator, {"content_box": BOX}))
    return path, generator


def _run(main, network, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", f"stylegan_tf.{main}", "--network", str(network), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def _painter(generator, **options):
    label = np.array([0, 0, 1], np.float32)
    return Painter(generator, label, BOX, Truncation(0.5, 8, "class"), **options)


def _picture(path):
    return np.asarray(Image.open(path))


def test_a_figure_of_a_gray_conditional_letterboxed_growing_network(gray, tmp_path):
    output = tmp_path / "new" / "figure.png"
    arguments = ["--figure=style_mixing", "--class=2", "--truncation_psi=0.5", "--seeds=0-2", "--seeds_b=5,6"]
    done = _run("figures", gray[0], *arguments, f"--output={output}")
    assert (done.returncode, done.stdout) == (0, f"{output}\n"), done.stderr
    np.testing.assert_array_equal(_picture(output), style_mixing_figure(_painter(gray[1]), [0, 1, 2], [5, 6]))


def test_mixing_with_layers_by_number(gray, tmp_path):
    output = tmp_path / "mix.png"
    painter = _painter(gray[1], noise_mode="none")
    ws = painter.dlatents(painter.latents([0, 1, 5]))
    save_dlatents(tmp_path / "w.npz", ws.shape, [ws])
    columns = f"--cols={tmp_path / 'w.npz'}:2"  # Seed 5's.
    arguments = ["--class=2", "--truncation_psi=0.5", "--rows=0,1", columns, "--styles=0-1,4", "--scale=2"]
    done = _run("mix", gray[0], *arguments, "--noise_mode=none", f"--output={output}")
    assert done.returncode == 0, done.stderr
    expected = mixing_picture(painter, ws[:2], ws[2:], [0, 1, 4], "Styles from B: 0-1, 4", scale=2)
    np.testing.assert_array_equal(_picture(output), expected)


def test_mixing_the_images_of_a_file_needs_no_class(gray, tmp_path):
    file, output = tmp_path / "w.npz", tmp_path / "mix.png"
    ws = _painter(gray[1]).dlatents(_painter(gray[1]).latents([0, 1]))
    save_dlatents(file, ws.shape, [ws])
    done = _run("mix", gray[0], f"--rows={file}:0", f"--cols={file}:1", f"--output={output}")
    assert done.returncode == 0 and output.exists(), done.stderr


def test_interpolating_a_traditional_network(tmp_path):
    generator, _ = tiny.generator(3, **tiny.ROWS["a"])
    save_networks(tmp_path / "net.npz", Networks(None, None, generator, {}))
    output = tmp_path / "walk.webp"
    arguments = ["--seeds=0-3", "--grid=2x1", "--space=z", "--seconds=1", "--fps=6", "--scale=8"]
    done = _run("interpolate", tmp_path / "net.npz", *arguments, f"--output={output}")
    assert done.returncode == 0 and "6/6 frames  100%" in done.stderr, done.stderr
    painter = Painter(generator)
    z = painter.latents([0, 1, 2, 3])
    frames = walk_frames(painter, [LatentWalk(painter, z[:2]), LatentWalk(painter, z[2:])], 6, columns=2, scale=8)
    with Image.open(output) as picture:
        assert (picture.n_frames, picture.size) == (6, (128, 64))
        for index, frame in enumerate(frames):
            picture.seek(index)
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - frame).mean() < 12  # Lossy.


@pytest.mark.parametrize(
    "main, arguments, message",
    [
        ("figures", [], "--figure is missing: give one of uncurated, style_mixing"),
        (
            "figures",
            ["--figure=truncation", "--rows=2"],
            "--rows has no effect without --figure=uncurated: leave it out",
        ),
        ("figures", ["--figure=truncation", "--move=pca1=2"], "unknown flag --move"),
        ("mix", ["--cols=x"], "--cols takes seeds like 0-3,7 and files"),
        (
            "mix",
            ["--rows=w.npz", "--cols=w.npz:0", "--class=1"],
            "--class has no effect without seeds or dlatents with",
        ),
        ("interpolate", ["--keys=w.npz@0.5,3@1", "--truncation_psi=0"], "--truncation_psi has no effect without seeds"),
        ("interpolate", ["--keys=1,2", "--seeds=3"], "give one of them"),
        ("interpolate", ["--keys=1,w.npz", "--space=z"], "files of dlatents are in w"),
        ("interpolate", ["--output=x.avi"], "x.avi: the name of an animation must end in .webp, .gif, .mp4"),
        ("interpolate", ["--grid=0x2"], "--grid takes columns x rows like 3x2, got '0x2'"),
        (
            "interpolate",
            ["--grid=200x1", "--scale=3", "--seeds=0-399"],
            "19,200 x 96 pixels, .webp holds 16,383",
        ),
        ("interpolate", ["--fps=0"], "--fps must be above 0"),
        ("figures", ["--figure=truncation", "--output=x.pdf"], "x.pdf: the name of a picture must end in .png"),
        ("mix", ["--output=x.pdf"], "x.pdf: the name of a picture must end in .png"),
        ("figures", ["--figure=truncation"], "nowhere.npz does not exist"),
    ],
)
def test_mistakes_are_reported_in_one_line(main, arguments, message):
    done = _run(main, "nowhere.npz" if "nowhere" in message else "demo", *arguments)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith("error: ") and message in last
    assert "Traceback" not in done.stderr


def test_a_walk_from_class_to_class_passes_the_images_of_each(gray, tmp_path):
    output = tmp_path / "walk.webp"
    arguments = ["--class=2,0", "--seeds=5", "--truncation_psi=0.5", "--seconds=1", "--fps=4", "--scale=4"]
    done = _run("interpolate", gray[0], *arguments, f"--output={output}")
    assert done.returncode == 0, done.stderr
    with Image.open(output) as picture:
        for frame, label in ((0, 2), (2, 0)):
            picture.seek(frame)
            one = _painter(gray[1]).with_label(np.eye(3, dtype=np.float32)[label])
            expected = one.pictures(one.dlatents(one.latents([5])))[0].repeat(4, axis=0).repeat(4, axis=1)
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - expected).mean() < 12  # Lossy.
