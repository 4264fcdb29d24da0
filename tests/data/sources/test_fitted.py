"""Any picture becomes a square."""

import io

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources.fitted import to_square
from stylegan_tf.data.sources.opening import parse_background, picture_size


def encoded(image, suffix="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, suffix, **options)
    return stream.getvalue()


def square(picture, resolution=4, **options):
    return to_square(picture, PictureOptions(resolution, **{"channels": 3, "fit": "crop", **options}))


def rgba_of(red, alpha):
    return Image.merge("RGBA", [Image.new("L", (4, 4), value) for value in (red, 0, 0, alpha)])


def palette_image():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    return image


PICTURES = {
    "RGB": (encoded(Image.new("RGB", (4, 4), (10, 20, 30))), [10, 20, 30]),
    "gray": (encoded(Image.new("L", (4, 4), 77)), [77, 77, 77]),
    "black and white": (encoded(Image.new("1", (4, 4), 1)), [255, 255, 255]),
    "palette": (encoded(palette_image()), [10, 20, 30]),
    "palette with transparency": (encoded(palette_image(), transparency=1), [0, 0, 255]),
    # A fifth of (200, 0, 0) over four fifths of (0, 0, 255).
    "RGBA": (encoded(rgba_of(200, 51)), [40, 0, 204]),
    "clear": (encoded(rgba_of(200, 0)), [0, 0, 255]),
    "gray and alpha": (encoded(Image.merge("LA", [Image.new("L", (4, 4), v) for v in (100, 51)])), [20, 20, 224]),
    "RGB with a transparent colour": (
        encoded(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3)),
        [0, 0, 255],
    ),
    "16-bit gray": (encoded(Image.fromarray(np.full([4, 4], 257 * 50, np.uint16))), [50, 50, 50]),
    "16-bit TIFF": (encoded(Image.fromarray(np.full([4, 4], 257 * 50, np.uint16)), "TIFF"), [50, 50, 50]),
    "CMYK": (encoded(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF"), [255, 0, 0]),
    "array RGB": (np.full([4, 4, 3], [1, 2, 3], np.uint8), [1, 2, 3]),
    "array gray": (np.full([4, 4, 1], 5, np.uint8), [5, 5, 5]),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_mode_becomes_rgb_on_the_background(kind):
    picture, expected = PICTURES[kind]
    image, box, *_ = square(picture, background="#0000ff")
    assert image.shape == (4, 4, 3) and image.dtype == np.uint8 and box is None
    np.testing.assert_array_equal(image.reshape(-1, 3), [expected] * 16)


@pytest.mark.parametrize("kind", PICTURES)
def test_every_mode_becomes_gray(kind):
    picture, (red, green, blue) = PICTURES[kind]
    image = square(picture, background="#0000ff", channels=1).image
    assert image.shape == (4, 4, 1)
    np.testing.assert_allclose(image, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1)


def test_a_cmyk_jpeg_is_not_inverted():
    picture = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    np.testing.assert_allclose(square(picture, 16).image[8, 8], [255, 0, 0], atol=4)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (4, 4), color) for color in ("#ff0000", "#00ff00", "#0000ff")]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(picture)) as image:
        assert image.n_frames == 3
    assert square(picture).image[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation):
    stored = np.zeros([8, 8, 3], np.uint8)
    stored[:4, :4], stored[:4, 4:], stored[4:, :4] = 50, 100, 150
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {  # What a viewer has to do with the stored picture.
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
        8: lambda x: np.rot90(x, 1),
    }
    picture = encoded(Image.fromarray(stored), exif=exif)
    np.testing.assert_array_equal(square(picture, 8).image, turns[orientation](stored))


def test_the_size_is_that_after_turning():
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        assert picture_size(encoded(Image.new("RGB", (8, 5)), kind, exif=exif)) == (5, 8), kind
        assert picture_size(encoded(Image.new("RGB", (8, 5)), kind)) == (8, 5), kind
    assert picture_size(np.zeros([5, 8, 3], np.uint8)) == (8, 5)


def wide_picture():
    """16x48: the central square is 90, the rest 10."""
    wide = np.full([16, 48, 3], 10, np.uint8)
    wide[:, 16:32] = 90
    return wide


def test_crop_takes_the_central_square():
    for picture in (wide_picture(), wide_picture().transpose(1, 0, 2)):
        image, box, *_ = square(picture, 8, fit="crop")
        assert (image == 90).all() and box is None


def test_stretch_uses_all_of_the_picture():
    image, box, *_ = square(wide_picture(), 6, fit="stretch", filter="box")
    assert image[0, :, 0].tolist() == [10, 10, 90, 90, 10, 10] and box is None


