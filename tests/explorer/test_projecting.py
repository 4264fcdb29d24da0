"""Projection of uploaded pictures."""

import io

import numpy as np
from PIL import Image

from stylegan_tf.explorer.pictures import as_png
from stylegan_tf.explorer.projecting import ProjectionDesk
from stylegan_tf.metrics.features.lpips import load_distance
from stylegan_tf.visualize.painter import Painter
from tests.helpers import tiny_networks as tiny
from tests.helpers.colour_profiles import DISPLAY_P3, SEEN, rgb_profile


def test_an_upload_to_a_stretched_network_is_stretched_and_shown_in_its_shape():
    generator, _ = tiny.generator()
    desk = ProjectionDesk(Painter(generator, aspect_ratio=2.0), load_distance("pixels"))
    upload = np.zeros([20, 40, 3], np.uint8)
    upload[:, :5] = 255  # What the central square lacks.
    height = generator.growth.resolution
    target = desk._target(as_png(upload))
    assert target.shape[:2] == (height, height) and target[0, 0].min() > 200
    *_, (picture, text, _, is_last) = desk.find(as_png(upload), desk.spaces[0], 2, None)
    assert is_last and text.startswith("Step 2 of 2") and picture.shape == (height, 2 * height, 3)


def test_colours_of_an_upload_are_those_that_are_seen():
    generator, _ = tiny.generator()
    desk, stream = ProjectionDesk(Painter(generator), load_distance("pixels")), io.BytesIO()
    Image.new("RGB", (8, 8), (40, 180, 60)).save(stream, "PNG", icc_profile=rgb_profile(DISPLAY_P3, 2.2))
    np.testing.assert_allclose(desk._target(stream.getvalue())[0, 0], SEEN, atol=2)
