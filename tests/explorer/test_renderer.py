"""The page's pictures are those of the rest of the package, whatever a view says, from one trace."""

import numpy as np
import pytest

from stylegan_tf.editing.directions import Directions
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import View
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from tests.helpers import painters
from tests.helpers import tiny_networks as tiny

FOUND = tiny.normal(6, 7)


@pytest.fixture(scope="module")
def case():
    """(Renderer, its generator) of a network with two labels."""
    painter, generator = painters.painter(label_size=2)
    directions = Directions.from_vectors(["up"], np.eye(7)[:1], tiny.normal(50, 7), (2, 6))
    return Renderer(painter, directions, found={("", "mine"): FOUND}), generator


def _close(picture, expected):
    assert picture.shape == expected.shape and np.abs(picture.astype(int) - expected).max() <= 1


def _first(**fields):
    return View(**{"classes": {0: 1.0}, "cutoff": 8, **fields})


def test_a_seed_is_the_picture_that_generate_makes(case):
    renderer, generator = case
    for view, mode in (
        (_first(seed=3, classes={1: 1.0}, psi=0.5, cutoff=2), "const"),
        (_first(classes={0: 0.25, 1: 0.5}, centre="class"), "const"),
        (_first(noise_mode="none"), "none"),
    ):
        label = np.float32([view.classes.get(0, 0), view.classes.get(1, 0)])
        painter = Painter(generator, label, None, Truncation(view.psi, view.cutoff, view.centre), mode)
        _close(renderer.render(view).picture, painter.pictures(painter.dlatents(painter.latents([view.seed])))[0])


def test_pictures_of_a_stretched_network_have_the_shape_that_generate_gives_them(case):
    _, generator = case
    painter = Painter(generator, np.float32([1, 0]), None, Truncation(0.7, 8), aspect_ratio=1.5)
    (expected,) = painter.pictures(painter.dlatents(painter.latents([3])))
    _close(Renderer(painter).render(_first(seed=3)).picture, expected)
    assert expected.shape[1] * 2 == expected.shape[0] * 3


def test_dlatents_and_noise_of_a_view_make_its_picture(case):
    renderer, generator = case
    view = _first(
        seed=3, offset=(-0.5, 0.25), mixing={"middle": 9, "fine": 4}, noise_mode="random", noise_seed=4,
        strengths={2: 0.0, 3: 0.0, 5: 2.0}, moves={"up": 1.5},
    )  # fmt: skip
    rendered = renderer.render(view)
    (image,) = renderer.painter.image_batches(rendered.ws[None], noise=rendered.noise)
    _close(rendered.picture, image[0])
    assert all((layer == 0).all() for layer in rendered.noise[2:4])
    np.testing.assert_allclose(
        rendered.noise[5], 2 * renderer.render(_first(noise_mode="random", noise_seed=4)).noise[5]
    )
    # By hand: the four seeds' w, truncated; layers of the other seeds; the move.
    painter = Painter(generator, np.float32([1, 0]), None, Truncation(0.7, 8))
    w = painter.map(painter.latents([2, 3, 102, 103, 9, 4]))
    own = painter.broadcast(np.float32([0.375, 0.375, 0.125, 0.125])[None] @ w[:4])[0]
    own[2:4], own[4:] = painter.broadcast(w[4:5])[0, 2:4], painter.broadcast(w[5:])[0, 4:]
    np.testing.assert_allclose(rendered.ws, own + renderer.directions.offset({"up": 1.5}, 6), atol=1e-4)


def test_w_and_noise_of_a_view_alone_make_its_picture(case):
    renderer, _ = case
    rendered = renderer.render(_first(seed=3, noise_mode="random", strengths={1: 3.0}))
    _close(renderer.render_styles(rendered.ws, rendered.noise).picture, rendered.picture)


def test_what_was_found_takes_the_place_of_the_seed_as_it_is(case):
    renderer, _ = case
    np.testing.assert_array_equal(renderer.render(_first(found="mine", psi=0.1)).ws, FOUND)


def test_moving_controls_traces_nothing_anew(case):
    renderer, _ = case
    pictures = [
        renderer.render(_first(psi=psi, cutoff=cutoff, seed=seed, noise_mode=mode, moves={"up": psi})).picture
        for psi, cutoff, seed, mode in ((0, 0, 0, "const"), (1, 3, 2**31, "random"), (-0.5, 8, 5, "none"))
    ]
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert [traced.experimental_get_tracing_count() for traced in renderer.painter._traced.values()] == [1]


def test_feature_maps_are_tiles_from_black_to_white(case):
    renderer, _ = case
    maps = renderer.feature_maps(_first(), 2)
    assert maps.shape == (2 * 8, 3 * 8, 3)  # Six channels at 8x8.
    tiles = maps[..., 0].reshape(2, 8, 3, 8).transpose(0, 2, 1, 3).reshape(6, -1)
    assert (tiles.min(axis=1) == 0).all() and (tiles.max(axis=1) == 255).all()


def test_layers_tell_their_size_and_the_strength_of_their_noise(case):
    renderer, generator = case
    layers = renderer.layers()
    assert [(layer["resolution"], layer["channels"]) for layer in layers] == [
        *((4, 6), (4, 6), (8, 6), (8, 6), (16, 4), (16, 4))
    ]
    strength = generator.synthesis.blocks["8x8"][0].noise.strength.numpy()
    assert layers[2]["strength"] == pytest.approx(np.sqrt((strength**2).mean()))
    gray = renderer.noise_picture(_first(strengths={3: 0.0}), 3)
    assert gray.shape == (8, 8, 3) and (gray == 128).all()


@pytest.mark.parametrize("row", ["a", "d"])
def test_networks_without_styles_or_noise_have_pictures_too(row):
    painter, _ = painters.painter(num_channels=1, **tiny.ROWS[row])
    renderer = Renderer(painter)
    rendered = renderer.render(View(seed=2, psi=1))
    assert rendered.picture.shape == (16, 16, 3) and rendered.noise == []
    assert renderer.layers()[0]["strength"] is None and bool(renderer.info.groups) == (row == "d")
