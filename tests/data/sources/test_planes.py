"""Planes of arrays and TIFFs: none is lost, and none taken for transparency, without a word."""

import io

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import PictureOptions, SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import fitted, open_source
from stylegan_tf.data.sources.colours import CONVERTED
from tests.helpers.colour_profiles import DISPLAY_P3, rgb_profile

RANDOM = np.random.RandomState(1)
tifffile = pytest.importorskip("tifffile")


def tiff(values, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "count, choices", [(2, "`planes=2` keeps them."), (4, "`planes=4`.*`channels=4`"), (5, "`planes=5`")]
)
@pytest.mark.parametrize("first", [True, False])
def test_planes_need_a_choice(tmp_path, count, choices, first):
    values = RANDOM.randint(0, 256, [3, 32, 32, count]).astype(np.uint8)
    np.save(tmp_path / "a.npy", values.transpose(0, 3, 1, 2) if first else values)
    with pytest.raises(UserError, match=f"00000000 does not fit: it has {count} planes: {choices}"):
        open_source(str(tmp_path / "a.npy"))
    for planes in (count, 1):
        source = open_source(str(tmp_path / "a.npy"), SourceOptions(planes=planes))
        assert source.num_channels == planes
        np.testing.assert_array_equal(source.read(2).image, values[2, :, :, :planes])
    with pytest.raises(UserError, match=f"has {count} planes: `planes` must be at most {count}, got 7"):
        open_source(str(tmp_path / "a.npy"), SourceOptions(planes=7))


def test_the_fourth_plane_is_transparency_where_channels_say_so(tmp_path):
    values = RANDOM.randint(1, 256, [3, 8, 8, 4]).astype(np.uint8)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(
        open_source(str(tmp_path / "a.npy"), SourceOptions(channels=4)).read(1).image, values[1]
    )
    with pytest.raises(UserError, match="planes keeps planes as they are.*give one"):
        SourceOptions(planes=4, channels=4)


@pytest.mark.parametrize("options", [{"channels": 4}, {"planes": 4}, {"planes": 5}])
def test_a_dataset_knows_what_its_channels_are(tmp_path, options):
    values = RANDOM.randint(1, 256, [3, 8, 8, *options.values()]).astype(np.uint8)
    np.save(tmp_path / "a.npy", values)
    folder = write_tfrecords(open_source(str(tmp_path / "a.npy"), SourceOptions(**options)), tmp_path / "set")
    again = open_source(str(folder), SourceOptions(resolution=8))
    assert {name: getattr(again.options, name) for name in options} == options
    np.testing.assert_array_equal(again.read(0).image, open_source(str(folder)).read(0).image)


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb"},
        {"photometric": "rgb", "compression": "zlib"},
        {"photometric": "minisblack", "planarconfig": "contig"},
        {"photometric": "minisblack", "planarconfig": "separate"},
    ],
)
def test_bands_of_tiffs_are_planes(options):
    values = RANDOM.randint(0, 256, [16, 16, 5]).astype(np.uint8)
    is_separate = options.get("planarconfig") == "separate"
    content = tiff(values.transpose(2, 0, 1) if is_separate else values, **options)
    with pytest.raises(UserError, match="it has 5 planes: `planes=5` keeps them"):
        fitted.to_square(content, PictureOptions(16))
    np.testing.assert_array_equal(fitted.to_square(content, PictureOptions(16, planes=5)).image, values)
    with pytest.raises(ValueError):
        fitted.to_square(content[:-400], PictureOptions(16, planes=5))


