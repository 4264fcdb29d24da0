"""Images from a folder and from the demo set."""

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import open_source


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def test_nested_folders_are_read_in_the_order_of_their_paths(tmp_path):
    for value, name in enumerate(["a/1.png", "a/2.PNG", "b/c/0.bmp", "z.png"]):
        save(tmp_path / name, np.full([8, 8, 3], value, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_source(str(tmp_path))
    assert (len(source), source.resolution, source.num_channels) == (4, 8, 3)
    assert [int(source.read(index).image[0, 0, 0]) for index in range(4)] == [0, 1, 2, 3]


def test_transparency_becomes_white(tmp_path):
    rgba = np.zeros([4, 4, 4], np.uint8)
    rgba[..., 0] = 200
    rgba[0, 0, 3], rgba[0, 1, 3], rgba[0, 2, 3] = 255, 0, 51  # Opaque, clear, a fifth.
    save(tmp_path / "a.png", rgba)
    pixels = open_source(str(tmp_path)).read(0).image
    # A fifth of (200, 0, 0) over four fifths of (255, 255, 255).
    np.testing.assert_array_equal(pixels[0, :3], [[200, 0, 0], [255, 255, 255], [244, 204, 204]])


def test_palette_gray_and_16_bit_images_become_rgb(tmp_path):
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 10, 20, 30])
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "b.png", transparency=1)
    save(tmp_path / "c.png", np.full([4, 4], 77, np.uint8))
    save(tmp_path / "d.png", np.full([4, 4], 257 * 50, np.uint16))
    source = open_source(str(tmp_path))
    assert [source.read(index).image[0, 0].tolist() for index in range(4)] == [
        [10, 20, 30],
        [255, 255, 255],
        [77, 77, 77],
        [50, 50, 50],
    ]


def test_resolution_crops_the_centre_and_resizes(tmp_path):
    wide = np.zeros([16, 48, 3], np.uint8)
    wide[:, 16:32] = 90  # The central square.
    save(tmp_path / "a.png", wide)
    pixels = open_source(str(tmp_path), SourceOptions(resolution=8)).read(0).image
    np.testing.assert_array_equal(pixels, np.full([8, 8, 3], 90))


def test_the_exif_orientation_is_applied(tmp_path):
    array = np.zeros([8, 8, 3], np.uint8)
    array[:4] = 255  # White above; orientation 3 turns it by half a turn.
    exif = Image.Exif()
    exif[0x0112] = 3
    save(tmp_path / "a.png", array, exif=exif)
    np.testing.assert_array_equal(open_source(str(tmp_path)).read(0).image, array[::-1])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such file or folder"):
        open_source(str(tmp_path / "nowhere"))


def test_a_folder_without_images_says_what_was_looked_for(tmp_path):
    (tmp_path / "readme.txt").write_text("")
    with pytest.raises(UserError, match="has no images in it.*png"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a PNG", None])
def test_an_unreadable_image_is_named(tmp_path, content):
    save(tmp_path / "a.png", np.random.RandomState(0).randint(0, 255, [64, 64, 3]).astype(np.uint8))
    if content is None:
        content = (tmp_path / "a.png").read_bytes()[:3000]  # Cut off in the middle.
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(UserError, match="broken.png cannot be read as an image"):
        open_source(str(tmp_path)).read(1)


def test_images_of_another_size_need_a_resolution(tmp_path):
    save(tmp_path / "a.png", np.zeros([8, 8, 3], np.uint8))
    save(tmp_path / "b.png", np.zeros([8, 16, 3], np.uint8))
    with pytest.raises(UserError, match="b.png does not fit: it has 16x8 pixels.*`resolution"):
        open_source(str(tmp_path)).read(1)
    save(tmp_path / "a.png", np.zeros([12, 12, 3], np.uint8))
    with pytest.raises(UserError, match="a.png has 12x12 pixels.*`resolution"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("resolution", [0, 2, 48, -8])
def test_a_resolution_must_be_a_power_of_two(tmp_path, resolution):
    save(tmp_path / "a.png", np.zeros([8, 8, 3], np.uint8))
    for source in (str(tmp_path), "demo"):
        with pytest.raises(UserError, match="power of two of at least 4"):
            open_source(source, SourceOptions(resolution))


def test_the_demo_set_is_not_enlarged():
    with pytest.raises(UserError, match="128.*64x64"):
        open_source("demo", SourceOptions(128))


def test_the_demo_set_comes_with_labels():
    source = open_source("demo", SourceOptions(32, labels="has_hat"))
    assert (len(source), source.resolution, source.label_names) == (4096, 32, ("has_hat=no", "has_hat=yes"))
    assert source.read(7).image.shape == (32, 32, 3)
    assert source.labels.sum(axis=1).tolist() == [1.0] * 4096


def test_a_folder_has_no_attributes(tmp_path):
    save(tmp_path / "a.png", np.zeros([8, 8, 3], np.uint8))
    with pytest.raises(UserError, match="`labels"):
        open_source(str(tmp_path), SourceOptions(labels="has_hat"))
