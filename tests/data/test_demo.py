"""The embedded demo set."""

import hashlib

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import demo


@pytest.fixture(scope="module")
def demo_set():
    return demo.load_demo_images(), demo.load_demo_attributes()


def test_there_are_4096_different_rgb_images_of_64_pixels(demo_set):
    images, _ = demo_set
    assert images.shape == (4096, 64, 64, 3) and images.dtype == np.uint8
    assert len({hashlib.sha256(image.tobytes()).digest() for image in images}) == 4096


def test_tiles_are_cut_at_their_borders(demo_set):
    images, _ = demo_set
    # Every figure stands on a background of one colour, so that all four corners of a tile are equal.
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(corners, np.repeat(corners[:, :1], 4, axis=1))


def test_attributes_describe_the_image_at_their_index(demo_set):
    images, attributes = demo_set
    background = attributes["background_color"]
    for index in (0, 1, 63, 64, 65, 2000, 4095):
        color = background.values[background.indices[index]]
        assert "#" + images[index, 0, 0].tobytes().hex() == color


def test_every_attribute_covers_all_images_with_known_values(demo_set):
    _, attributes = demo_set
    for name, (values, indices) in attributes.items():
        assert len(indices) == 4096, name
        assert sorted(set(indices.tolist())) == list(range(len(values))), name


def test_yes_no_attributes_follow_the_renderers(demo_set):
    _, attributes = demo_set
    glasses = attributes["glasses"]
    wears_none = glasses.indices == glasses.values.index("none")
    np.testing.assert_array_equal(attributes["has_glasses"].indices == 0, wears_none)
    top = attributes["top"]
    hat = np.array([top.values[index] in ("cap", "beanie", "animalEars", "bunnyEars") for index in top.indices])
    np.testing.assert_array_equal(attributes["has_hat"].indices == 1, hat)


def test_labels_are_one_hot_blocks_side_by_side():
    attributes = {
        "size": demo.Attribute(("small", "large"), np.array([1, 0, 1], np.uint8)),
        "shape": demo.Attribute(("round", "square", "flat"), np.array([0, 2, 1], np.uint8)),
    }
    labels, names = demo.one_hot_labels(attributes, ["size", "shape"])
    assert names == ("size=small", "size=large", "shape=round", "shape=square", "shape=flat")
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1], [0, 1, 0, 1, 0]])


def test_an_unknown_attribute_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="unknown attribute 'hair'.*has_beard"):
        demo.one_hot_labels(demo.load_demo_attributes(), ["hair"])


def test_the_licence_is_beside_the_data():
    text = demo._resource("DEMO_SET_LICENSE.txt").decode("utf-8")
    assert "CC0 1.0 Universal" in text and "Voxel Art" in text
