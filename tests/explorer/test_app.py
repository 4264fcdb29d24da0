"""The routes: views as JSON in, pictures, files and commands out."""

import io
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="starlette is not installed")

from stylegan_tf.config import BlendOptions
from stylegan_tf.editing.blending import blended
from stylegan_tf.explorer.app import Application
from stylegan_tf.explorer.network_choices import NetworkChoices
from stylegan_tf.explorer.projections import FoundPictures
from stylegan_tf.explorer.renderer import as_png
from stylegan_tf.files.dlatents import load_dlatents, load_noise
from stylegan_tf.metrics.features.image_distance import pixel_distance
from stylegan_tf.networks.network_file import load_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from tests.helpers.asgi import AsgiClient


@pytest.fixture(scope="module")
def page(networks):
    """(client, its networks)."""
    found = FoundPictures()
    choices = NetworkChoices(str(networks / "networks"), str(networks / "directions.npz"), True, found)
    with AsgiClient(Application(choices, found, pixel_distance()).asgi()) as client:
        yield client, choices


def _pixels(answer):
    assert answer.status == 200, answer.body
    return np.asarray(Image.open(io.BytesIO(answer.body))).astype(int)


def test_a_network_is_described_with_what_its_controls_need(page):
    client, _ = page
    facts = client.get("/api/network?name=classes").json()
    assert facts["networks"] == ["classes", "classes_relative", "growing", "large"] and facts["network"] == "classes"
    assert facts["labels"] == ["cat", "dog", "owl"] and facts["first"]["classes"] == {"0": 1.0}
    assert len(facts["directions"]) == 12 and facts["spaces"] == ["w+", "w"]
    assert [layer["resolution"] for layer in facts["layers"]] == [4, 4, 8, 8, 16, 16]
    growing = client.get("/api/network?name=growing").json()
    assert growing["layers"][-1]["resolution"] == 16 and growing["labels"] == []
    assert client.get("/api/network").json()["network"] == "large"
    assert client.get("/api/network?name=..%2Fx").status == 422
    assert _pixels(client.get("/api/examples/5.png?network=classes")).shape == (16, 16, 3)
    assert client.get("/api/examples/6.png?network=classes").status == 404


@pytest.mark.parametrize("network, size", [("classes", 16), ("growing", 16), ("large", 256)])
def test_files_hold_the_picture_that_is_shown(page, tmp_path, network, size):
    client, choices = page
    view = {"network": network, "seed": 7, "offset": [0.25, 0.5], "strengths": {"2": 2}, "mixing": {"fine": 3}}
    shown = _pixels(client.post("/api/picture.png", view))
    (tmp_path / "dlatents.npz").write_bytes(client.post("/api/dlatents.npz", view).body)
    painter = choices.get(network).renderer.painter
    ws = load_dlatents(tmp_path / "dlatents.npz", *painter.dlatent_shape)
    noise = load_noise(tmp_path / "dlatents.npz", 1, painter.noise_shapes)
    (made,) = painter.image_batches(ws, noise=noise)
    assert shown.shape == (size, size, 3) and np.abs(shown - made[0]).max() <= 1
    thumbnail = _pixels(client.post("/api/thumbnail.png", view))
    assert thumbnail.shape[0] == min(size, 128) and (size > 128 or (thumbnail == shown).all())
    answer = client.post("/api/command", view).json()
    assert answer["needs_file"] and f"networks/{network}.npz --dlatents dlatents.npz" in answer["command"]


@pytest.mark.parametrize("blend", [{"share": 0.25}, {"swap": 8}, {"share": 0.0}])
def test_a_blend_is_the_network_that_blend_makes(page, networks, blend):
    client, _ = page
    options = BlendOptions(swap=8) if "swap" in blend else BlendOptions(f"{1 - blend['share']},{blend['share']}")
    paths = [networks / "networks" / f"{name}.npz" for name in ("classes", "classes_relative")]
    generator = blended({path.stem: load_networks(path).best_generator for path in paths}, options)
    painter = Painter(generator, np.eye(3, dtype=np.float32)[1], None, Truncation(0.5, 6, "class"))
    (expected,) = painter.pictures(painter.dlatents(painter.latents([7])))
    view = {"network": "classes", "seed": 7, "psi": 0.5, "cutoff": 6, "classes": {"1": 1}}
    one = _pixels(client.post("/api/picture.png", view))
    both = {**view, "blend": {"network": "classes_relative", **blend}}
    assert np.abs(_pixels(client.post("/api/picture.png", both)) - expected).max() <= 1
    assert (_pixels(client.post("/api/picture.png", view)) == one).all()
    assert "stylegan_tf.blend --networks " in client.post("/api/command", both).json()["command"]


def test_networks_that_cannot_be_blended_are_named(page):
    client, _ = page
    address = "/api/network/blend?name=classes&with="
    assert client.get(address + "classes_relative").status == 200
    answer = client.get(address + "growing")
    assert answer.status == 422
    assert answer.json()["error"].startswith("Classes and growing cannot be blended: resolution is 16 in the first")
    assert client.get(address + "x").json()["error"].startswith("There is no network 'x' here")