def test_transparency_of_a_tiff_is_no_plane():
    values = RANDOM.randint(1, 256, [16, 16, 4]).astype(np.uint8)
    content = tiff(values, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(fitted.to_square(content, PictureOptions(16, 4)).image, values)
    assert fitted.to_square(content, PictureOptions(16)).image.shape == (16, 16, 3)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", "<>")
def test_a_white_point_counts_all_bits_of_colours(compression, order):
    values = RANDOM.randint(0, 4096, [16, 16, 3]).astype(np.uint16)
    content = tiff(values, photometric="rgb", byteorder=order, compression=compression)
    found = fitted.to_square(content, PictureOptions(16, white=4095))
    np.testing.assert_array_equal(found.image, np.rint(values * (255 / 4095)))
    assert found.peak == values.max()


def test_pages_are_reported_and_taken(tmp_path):
    pages = RANDOM.randint(0, 256, [5, 16, 16, 3]).astype(np.uint8)
    images = [Image.fromarray(page) for page in pages]
    (tmp_path / "in").mkdir()
    images[0].save(tmp_path / "in" / "stack.tif", save_all=True, append_images=images[1:])
    images[3].save(tmp_path / "in" / "single.tif")
    first = open_source(str(tmp_path / "in"))
    assert len(first) == 2 and first.read(1).noticed == ("pages",) and first.read(0).noticed == ()
    np.testing.assert_array_equal(first.read(1).image, pages[0])
    (tmp_path / "l.csv").write_text("file,class\nstack.tif,3\nsingle.tif,7\n")
    every = open_source(str(tmp_path / "in"), SourceOptions(pages="all", labels=str(tmp_path / "l.csv")))
    assert [every.name(index) for index in range(6)] == ["single.tif", *(f"stack.tif:{page}" for page in range(5))]
    np.testing.assert_array_equal([every.read(index).image for index in range(1, 6)], pages)
    assert every.labels.argmax(axis=1).tolist() == [1, 0, 0, 0, 0, 0]


def test_pages_of_a_table_have_the_label_of_their_row(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files = [tiff(np.zeros([count, 16, 16, 3], np.uint8), photometric="rgb") for count in (2, 1)]
    parquet.write_table(pa.table({"image": files, "label": ["a", "b"]}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"), SourceOptions(pages="all", labels="classes"))
    assert len(source) == 3 and source.labels.argmax(axis=1).tolist() == [0, 0, 1]


def test_no_more_pages_are_counted_than_are_taken(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / f"{name}.tif").write_bytes(tiff(np.zeros([2, 16, 16, 3], np.uint8), photometric="rgb"))
    counted = []
    monkeypatch.setattr(fitted, "count_pages", lambda content: counted.append(content) or 2)
    source = open_source(str(tmp_path), SourceOptions(pages="all", max_images=3))
    assert [source.name(index) for index in range(len(source))] == ["a.tif:0", "a.tif:1", "b.tif:0"]
    assert len(counted) == 2


def test_a_picture_alone_is_a_source(tmp_path):
    Image.fromarray(np.full([8, 8, 3], 7, np.uint8)).save(tmp_path / "a.png")
    assert len(open_source(str(tmp_path / "a.png"))) == 1


def test_planes_are_letterboxed_and_resized_one_by_one():
    values = np.zeros([8, 16, 5], np.uint8)
    values[:, :, 4] = 200
    found = fitted.to_square(values, PictureOptions(8, None, "pad", background="black", planes=5))
    assert found.box == (0, 2, 8, 6)
    np.testing.assert_array_equal(found.image[:, :, 4], np.pad(np.full([4, 8], 200), [(2, 2), (0, 0)]))
    assert not found.image[:, :, :4].any()


GRAY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
COLOURS = RANDOM.randint(0, 256, [8, 8, 3]).astype(np.uint8)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planes", [1, None])
def test_white_is_zero_in_every_depth(order, dtype, planes):
    content = tiff(GRAY.astype(dtype) * (257 if dtype == "uint16" else 1), photometric="miniswhite", byteorder=order)
    found = fitted.to_square(content, PictureOptions(8, None if planes else 1, planes=planes))
    np.testing.assert_array_equal(found.image[:, :, 0], 255 - GRAY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_separate_planes_of_16_bits_are_colours(orientation):
    extra = [(274, "H", 1, orientation, True)]
    options = {"photometric": "rgb", "planarconfig": "separate", "extratags": extra}
    content = tiff(COLOURS.transpose(2, 0, 1).astype(np.uint16) * 257, **options)
    exif = Image.Exif()
    exif[274] = orientation
    stream = io.BytesIO()
    Image.fromarray(COLOURS).save(stream, "PNG", exif=exif)
    expected = fitted.to_square(stream.getvalue(), PictureOptions(8)).image
    np.testing.assert_array_equal(fitted.to_square(content, PictureOptions(8)).image, expected)
    content = tiff(np.dstack([COLOURS, COLOURS[:, :, :2]]), photometric="rgb", extratags=extra)
    found = fitted.to_square(content, PictureOptions(8, planes=5)).image
    np.testing.assert_array_equal(found, np.dstack([expected, expected[:, :, :2]]))


def test_the_size_is_that_after_turning_where_pillow_cannot_read():
    content = tiff(np.zeros([5, 8, 3], np.uint32), photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    assert fitted.picture_size(content) == (5, 8)


def test_separate_planes_keep_their_profile():
    profile = rgb_profile(DISPLAY_P3, 2.2)
    found = [
        fitted.to_square(tiff(values, photometric="rgb", iccprofile=profile, **options), PictureOptions(8))
        for values, options in [
            (COLOURS, {}),
            (COLOURS.transpose(2, 0, 1).astype(np.uint16) * 257, {"planarconfig": "separate"}),
        ]
    ]
    np.testing.assert_array_equal(found[0].image, found[1].image)
    assert found[0].noticed == found[1].noticed == (CONVERTED,)


@pytest.mark.parametrize(
    "values, options, message",
    [
        (COLOURS.astype(np.uint16), {"photometric": "cielab"}, "its colours are CIELAB, expected gray or RGB"),
        (
            RANDOM.randint(0, 65536, [4, 8, 8]).astype(np.uint16),
            {"photometric": "separated", "planarconfig": "separate"},
            "its colours are SEPARATED, expected gray or RGB",
        ),
        (GRAY.astype(np.uint16), {"photometric": "palette", "colormap": np.zeros([3, 65536], np.uint16)}, "PALETTE"),
        (GRAY.astype(np.int8), {"photometric": "minisblack"}, "holds int8 from -128 to 124: `white=N`"),
    ],
)
def test_samples_of_other_meanings_are_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        fitted.to_square(tiff(values, **options), PictureOptions(8))


def test_inks_of_16_bits_have_a_white_point():
    inks = np.dstack([255 - COLOURS, np.zeros([8, 8, 1], np.uint8)])
    eight = fitted.to_square(tiff(inks, photometric="separated"), PictureOptions(8)).image
    content = tiff(inks.astype(np.uint16) * 16, photometric="separated")
    np.testing.assert_array_equal(fitted.to_square(content, PictureOptions(8, white=4080)).image, eight)
