"""Projection of uploaded pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.explorer.jobs import Job
from stylegan_tf.explorer.projections import FoundPictures, Projections, check_upload, uploaded_target
from stylegan_tf.explorer.renderer import as_png
from stylegan_tf.metrics.features.image_distance import pixel_distance
from stylegan_tf.visualize.painter import Painter
from tests.helpers import tiny_networks as tiny
from tests.helpers.colour_profiles import DISPLAY_P3, SEEN, rgb_profile


def test_an_upload_to_a_stretched_network_is_stretched_and_shown_in_its_shape():
    generator, _ = tiny.generator()
    painter = Painter(generator, aspect_ratio=2.0)
    upload = np.zeros([20, 40, 3], np.uint8)
    upload[:, :5] = 255  # What the central square lacks.
    height = generator.growth.resolution
    target = uploaded_target(as_png(upload), painter)
    assert target.shape[:2] == (height, height) and target[0, 0].min() > 200
    job = Job("a search", None)
    ws, searched = Projections(pixel_distance()).find(job, painter, as_png(upload), "mine.png", "w+", 2, ())
    assert ws.shape == painter.dlatent_shape and job.text.startswith("step 2 of 2")
    for shown in (job.pictures["now"], job.pictures["target"], searched):
        assert np.asarray(Image.open(io.BytesIO(shown))).shape == (height, 2 * height, 3)


def test_colours_of_an_upload_are_those_that_are_seen():
    generator, _ = tiny.generator()
    for kind, side in (("PNG", 8), ("JPEG", 400)):
        stream = io.BytesIO()
        profile = rgb_profile(DISPLAY_P3, 2.2)
        Image.new("RGB", (side, side), (40, 180, 60)).save(stream, kind, icc_profile=profile, quality=95)
        np.testing.assert_allclose(uploaded_target(stream.getvalue(), Painter(generator))[0, 0], SEEN, atol=4)


def test_a_search_that_is_stopped_gives_what_it_has_found_by_then():
    generator, _ = tiny.generator()
    painter, job = Painter(generator), Job("a search", None)
    job.stop()
    upload = as_png(np.zeros([8, 8, 3], np.uint8))
    ws, _ = Projections(pixel_distance()).find(job, painter, upload, "mine.png", "w", 500, ())
    assert job.done == 1 and ws.shape == painter.dlatent_shape


def test_what_is_found_is_kept_for_the_newest_only_and_for_its_network():
    found = FoundPictures()
    names = [found.add("a", np.zeros([1, 1]), b"") for _ in range(70)]
    assert len(set(names)) == 70 and found["a", names[-1]].shape == (1, 1)
    with pytest.raises(UserError, match="no longer kept"):
        found["a", names[0]]
    with pytest.raises(UserError, match="belongs to another network"):
        found["b", names[-1]]


def test_uploads_are_pictures_and_bounded():
    check_upload(as_png(tiny.images(1, 8)[0].astype(np.uint8)))
    for data in (b"<svg/>", b""):
        with pytest.raises(UserError, match="not a readable image"):
            check_upload(data)
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, format="PNG")  # A few kilobytes that would become 81 million pixels.
    with pytest.raises(UserError, match="9000x9000 pixels"):
        check_upload(stream.getvalue())


def test_messages_about_uploads_name_the_file_and_the_reason():
    generator, _ = tiny.generator()
    projections = Projections(pixel_distance())
    picture = as_png(np.random.RandomState(0).randint(256, size=[40, 40, 3], dtype=np.uint8))
    for content in (b"not a picture", picture[: len(picture) // 2]):
        with pytest.raises(UserError, match="^cat.png: ") as caught:
            projections.find(Job("a search", None), Painter(generator), content, "cat.png", "w", 2, ())
        assert "0x" not in str(caught.value) and "BytesIO" not in str(caught.value)