def test_layers_have_feature_maps_and_noise(page):
    client, _ = page
    assert _pixels(client.post("/api/layers/2/features.png", {"network": "classes"})).shape == (16, 24, 3)
    assert _pixels(client.post("/api/layers/2/noise.png", {"network": "classes"})).shape == (8, 8, 3)
    for path in ("features", "noise"):
        assert client.post(f"/api/layers/6/{path}.png", {"network": "classes"}).status == 404


@pytest.mark.parametrize(
    "path, body, message",
    [
        (
            "picture.png",
            {"network": "classes", "seed": -5},
            "Seed must be a whole number from 0 to 4294967295, got -5.",
        ),
        ("picture.png", b'{"psi": NaN}', "The request is not JSON (NaN is not a JSON number)."),
        ("picture.png", b"[" * 100_000, "The request is not JSON (nested too deeply)."),
        ("picture.png", [], "A JSON object is expected, got []."),
        ("picture.png", {"network": "classes", "found": "x"}, "The image that was found is no longer kept here"),
        ("videos", {}, "Keys is missing"),
        ("videos", {"keys": [{"network": "classes"}]}, "A video takes 2 to 32 key frames, there are 1."),
        (
            "videos",
            {"keys": [{"network": "classes"}, {"network": "growing"}]},
            "The key frames are of several networks",
        ),
        ("picture.png", {"network": "classes", "blend": {"network": "large"}}, "Classes and large cannot be blended"),
        ("videos", {"keys": [{}, {}], "format": "exe"}, "Format must be one of webp, mp4, got exe."),
        ("videos", {"keys": [{}, {}], "seconds": 1e9}, "Seconds must be a number"),
        ("projections?space=w%2B&steps=20", b"", "Choose an image first."),
        ("projections?space=q&steps=20", b"x", "Space must be one of w+, w"),
        ("projections?space=w&steps=-1", b"x", "Steps must be a whole number from 1 to 1000"),
        ("projections?space=w&steps=%D9%A3", b"x", "Steps must be a whole number from 1 to 1000"),  # An Arabic 3.
        ("projections?space=w&steps=" + "9" * 5000, b"x", "Steps must be a whole number from 1 to 1000"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(page, capfd, path, body, message):
    client, _ = page
    answer = client.post(f"/api/{path}", body)
    assert answer.status == 422 and answer.json()["error"].startswith(message)
    assert len(answer.json()["error"]) < 200 and "Traceback" not in "".join(capfd.readouterr())


def test_routes_that_are_not_there_say_so(page):
    client, _ = page
    assert client.get("/api/nothing").json() == {"error": "Not Found"}
    assert client.get("/static/../app.py").status == 404 and client.get("/api/jobs/x").status == 422


def _ended(client, answer):
    assert answer.status == 202, answer.body
    path = f"/api/jobs/{answer.json()['job']}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        progress = client.get(path).json()
        if progress["state"] not in ("waiting", "running"):
            return path, progress
        time.sleep(0.02)
    raise AssertionError(progress)


def test_what_is_found_is_a_view_like_any_other(page):
    client, _ = page
    upload = as_png(np.full([20, 20, 3], 99, np.uint8))
    query = "space=w&steps=3&view=%7B%22network%22:%22classes%22%7D"
    path, ended = _ended(client, client.post(f"/api/projections?{query}", upload))
    assert ended["state"] == "done" and ended["text"].startswith("step 3 of 3")
    found = {"network": "classes", "found": ended["result"]}
    shown = _pixels(client.post("/api/picture.png", found))
    assert np.abs(shown - _pixels(client.get(f"{path}/now.png"))).max() <= 1
    assert (_pixels(client.get(f"/api/found/{ended['result']}/target.png")) == 99).all()
    assert (_pixels(client.post("/api/picture.png", {**found, "psi": 0.1, "seed": 9})) == shown).all()
    answer = client.post("/api/picture.png", {**found, "network": "classes_relative"})  # Of the same shape.
    assert answer.status == 422 and "belongs to another network" in answer.json()["error"]
    answer = client.post(f"/api/projections?{query}", b"x" * (20 * 2**20 + 1))
    assert answer.status == 422 and "the limit is 20,971,520" in answer.json()["error"]
    _, ended = _ended(client, client.post("/api/projections?space=w&steps=3&name=my%20cat.png", b"no picture"))
    assert (ended["state"], ended["text"]) == ("failed", "my cat.png: this is not a readable image.")


def test_key_frames_become_a_video(page):
    client, _ = page
    keys = [{"network": "classes", "seed": seed, "noise_mode": "none"} for seed in (1, 2)]
    keys[1]["blend"] = {"network": "classes_relative", "share": 1}
    path, ended = _ended(client, client.post("/api/videos", {"keys": keys, "seconds": 0.25}))
    answer = client.get(f"{path}/file")
    assert ended["state"] == "done" and answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.body)) as video:
        assert video.n_frames == 12
        frame = np.asarray(video.convert("RGB").resize((16, 16), Image.Resampling.BOX), int)
    assert np.abs(frame - _pixels(client.post("/api/picture.png", keys[0]))).mean() < 8  # WebP is lossy.
