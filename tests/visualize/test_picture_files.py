"""Bytes and grids against hand-made arrays and the reference numbers."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize import image_grid, save_image, save_image_grid, to_uint8
from stylegan_tf.visualize.picture_files import as_rgb, check_picture_path, check_picture_size, resized


def test_the_ends_of_the_range_are_black_and_white():
    np.testing.assert_array_equal(to_uint8([-2.0, -1.0, 0.0, 1.0, 2.0]), [0, 0, 128, 255, 255])


def test_every_byte_survives_the_way_to_float_and_back():
    values = np.arange(256)
    np.testing.assert_array_equal(to_uint8(values / 127.5 - 1), values)


def test_half_precision_is_converted_before_it_is_scaled():
    np.testing.assert_array_equal(to_uint8(np.array([0.4], np.float16)), [178])  # 0.4 * 127.5 + 127.5 = 178.5 - 0.01


def test_bytes_equal_the_reference(reference):
    with np.load(reference / "to_uint8.npz", allow_pickle=False) as data:
        np.testing.assert_array_equal(to_uint8(data["input"].transpose(0, 2, 3, 1)), data["output"])


def _numbered(count, channels=3):
    """Images of 1x2 pixels: image i has the values i + 1."""
    return np.broadcast_to(np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None], [count, 1, 2, channels])


def test_a_grid_is_filled_row_by_row_and_padded_with_black():
    grid = image_grid(_numbered(5), columns=3)
    np.testing.assert_array_equal(grid[:, :, 0], [[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 0, 0]])


def test_a_grid_is_nearly_square_by_default():
    assert image_grid(_numbered(9)).shape == (3, 6, 3)
    assert image_grid(_numbered(5)).shape == (2, 6, 3)
    assert image_grid(_numbered(32)).shape == (4, 16, 3)  # 8 x 4 leaves no gap, 6 x 6 would.


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_a_saved_grid_is_a_png_with_the_same_pixels(tmp_path, channels, mode):
    save_image_grid(_numbered(4, channels), tmp_path / "grid.png", columns=2)
    with Image.open(tmp_path / "grid.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", mode)
        pixels = np.asarray(picture).reshape(2, 4, channels)
    np.testing.assert_array_equal(pixels[:, :, 0], [[1, 1, 2, 2], [3, 3, 4, 4]])
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_what_is_no_batch_of_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="float32"):
        save_image_grid(np.zeros([1, 2, 2, 3], np.float32), tmp_path / "grid.png")
    with pytest.raises(ValueError, match="1, 3 or 4.*, got .*2"):
        save_image_grid(np.zeros([1, 2, 2, 2], np.uint8), tmp_path / "grid.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix, kind", [(".jpg", "JPEG"), (".JPEG", "JPEG"), (".webp", "WEBP"), (".png", "PNG")])
def test_the_suffix_says_how_a_picture_is_encoded(tmp_path, suffix, kind):
    image = np.full([8, 8, 3], (200, 100, 50), np.uint8)
    save_image(image, tmp_path / f"x{suffix}")
    with Image.open(tmp_path / f"x{suffix}") as picture:
        assert picture.format == kind
        assert np.abs(np.asarray(picture).astype(int) - image).max() <= 4


def test_a_suffix_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(UserError, match="x.bmp: the name of a picture must end in .png"):
        save_image(np.zeros([2, 2, 3], np.uint8), tmp_path / "x.bmp")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name, shape", [("x.webp", [1, 16384]), ("x.jpg", [65501, 1])])
def test_a_picture_too_large_for_its_format_is_refused(tmp_path, name, shape):
    with pytest.raises(UserError, match=f"{shape[1]:,} x {shape[0]:,} pixels, .*{name[1:]} holds .* `scale`"):
        save_image(np.zeros([*shape, 3], np.uint8), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_large_for_memory_is_refused():
    check_picture_size("x.png", 2**5, 2**25)
    with pytest.raises(UserError, match="x.png would have 16,777,216 x 65 pixels, the maximum is 1,073,741,824"):
        check_picture_size("x.png", 65, 2**24)


def test_enlarging_repeats_pixels_and_shrinking_averages_them():
    image = np.array([[[10], [20]], [[30], [40]]], np.uint8)
    np.testing.assert_array_equal(resized(image, 2)[..., 0], np.kron([[10, 20], [30, 40]], np.ones([2, 2])))
    np.testing.assert_array_equal(resized(image, Fraction(1, 2)), [[[25]]])
    assert resized(np.zeros([6, 5, 3], np.uint8), Fraction(3, 2)).shape == (9, 8, 3)


def test_gray_becomes_three_equal_channels():
    np.testing.assert_array_equal(as_rgb(np.array([[[[7]]]], np.uint8)), [[[[7, 7, 7]]]])


def test_transparency_is_kept_in_png_and_becomes_white_elsewhere(tmp_path):
    image = np.full([8, 8, 4], [200, 0, 0, 51], np.uint8)  # A fifth of (200, 0, 0).
    np.testing.assert_array_equal(as_rgb(image)[0, 0], [244, 204, 204])
    save_image(image, tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)
    save_image(image, tmp_path / "a.jpg")
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "a.jpg"))[4, 4], [244, 204, 204], atol=3)


def test_a_folder_that_cannot_be_made_is_reported_before_the_picture_is(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file"):
        check_picture_path(tmp_path / "file" / "x.png")