def test_pad_letterboxes_and_tells_where_the_picture_is():
    image, box, *_ = square(wide_picture(), 48, fit="pad", background="#010203")
    assert box == (0, 16, 48, 32)
    np.testing.assert_array_equal(image[16:32], wide_picture())
    assert (image[:16] == [1, 2, 3]).all() and (image[32:] == [1, 2, 3]).all()
    image, box, *_ = square(wide_picture().transpose(1, 0, 2), 48, fit="pad", channels=1, background="#0000ff")
    assert box == (16, 0, 32, 48) and (image[:, :16] == 29).all()  # 0.114 * 255.


def test_the_box_of_lsun_cars_is_the_middle_three_quarters():
    assert square(np.zeros([384, 512, 3], np.uint8), 256, fit="pad").box == (0, 32, 256, 224)
    assert square(np.zeros([256, 256, 3], np.uint8), 64, fit="pad").box is None


def test_the_box_filter_averages_whole_pixels():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 4
    image = square(picture, 2, channels=1, filter="box").image[:, :, 0]
    assert image.tolist() == [[10, 18], [42, 50]]  # Means of 2x2 blocks.
    assert square(picture, 2, channels=1, filter="lanczos").image[0, 0, 0] != 10


@pytest.mark.parametrize("size", [(1, 1), (3, 1000), (17, 5)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_odd_sizes_fit(size, fit):
    assert square(np.zeros([*size, 3], np.uint8), 16, fit=fit).image.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"not a picture",
        encoded(Image.effect_noise((64, 64), 50))[:1500],
        encoded(Image.effect_noise((64, 64), 50), "JPEG")[:700],
        encoded(Image.new("L", (64, 64)))[:-16] + bytes(4) + encoded(Image.new("L", (64, 64)))[-12:],  # A wrong CRC.
        encoded(Image.fromarray(np.full([4, 4], 0.5, np.float32)), "TIFF"),
        np.zeros([4, 4, 5], np.uint8),
        np.zeros([4, 4, 3], np.float32),
    ],
)
def test_what_is_no_picture_is_a_value_error(picture):
    with pytest.raises(ValueError):
        square(picture)


def test_what_is_longer_than_a_dataset_records_is_not_stretched():
    with pytest.raises(ValueError, match="3000x1 pixels, which is too long to be stretched"):
        square(np.zeros([1, 3000, 3], np.uint8), fit="stretch")


def test_without_fit_the_size_must_be_right():
    with pytest.raises(UserError, match="it has 5x4 pixels, expected 4x4.*`fit"):
        square(np.zeros([4, 5, 3], np.uint8), fit=None)


def test_colours_are_read():
    assert parse_background("white") == (255, 255, 255)
    assert parse_background("#102030") == (16, 32, 48)
    with pytest.raises(UserError, match="`background` takes a colour.*'whit'"):
        parse_background("whit")


def test_transparency_can_be_kept():
    """As RGBA, with one colour where nothing is seen."""
    pixels = np.full([4, 4, 4], [200, 10, 0, 51], np.uint8)
    pixels[0, 0] = (7, 7, 7, 0)
    image = square(encoded(Image.fromarray(pixels)), channels=4, background="#0000ff").image
    assert image[0, 0].tolist() == [0, 0, 255, 0] and image[1, 1].tolist() == [200, 10, 0, 51]
    for kind, expected in [
        ("RGB", [10, 20, 30, 255]),
        ("gray", [77, 77, 77, 255]),
        ("clear", [0, 0, 255, 0]),
        ("gray and alpha", [100, 100, 100, 51]),
    ]:
        assert square(PICTURES[kind][0], channels=4, background="#0000ff").image[0, 0].tolist() == expected, kind
    image, _box, *_ = square(wide_picture(), 48, fit="pad", channels=4, background="#010203")
    assert image[0, 0].tolist() == [1, 2, 3, 0] and image[24, 24].tolist() == [90, 90, 90, 255]


@pytest.mark.parametrize("fit, size", [("crop", (8, 8)), ("pad", (16, 8)), ("stretch", (6, 8))])
def test_resizing_keeps_the_background_in_clear_pixels(fit, size):
    pixels = np.full([*size, 4], 255, np.uint8)
    pixels[: size[0] // 2, :, 3] = 0
    image = square(encoded(Image.fromarray(pixels)), fit=fit, channels=4).image
    assert (image[..., 3] == 0).any() and (image[..., 3] == 255).any() and (image[..., :3] == 255).all()
