"""The page's pictures are those of the rest of the package, whatever the controls say, from one trace."""

import io

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.editing.directions import Directions
from stylegan_tf.errors import UserError
from stylegan_tf.explorer.pictures import as_png, check_upload
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import View
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from tests.helpers import painters
from tests.helpers import tiny_networks as tiny


@pytest.fixture(scope="module")
def case():
    """(Renderer, its generator) of a network with two labels."""
    painter, generator = painters.painter(label_size=2)
    directions = Directions.from_vectors(["up"], np.eye(7)[:1], tiny.normal(50, 7), (2, 6))
    return Renderer(painter, directions), generator


def _close(picture, expected):
    assert picture.shape == expected.shape and np.abs(picture.astype(int) - expected).max() <= 1


def test_a_seed_is_the_picture_that_generate_makes(case):
    renderer, generator = case
    for view, mode in ((View(seed=3, label=1, psi=0.5, cutoff=2), "const"), (View(label=0, noise_mode="none"), "none")):
        label = np.eye(2, dtype=np.float32)[view.label]
        painter = Painter(generator, label, None, Truncation(view.psi, view.cutoff), mode)
        _close(renderer.picture(view), painter.pictures(painter.dlatents(painter.latents([view.seed])))[0])


def test_pictures_of_a_stretched_network_have_the_shape_that_generate_gives_them(case):
    _, generator = case
    painter = Painter(generator, np.float32([1, 0]), None, Truncation(0.7, 8), aspect_ratio=1.5)
    (expected,) = painter.pictures(painter.dlatents(painter.latents([3])))
    _close(Renderer(painter).picture(View(seed=3, label=0)), expected)
    assert expected.shape[1] * 2 == expected.shape[0] * 3


def test_dlatents_and_noise_of_a_view_make_its_picture(case):
    renderer, generator = case
    view = View(
        seed=1, label=0, position=(1.5, 0.25), mixed_groups=("middle",), mixed_seed=9, noise_mode="random",
        noise_seed=4, noise_strengths=(1.0, 0.0, 2.0), moves=(("up", 1.5),),
    )  # fmt: skip
    ws = renderer.dlatents(view)
    (image,) = renderer.painter.image_batches(ws[None], noise=renderer.noise(view))
    _close(renderer.picture(view), image[0])
    assert all((layer == 0).all() for layer in renderer.noise(view)[2:4])
    # By hand: the four seeds' w, truncated; the middle layers of the other seed; the move.
    painter = Painter(generator, np.float32([1, 0]), None, Truncation(0.7, 8))
    w = painter.map(painter.latents([2, 3, 102, 103, 9]))
    own = painter.broadcast(np.float32([0.375, 0.375, 0.125, 0.125])[None] @ w[:4])[0]
    own[2:4] = painter.broadcast(w[4:])[0, 2:4]
    np.testing.assert_allclose(ws, own + renderer.directions.offset({"up": 1.5}, 6), atol=1e-4)


def test_what_was_found_takes_the_place_of_the_seed_as_it_is(case):
    renderer, _ = case
    found = tiny.normal(6, 7)
    np.testing.assert_array_equal(renderer.dlatents(View(label=0, found=found, psi=0.1)), found)


def test_moving_controls_traces_nothing_anew(case):
    renderer, _ = case
    pictures = [
        renderer.picture(View(label=0, psi=psi, cutoff=cutoff, seed=seed, noise_mode=mode, moves=(("up", psi),)))
        for psi, cutoff, seed, mode in ((0, 0, 0, "const"), (1, 3, 2**31, "random"), (-0.5, 8, 5, "none"))
    ]
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert renderer._synthesize.experimental_get_tracing_count() == 1


def test_feature_maps_are_tiles_from_black_to_white(case):
    renderer, _ = case
    maps = renderer.feature_maps(View(label=0), 2)
    assert maps.shape == (2 * 8, 3 * 8, 3)  # Six channels at 8x8.
    tiles = maps[..., 0].reshape(2, 8, 3, 8).transpose(0, 2, 1, 3).reshape(6, -1)
    assert (tiles.min(axis=1) == 0).all() and (tiles.max(axis=1) == 255).all()


@pytest.mark.parametrize("row", ["a", "d"])
def test_networks_without_styles_or_noise_have_pictures_too(row):
    painter, _ = painters.painter(num_channels=1, **tiny.ROWS[row])
    renderer = Renderer(painter)
    view = View(seed=2, psi=1, mixed_groups=("coarse",), noise_strengths=(0.0, 1.0, 1.0))
    assert renderer.picture(view).shape == (16, 16, 3) and renderer.noise(view) == []


def test_uploads_are_pictures_and_bounded():
    check_upload(as_png(tiny.images(1, 8)[0].astype(np.uint8)))
    large = b"x" * (20 * 2**20 + 1)
    for data, message in ((b"<svg/>", "no picture"), (large, "may have 20,971,520"), (b"", "no picture")):
        with pytest.raises(UserError, match=message):
            check_upload(data)
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, format="PNG")  # A few kilobytes that would become 81 million pixels.
    with pytest.raises(UserError, match="9000x9000 pixels"):
        check_upload(stream.getvalue())
