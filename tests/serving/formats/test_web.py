"""The page that runs a generator in the browser: its numbers in Node, its pictures in headless Chromium."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stylegan_tf
from stylegan_tf.config import ServingOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.ops.resampling import to_uint8
from stylegan_tf.serving.formats import folder, portable
from stylegan_tf.serving.formats.folder import export_folder, page_info, write_model_card, write_web_page
from stylegan_tf.visualize.painter import seed_latents
from tests.helpers import tiny_networks as tiny
from tests.helpers.browser import Browser, open_browser

SCRIPT = Path(stylegan_tf.__file__).parent / "serving" / "formats" / "web_page" / "stylegan.js"
SEEDS = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, *np.random.RandomState(0).randint(2**32, size=995).tolist()]
# The folder dist of onnxruntime-web, which no test downloads: docs/serving.md has the command.
ORT_DIR = os.environ.get("STYLEGAN_TF_ORT_DIR")


def node(expression, *arguments):
    """The value of a JavaScript expression with the names of stylegan.js and `args`."""
    if not shutil.which("node"):
        pytest.skip("Node is not installed (Debian: nodejs)")
    names = "{ MersenneTwister, latentsOfSeed, slerp, truncate, mix, asRgba, fileName }"
    program = f"const {names} = require({json.dumps(str(SCRIPT))}); const args = JSON.parse(require('fs')"
    program += f".readFileSync(0)); console.log(JSON.stringify({expression}))"
    done = subprocess.run(["node", "-e", program], input=json.dumps(arguments), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_latents_of_a_thousand_seeds_are_numpys():
    for size in (1, 7, 512):
        found = node("args[0].map((seed) => Array.from(latentsOfSeed(seed, args[1])))", SEEDS, size)
        expected = [np.random.RandomState(seed).randn(1, size)[0] for seed in SEEDS]
        np.testing.assert_array_max_ulp(np.float32(found), np.float32(expected), maxulp=1)


def test_the_arithmetic_of_styles():
    w, other, centre = np.arange(12.0), -np.arange(12.0), np.array([1.0, 2, 3])
    found = node("truncate(args[0], 0.5, args[1], 2)", w.tolist(), centre.tolist())
    expected = np.concatenate([(centre + 0.5 * (w.reshape(4, 3) - centre))[:2].ravel(), w[6:]])
    np.testing.assert_allclose(found, expected)
    assert node("mix(args[0], args[1], 1, 3, 3)", w.tolist(), other.tolist()) == [*w[:3], *other[3:9], *w[9:]]
    np.testing.assert_allclose(node("slerp([1, 0], [0, 3], 0.5)"), [2 * 0.5**0.5] * 2)
    gray = node("Array.from(asRgba({width: 1, height: 2, channels: 1, data: [7, 9]}))")
    assert gray == [7, 7, 7, 255, 9, 9, 9, 255]
    assert node("Array.from(asRgba({width: 1, height: 1, channels: 4, data: [1, 2, 3, 4]}))") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "chosen, facts, name",
    [
        ({}, {}, "seed7.png"),
        ({"psi": 1}, {}, "seed7-psi1.png"),
        ({"psi": 1}, {"centres": []}, "seed7.png"),  # The traditional generator is not truncated.
        ({"mixing": True}, {}, "seed7-mix9-from4.png"),
        ({"psi": -0.35, "mixing": True, "label": 2}, {"label_size": 3}, "seed7-class2-psi-0.35-mix9-from4.png"),
    ],
)
def test_only_pictures_of_the_seed_alone_are_named_after_it_alone(chosen, facts, name):
    chosen = {"seed": 7, "other": 9, "psi": 0.7, "label": 0, "crossover": 4, "mixing": False, **chosen}
    facts = {"label_size": 0, "centres": [[0.0]], "default_truncation_psi": 0.7, **facts}
    assert node("fileName(args[0], args[1])", chosen, facts) == name


def test_a_missing_runtime_is_reported(tmp_path):
    networks = Networks(tiny.generator()[0], None, None, {})
    with pytest.raises(UserError, match="`ort_dir` is missing: unpack the npm package onnxruntime-web"):
        write_web_page(networks, tmp_path, ServingOptions(), None)
    with pytest.raises(UserError, match="ort.wasm.bundle.min.mjs does not exist"):
        write_web_page(networks, tmp_path, ServingOptions(), tmp_path)
    with pytest.raises(UserError, match="`ort_dir` is missing"):
        export_folder(networks, tmp_path, "hub", ServingOptions())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind, name",
    [
        ("onnx", "README.md"),
        ("web", "index.html"),
        ("hub", "config.json"),
        ("hub", "network.npz"),
        ("hub", "space/README.md"),
    ],
)
def test_files_of_others_are_not_overwritten(tmp_path, kind, name):
    (tmp_path / "space").mkdir()
    (tmp_path / name).write_bytes(b"precious \xff")
    networks = Networks(tiny.generator()[0], None, None, {})
    with pytest.raises(UserError, match=f"`dest` holds a {name} that no export has written: choose another `dest`"):
        export_folder(networks, tmp_path, kind, ServingOptions())
    assert (tmp_path / name).read_bytes() == b"precious \xff"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]


def test_a_model_card_leaves_out_what_is_not_known(tmp_path):
    metadata = {"label_names": None, "kimg": None, "dataset": None, "metrics": {"fid50k": {"fid": None}}}
    text = write_model_card(tmp_path, tiny.generator(label_size=2)[0], "mine", metadata, "- one file").read_text()
    assert "# mine" in text and "| Labels | 2 |" in text and "| Training images shown | not recorded |" in text


BARS = {"content_box": [0.0, 0.25, 1.0, 0.75]}


@pytest.mark.parametrize(
    "metadata, box, images",
    [
        ({}, None, "8x8, 3 channels"),
        (BARS, BARS["content_box"], "8x4, 3 channels; without the bars of the letterboxed training pictures"),
        (BARS, None, "8x8, 3 channels; letterboxed, with bars"),
        ({"aspect_ratio": 1.6}, None, "8x8, 3 channels; stretched to squares from pictures 1.6 times as wide as high"),
    ],
)
def test_a_model_card_states_the_size_of_the_images_that_are_exported(tmp_path, metadata, box, images):
    generator = tiny.generator(resolution=8)[0]
    text = write_model_card(tmp_path, generator, "mine", metadata, "- one file", box).read_text()
    assert f"| Images | {images} |" in text


@pytest.mark.parametrize(
    "resolution, groups",
    [
        (16, [["coarse", 0, 2], ["middle", 2, 4], ["fine", 4, 6]]),
        (32, [["coarse", 0, 4], ["middle", 4, 6], ["fine", 6, 8]]),
        (64, [["coarse", 0, 4], ["middle", 4, 8], ["fine", 8, 10]]),
    ],
)
def test_the_page_groups_layers_as_mix_does(resolution, groups):
    networks = Networks(tiny.generator(resolution=resolution)[0], None, None, {})
    assert page_info(networks, ServingOptions())["groups"] == groups


def test_a_folder_for_the_hub_has_all_that_its_page_shows(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")
    runtime = {"ort.wasm.bundle.min.mjs": "module", "ort-wasm-simd-threaded.wasm": "wasm"}
    for name, text in runtime.items():
        (tmp_path / name).write_text(text)
    licence = "weights stay under their licence, CC BY-NC 4.0"
    metadata = {"dataset": "cats", "licence": licence, "metrics": {"fid50k": {"fid": 4.5}}, "aspect_ratio": 1.6}
    networks = Networks(tiny.generator(label_size=2)[0], None, None, {"label_names": ["tabby", "black"]})
    exports = []

    def counted(*arguments, **options):
        exports.append(arguments)
        return portable.export_portable(*arguments, **options)

    monkeypatch.setattr(folder, "export_portable", counted)
    options = ServingOptions(aspect_ratio=2.0)
    written = export_folder(networks, tmp_path / "hub", "hub", options, metadata=metadata, ort_dir=str(tmp_path))
    names = {str(path.relative_to(tmp_path / "hub")) for path in written}
    assert {"README.md", "config.json", "network.npz", "samples.png", "onnx/mapping.onnx"} <= names
    assert {"space/README.md", "space/index.html", "space/model.js", "space/runtime.js"} <= names
    card = (tmp_path / "hub" / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-nc-4.0\n") and "| fid50k | fid 4.5 |" in card and "# cats" in card
    assert "sdk: static" in (tmp_path / "hub" / "space" / "README.md").read_text()
    facts = json.loads((tmp_path / "hub/space/model.js").read_text()[len("const MODEL = ") : -2])["facts"]
    width, height = Image.open(tmp_path / "hub" / "samples.png").size
    assert facts["aspect_ratio"] == 2.0 and width == 2 * height, "the options' ratio, not that of the network"
    assert facts["label_names"] == ["tabby", "black"] and (facts["num_layers"], facts["w_size"]) == (4, 7)
    assert json.loads((tmp_path / "hub" / "config.json").read_text())["label_size"] == 2
    assert len(exports) == 1
    assert b"aspect_ratio" in (tmp_path / "hub" / "onnx" / "mapping.onnx").read_bytes()
    with pytest.raises(UserError, match="`ort_dir` is missing"):  # Nothing else: an export replaces an earlier one.
        export_folder(networks, tmp_path / "hub", "hub", ServingOptions())


@contextlib.contextmanager
def serving(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/index.html"
    finally:
        server.shutdown()


PICTURE = """
const [seed, other, psi, label, done] = arguments;
(async () => {
  const { num_layers, w_size } = generator.facts;
  const w = await generator.stylesOfSeed(seed, psi, label);
  const mixed = mix(w, await generator.stylesOfSeed(other, psi, label), 2, num_layers, w_size);
  const pictures = [await generator.picture(w), await generator.picture(mixed)];
  return pictures.map(({ data }) => Array.from(data));
})().then(done, (error) => done(String(error)));
"""


@pytest.mark.end_to_end
def test_chromium_shows_the_pictures_of_the_network_and_asks_nobody_else(tmp_path):
    pytest.importorskip("tf2onnx")
    if not ORT_DIR:
        pytest.skip("STYLEGAN_TF_ORT_DIR does not name the folder dist of onnxruntime-web")
    generator, _ = tiny.generator(label_size=2, num_channels=1, resolution=16)
    networks = Networks(generator, None, None, {"label_names": ["a", "b"]})
    options = ServingOptions(truncation_cutoff=4, truncation_centre="class", aspect_ratio=1.6)
    write_web_page(networks, tmp_path, options, ORT_DIR)
    labels = np.float32([[0, 1]])
    ws = [generator.broadcast(generator.mapping_network(z[None], labels=labels)) for z in seed_latents([7, 8], 5)]
    w, other = (generator.truncate(w, Truncation(0.5, 4, "class"), labels).numpy() for w in ws)
    mixed = np.concatenate([w[:, :2], other[:, 2:]], axis=1)
    expected = [to_uint8(generator.synthesis(w, noise_mode="const")).numpy().ravel() for w in (w, mixed)]
    driver = open_browser(tmp_path)
    try:
        with serving(tmp_path) as url:
            for address in (url, (tmp_path / "index.html").as_uri()):
                driver.get(address)
                check_page(driver, expected)
    finally:
        driver.quit()


def check_page(driver, expected):
    browser, script = Browser(driver, downloads=None), driver.execute_script
    browser.until(lambda: script("return document.getElementById('status').textContent").endswith("ms"))
    found = driver.execute_async_script(PICTURE, 7, 8, 0.5, 1)
    assert np.abs(np.array(found) - expected).max() <= 1 and np.std(expected) > 5
    assert script("const { width, height } = document.getElementById('picture'); return [width, height]") == [26, 16]
    script("document.getElementById('make_table').click()")
    assert "coarse styles (layers 0 to 1)" in script("return document.getElementById('range').textContent")
    browser.until(lambda: len(driver.find_elements("css selector", "#table canvas")) == 20)
    script("HTMLAnchorElement.prototype.click = function () { window.saved = this.download; }")
    saved = "document.getElementById('save').click(); return window.saved"
    browser.set("#psi", 1)
    browser.until(lambda: script(saved) == "seed0-class0-psi1.png")
    script("document.getElementById('seed').value = 50")  # Typed, not drawn yet.
    assert script(saved) == "seed0-class0-psi1.png"
    shown = "return document.getElementById('picture').toDataURL()"
    first = script(shown)
    script("document.getElementById('walk').click()")
    browser.until(lambda: script(shown) != first)
    assert script(saved) == "walk.png"
    assert browser.addresses() <= {"127.0.0.1", None, ""}
