import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box, letterbox, resize, scaled_box, union, unstretched


def test_a_letterboxed_picture_is_centred_and_fills_its_square_with_the_longer_side():
    assert letterbox((200, 100), 64) == (0, 16, 64, 48)
    assert letterbox((100, 300), 32) == (10, 0, 21, 32)
    assert letterbox((5000, 1), 8) == (0, 3, 8, 4)


def test_boxes_are_joined_and_scaled():
    assert union([(0, 4, 8, 6), None, (1, 2, 3, 5)]) == (0, 2, 8, 6) and union([None]) is None
    assert scaled_box((0, 16, 64, 48), 64, 16) == (0, 4, 16, 12)
    assert scaled_box((0, 31, 64, 33), 64, 4) is None and scaled_box(None, 64, 4) is None


def test_planes_are_resized_one_by_one_and_transparency_hides_colours():
    planes = np.zeros([2, 2, 5], np.uint8)
    planes[:, :, 4] = 200
    assert resize(planes, (8, 8)).shape == (8, 8, 5) and (resize(planes, (8, 8))[:, :, 4] == 200).all()
    clear = np.full([2, 2, 4], 100, np.uint8)
    clear[0] = (0, 0, 0, 0)
    np.testing.assert_allclose(resize(clear, (1, 1))[0, 0, :3], 100, atol=3)


def test_letterboxed_images_are_cut_out():
    images = np.arange(2 * 8 * 8).reshape(2, 8, 8, 1)
    np.testing.assert_array_equal(crop_to_box(images, [0.0, 0.125, 1.0, 0.875]), images[:, 1:7])
    np.testing.assert_array_equal(crop_to_box(images, (0.25, 0, 0.5, 1)), images[:, :, 2:4])
    assert crop_to_box(images, None) is images


@pytest.mark.parametrize("box", [[0, 0, 1], [0, 0, 2, 1], [0.5, 0, 0.5, 1], ["a", 0, 1, 1], 3])
def test_a_box_outside_of_the_images_is_refused(box):
    with pytest.raises(UserError, match="content box.*`crop=false`"):
        crop_to_box(np.zeros([1, 8, 8, 1]), box)


def test_stretched_images_get_their_shape_back():
    images = np.tile(np.arange(8, dtype=np.uint8)[:, None] * 30, [2, 1, 8])[..., None]  # Rows of one value.
    wide = unstretched(images, 1.5)
    assert wide.shape == (2, 8, 12, 1) and wide.dtype == np.uint8
    np.testing.assert_array_equal(wide, np.tile(images[:, :, :1], [1, 1, 12, 1]))
    assert unstretched(np.zeros([1, 8, 8, 3], np.uint8), 0.5).shape == (1, 16, 8, 3)
    assert unstretched(images, None) is images and unstretched(images, 1.01) is images
