"""Colour profiles against the formulas of IEC 61966-2-1 and CIE; more than 8 bits against NumPy."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from stylegan_tf.config import PictureOptions, SourceOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.inspection import read_images
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from stylegan_tf.data.sources.colours import BROKEN, CONVERTED, UNSUPPORTED
from stylegan_tf.data.sources.fitted import to_pixels, to_square
from tests.helpers.colour_profiles import DISPLAY_P3, SRGB, cmyk_profile, gray_profile, rgb_profile
from tests.helpers.png_files import png_bytes

RGB = (40, 180, 60)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def in_srgb(colour, matrix, gamma):
    """By way of XYZ."""
    linear = np.linalg.solve(SRGB, np.array(matrix) @ (np.array(colour) / 255) ** gamma).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def square(content, channels=3):
    return to_square(content, PictureOptions(8, channels, "crop"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colours_of_other_primaries_become_srgb(kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    picture = encoded(Image.new("RGB", (8, 8), RGB), kind, icc_profile=rgb_profile(DISPLAY_P3, 2.2), **options)
    found = square(picture)
    np.testing.assert_allclose(found.image[4, 4], in_srgb(RGB, DISPLAY_P3, 2.2), atol=2)
    assert found.noticed == (CONVERTED,) and found.file is None
    assert np.abs(np.array(RGB) - found.image[4, 4]).max() > 10
    np.testing.assert_array_equal(to_pixels(picture, PictureOptions(8)).image, found.image)


def test_transparency_is_no_colour():
    image = Image.new("RGBA", (8, 8), (*RGB, 128))
    found = square(encoded(image, icc_profile=rgb_profile(DISPLAY_P3, 2.2)), channels=4).image[0, 0]
    np.testing.assert_allclose(found, [*in_srgb(RGB, DISPLAY_P3, 2.2), 128], atol=1)


@pytest.mark.parametrize(
    "image, clear, profile",
    [
        (Image.new("RGB", (8, 8), RGB), RGB, rgb_profile(DISPLAY_P3, 2.2)),
        (Image.new("L", (8, 8), 7), 7, gray_profile(1.0)),
        (Image.new("L", (8, 8), 7), 7, rgb_profile(SRGB, 1.0)),
    ],
)
def test_a_transparent_colour_stays_transparent(image, clear, profile):
    picture = encoded(image, transparency=clear, icc_profile=profile)
    assert square(picture, channels=4).image[0, 0, 3] == 0
    found = to_square(picture, PictureOptions(8, 3, "crop", background="#0000ff"))
    assert found.image[0, 0].tolist() == [0, 0, 255] and found.noticed == (CONVERTED,)


def test_gray_of_another_gamma_stays_gray():
    picture = encoded(Image.new("L", (8, 8), 100), icc_profile=gray_profile(1.0))  # Linear light.
    expected = in_srgb((100, 100, 100), SRGB, 1.0)
    for channels in (1, 3):
        np.testing.assert_allclose(square(picture, channels).image[0, 0], expected[:channels], atol=1)
    of_colours = encoded(Image.new("L", (8, 8), 100), icc_profile=rgb_profile(SRGB, 1.0))
    np.testing.assert_allclose(square(of_colours).image[0, 0], expected, atol=1)


def test_inks_become_what_their_profile_says():
    profile = cmyk_profile(lambda c, m, y, k: (1 - k) * (100 - 10 * (c + m + y)))
    found = square(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 128)), "TIFF", icc_profile=profile)).image[0, 0]
    np.testing.assert_allclose(found, 118, atol=3)  # L* = 50 is 118.9 of 255 in sRGB.
    assert square(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 128)), "TIFF")).image[0, 0].tolist() == [127] * 3


@pytest.mark.parametrize("profile", [b"broken", gray_profile(1.0), rgb_profile(DISPLAY_P3, 2.2)[:200]])
def test_a_damaged_or_wrong_profile_is_ignored(profile):
    found = square(encoded(Image.new("RGB", (8, 8), RGB), icc_profile=profile))
    assert found.image[0, 0].tolist() == list(RGB) and found.noticed == (BROKEN,)


def test_a_picture_in_srgb_keeps_its_pixels_and_its_file():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = encoded(Image.effect_noise((8, 8), 90).convert("RGB"), "JPEG", icc_profile=profile)
    found = square(picture)
    np.testing.assert_array_equal(found.image, np.asarray(Image.open(io.BytesIO(picture))))
    assert found.noticed == () and found.file == picture


def test_conversions_are_counted(tmp_path):
    (tmp_path / "in").mkdir()
    for name, profile in (("a", rgb_profile(DISPLAY_P3, 2.2)), ("b", b"broken"), ("c", None)):
        Image.effect_noise((8, 8), ord(name)).convert("RGB").save(tmp_path / "in" / f"{name}.png", icc_profile=profile)
    lines = []
    write_tfrecords(open_source(str(tmp_path / "in")), tmp_path / "set", note=lines.append)
    expected = (
        "colours: 1 pictures were converted to sRGB from their profiles or gAMA chunks; the profiles of 1 are "
        "damaged and were ignored"
    )
    assert [line for line in lines if line.startswith(expected)]


@pytest.mark.parametrize(
    "dtype, black, white", [("float32", -80.0, 0.0), ("int16", -100.0, 300.0), ("uint16", None, 4095)]
)
def test_arrays_of_other_types_are_scaled(tmp_path, dtype, black, white):
    values = np.random.RandomState(0).uniform(black or 0, white, [4, 8, 8, 1]).astype(dtype)
    values[0, 0, 0] = 2000 if dtype == "int16" else white  # Above white is white.
    np.save(tmp_path / "a.npy", values)
    source = open_source(str(tmp_path / "a.npy"), SourceOptions(black=black, white=white))
    expected = np.rint(((values.astype(float) - (black or 0)) * 255 / (white - (black or 0))).clip(0, 255))
    assert source.num_channels == 1
    np.testing.assert_allclose([source.read(index).image for index in range(4)], expected, atol=1)  # Halves.


def test_nan_is_refused_by_its_position(tmp_path):
    values = np.zeros([2, 8, 8, 3], np.float32)
    values[1, 5, 6, 2] = np.nan
    np.save(tmp_path / "a.npy", values)
    source = open_source(str(tmp_path / "a.npy"), SourceOptions(white=1.0))
    with pytest.raises(Exception, match="00000001 cannot be read.*nan at row 5, column 6, plane 2"):
        source.read(1)


def test_pixel_art_stays_sharp_with_nearest(tmp_path):
    sprite = np.random.RandomState(0).randint(0, 2, [4, 4, 1], np.uint8) * np.array([200, 90, 10], np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(sprite).save(tmp_path / "in" / "a.png")
    for name, has_note in (("lanczos", True), ("nearest", False)):
        lines = []
        source = open_source(str(tmp_path / "in"), SourceOptions(resolution=16, filter=name))
        folder = write_tfrecords(source, tmp_path / name, WriteOptions(shards=1), lines.append)
        assert any(line.startswith("pixel art: ") and "`filter=nearest`" in line for line in lines) == has_note
    (image,) = read_images(find_dataset(folder), 16)
    np.testing.assert_array_equal(image, sprite.repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize("white", [None, 1.0])
@pytest.mark.parametrize("depth, channels", [(2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
def test_a_transparent_colour_has_all_bits(depth, channels, white):
    clear = 1 << (depth - 1)
    values = np.full([8, 8, 3], clear)
    values[:4] += 1  # The same upper byte in 16 bits.
    values = values[:, :, 0] if channels == 1 else values
    content = png_bytes(values, depth, (b"tRNS", struct.pack(">H", clear) * channels))
    alpha = to_square(content, PictureOptions(8, 4, white=white)).image[:, :, 3]
    assert (alpha[:4] == 255).all() and not alpha[4:].any()


def pnm(kind, values, white):
    head = f"{kind} 8 8 {white}\n".encode()
    return head + (values.astype(">u2").tobytes() if kind in ("P5", "P6") else " ".join(map(str, values.flat)).encode())


@pytest.mark.parametrize("kind, channels", [("P5", 1), ("P2", 1), ("P6", 3), ("P3", 3)])
def test_netpbm_has_a_white_of_its_own(kind, channels):
    values = np.random.RandomState(0).randint(0, 4096, [8, 8, channels])
    expected = np.rint(values * (255 / 4095))
    declared = to_square(pnm(kind, values, 4095), PictureOptions(8, channels))
    np.testing.assert_allclose(declared.image, expected, atol=1)
    assert declared.peak is None
    with pytest.raises(UserError, match="scaled with 4095 as white.*leave out `white`"):
        to_square(pnm(kind, values, 4095), PictureOptions(8, channels, white=4095))
    if kind != "P3":
        found = to_square(pnm(kind, values, 65535), PictureOptions(8, channels, white=4095))
        np.testing.assert_array_equal(found.image, expected)
        assert found.peak == values.max()


def test_what_is_cut_to_8_bits_has_no_white_point(tmp_path):
    sgi = encoded(Image.new("RGB", (8, 8), (15, 3, 0)), "SGI", bpc=2)
    jpeg = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG2000"))
    sizes = jpeg.index(b"\xff\x4f\xff\x51") + 42
    jpeg[sizes : sizes + 9 : 3] = b"\x0f" * 3  # 16 bits for each component.
    for content in (sgi, bytes(jpeg)):
        with pytest.raises(UserError, match="scaled with 65535 as white.*PNG or TIFF"):
            to_square(content, PictureOptions(8, white=4095))
    (tmp_path / "a.sgi").write_bytes(sgi)
    lines = []
    write_tfrecords(open_source(str(tmp_path / "a.sgi")), tmp_path / "set", note=lines.append)
    advice = "1 are of kinds without a choice of white: save these as 16-bit PNG or TIFF; then `white=3855` makes"
    assert any(line.startswith("dark: ") and advice in line for line in lines), lines


SRGB_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_PRIMARIES = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


@pytest.mark.parametrize(
    "chunks, depth, value, expected, noticed",
    [
        ([(b"gAMA", 100000)], 8, 55, 128, (CONVERTED,)),  # 255 * (1.055 * (55 / 255)^(1 / 2.4) - 0.055) = 127.95
        ([(b"gAMA", 55556)], 8, 128, 146, (CONVERTED,)),  # With (128 / 255)^1.8: 146.41
        ([(b"gAMA", 100000)], 16, 1000, 33, (CONVERTED,)),  # 33.07; 3 of 255 would give 28.
        ([(b"gAMA", 100000)], 16, 50, 3, (CONVERTED,)),  # 255 * 12.92 * 50 / 65535 = 2.51
        ([(b"gAMA", 45455)], 8, 55, 55, ()),
        ([(b"gAMA", 0)], 8, 55, 55, ()),
        ([(b"sRGB", None), (b"gAMA", 100000)], 8, 55, 55, ()),
        ([(b"cICP", bytes([1, 13, 0, 1])), (b"gAMA", 100000)], 8, 55, 55, ()),
        ([(b"cICP", bytes([12, 13, 0, 1]))], 8, 55, 55, (UNSUPPORTED,)),  # Display P3.
        ([(b"cICP", bytes([9, 16, 0, 1])), (b"gAMA", 100000)], 8, 55, 128, (CONVERTED, UNSUPPORTED)),
        ([(b"gAMA", 45455), (b"cHRM", struct.pack(">8I", *SRGB_PRIMARIES))], 8, 55, 55, ()),
        ([(b"gAMA", 45455), (b"cHRM", struct.pack(">8I", *P3_PRIMARIES))], 8, 55, 55, (UNSUPPORTED,)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_pngs_without_a_profile_are_converted_by_gama_and_others_reported(
    tmp_path, chunks, depth, value, expected, noticed, channels
):
    stored = [(k, struct.pack(">I", v) if isinstance(v, int) else v or b"\0") for k, v in chunks]
    content = png_bytes(np.full([8, 8, 3] if channels == 3 else [8, 8], value), depth, *stored)
    found = to_square(content, PictureOptions(8, channels))
    assert (found.image == expected).all() and found.image.shape == (8, 8, channels)
    assert found.noticed == noticed
    planes = to_square(content, PictureOptions(8, planes=channels))
    assert (planes.image == round(value * 255 / (2**depth - 1))).all() and planes.noticed == ()
    (tmp_path / "a.png").write_bytes(content)
    lines = []
    write_tfrecords(open_source(str(tmp_path / "a.png")), tmp_path / "set", note=lines.append)
    for kind, line in (
        (CONVERTED, "colours: 1 pictures were "),
        (UNSUPPORTED, "colours: 1 PNGs describe colours other "),
    ):
        assert any(found.startswith(line) for found in lines) == (kind in noticed)


def test_gama_changes_no_transparency():
    gamma = PngImagePlugin.PngInfo()
    gamma.add(b"gAMA", struct.pack(">I", 100000))
    for mode, colour in (("RGBA", (55, 55, 55, 55)), ("LA", (55, 55)), ("P", 1)):
        image = Image.new(mode, (8, 8), colour)
        options = {}
        if mode == "P":
            image.putpalette([0, 0, 0, 55, 55, 55])
            options["transparency"] = b"\xff\x37"
        found = to_square(encoded(image, "PNG", pnginfo=gamma, **options), PictureOptions(8, 4)).image
        assert (found == (128, 128, 128, 55)).all(), mode
