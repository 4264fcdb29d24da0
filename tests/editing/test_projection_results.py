"""Results of projection: what is there already, and what has to be made again."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import INCEPTION, PictureOptions, ProjectionConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing import projecting
from stylegan_tf.editing.projecting import Result, ResultFolder, Targets, project, project_files
from stylegan_tf.networks.network_file import Networks, save_networks
from tests.helpers import tiny_networks as tiny
from tests.helpers.colour_profiles import DISPLAY_P3, SEEN, rgb_profile

IMAGE = np.zeros([8, 8, 3], np.uint8)


@pytest.fixture
def result():
    return Result(IMAGE, IMAGE, np.zeros([1, 2, 4], np.float32), [], 0.5)


def test_what_is_left_out_is_reported(tmp_path):
    lines = []
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"something else")
    assert Targets(str(tmp_path), PictureOptions(8, 3, "crop"), note=lines.append).names == ["a"]
    assert lines == [f"{tmp_path}: skipped 1 .heic, such as b.heic"]


@pytest.mark.parametrize("similar", ["my_cat", "my_Cat"])
def test_pictures_of_similar_names_get_folders_of_their_own(tmp_path, similar):
    for name in ("my cat.png", f"{similar}.png", "dog.png"):
        Image.fromarray(IMAGE).save(tmp_path / name)
    assert Targets(str(tmp_path), PictureOptions(8, 3, "crop")).names == ["dog_0000", "my_cat_0001", f"{similar}_0002"]


@pytest.mark.parametrize("name", ["projected.png", "target.png", "dlatents.npz", "projection.json"])
def test_a_result_with_an_empty_file_is_made_again(tmp_path, result, name):
    folder = ResultFolder(tmp_path / "a", IMAGE, {"steps": 4})
    assert not folder.has_result()
    folder.write(result)
    assert folder.has_result() and not ResultFolder(tmp_path / "a", IMAGE, {"steps": 5}).has_result()
    (tmp_path / "a" / name).write_bytes(b"")
    assert not folder.has_result()


def test_a_result_without_the_video_is_none_where_one_is_wanted(tmp_path, result):
    folder = ResultFolder(tmp_path, IMAGE, {})
    folder.write(result)
    assert folder.has_result() and not folder.has_result(video=True)
    folder.write(result, [IMAGE, IMAGE + 9])
    assert folder.has_result() and folder.has_result(video=True)
    (tmp_path / "projection.webp").unlink()
    assert folder.has_result() and not folder.has_result(video=True)


@pytest.mark.parametrize("content", ["[1]", "[" * 100000, '{"options": {}, "bytes": 3}'])
def test_a_damaged_record_is_none(tmp_path, result, content):
    folder = ResultFolder(tmp_path, IMAGE, {})
    folder.write(result)
    options = json.loads((tmp_path / "projection.json").read_text())["options"]
    (tmp_path / "projection.json").write_text(content.replace("{}", json.dumps(options)))
    assert not folder.has_result()


@pytest.mark.parametrize(
    "target, outdir, error, message",
    [
        ("target.png", ".", UserError, "would replace the target"),
        (".", ".", UserError, "is in the folder of the target pictures"),
        (".", "out/inner", UserError, "is in the folder of the target pictures"),
        ("target.png", "target.png", FileExistsError, "target.png"),
        ("target.png", "target.png/inner", NotADirectoryError, "target.png"),
    ],
)
def test_results_go_where_they_replace_no_target(tmp_path, monkeypatch, target, outdir, error, message):
    monkeypatch.chdir(tmp_path)
    save_networks("net.npz", Networks(None, None, tiny.generator()[0], {}))
    Image.fromarray(IMAGE).save("target.png")
    before = (tmp_path / "target.png").read_bytes()
    with pytest.raises(error, match=message):
        project_files("net.npz", target, outdir, ProjectionConfig(steps=1))
    assert (tmp_path / "target.png").read_bytes() == before


def test_colours_of_a_profile_are_those_that_are_seen(tmp_path):
    Image.new("RGB", (8, 8), (40, 180, 60)).save(tmp_path / "a.png", icc_profile=rgb_profile(DISPLAY_P3, 2.2))
    found = Targets(str(tmp_path / "a.png"), PictureOptions(8, 3, "crop")).image(0)
    np.testing.assert_allclose(found[0, 0], SEEN, atol=2)


def test_features_are_inceptions_unless_named(monkeypatch):
    monkeypatch.setattr(projecting, "load_extractor", lambda handle: SimpleNamespace(name=handle, digest=""))
    assert projecting.choose_distance("features").name == f"{INCEPTION}_squared"


@pytest.mark.parametrize("pictures", [np.zeros([1, 8, 8, 3], np.uint8), np.zeros([1, 4, 8, 3], np.float32)])
def test_pictures_unlike_those_of_the_network_are_refused(pictures):
    networks = Networks(None, None, tiny.generator()[0], {"content_box": [0.0, 0.25, 1.0, 0.75]})
    with pytest.raises(ValueError, match=r"expected uint8 \[N, 4, 8, 3\], got"):
        project(networks, pictures)


def test_targets_of_12_bits_are_reported_and_take_a_white_point(tmp_path):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(levels * 64).save(tmp_path / "a.png")
    dark, right = (Targets(str(tmp_path), PictureOptions(8, 3, "crop", white=white)) for white in (None, 64 * 255))
    dark.image(0)
    np.testing.assert_array_equal(right.image(0)[:, :, 0], levels)
    (line,) = dark.lines()
    assert "1 of them come out nearly black. `white=4032` makes" in line and not list(right.lines())
