"""Exports read by programs that do not know this package: TensorFlow's tools and C API, OpenVINO, TensorFlow Hub."""

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.serving.saved_model import export_generator
from tests.helpers.exported_models import ENVIRONMENT, NAMES, PSI, assert_same, inputs_of

pytestmark = pytest.mark.end_to_end

HERE = Path(__file__).parent
MARK = ServingOptions(bad_rows="mark")


@functools.cache
def signature_of(folder, signature="serving_default"):
    """{name: (operation, index)} as `saved_model_cli show` tells it."""
    cli = Path(sys.executable).with_name("saved_model_cli")
    command = [str(cli), "show", "--dir", str(folder), "--tag_set=serve", "--signature_def", signature]
    text = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True, timeout=300).stdout
    assert "Method name is: tensorflow/serving/predict" in text and "shape: (-1)" in text
    found = re.findall(r"(?:inputs|outputs)\['(\w+)'\].*?name: (\S+):(\d+)", text, re.DOTALL)
    return {name: (operation, index) for name, operation, index in found}


def arguments_of(folder):
    """Names of operations for the C program."""
    names = signature_of(folder)
    return [names["latents"][0], names["truncation_psi"][0], *names["images"]]


def test_saved_model_cli_shows_and_runs_it(exports, models, tmp_path):
    model = models["unconditional"]
    folder = exports / "unconditional" / "1"
    assert set(signature_of(folder)) == {"latents", "truncation_psi", "images"}
    np.savez(tmp_path / "inputs.npz", z=model.latents, psi=PSI)
    cli = Path(sys.executable).with_name("saved_model_cli")
    command = [str(cli), "run", "--dir", str(folder), "--tag_set=serve", "--signature_def=serving_default"]
    files = "latents=inputs.npz[z];truncation_psi=inputs.npz[psi]"
    command += ["--inputs", files, "--outdir", str(tmp_path)]
    subprocess.run(command, capture_output=True, env=ENVIRONMENT, check=True, timeout=300, cwd=tmp_path)
    assert_same(np.load(tmp_path / "images.npy"), model.images())


@pytest.fixture(scope="module")
def c_program(tmp_path_factory):
    compiler = shutil.which("gcc") or shutil.which("cc")
    library = Path(tf.__file__).parent
    libraries = [path for name in ("cc", "framework") for path in library.glob(f"libtensorflow_{name}.so.2")]
    if not compiler or len(libraries) != 2:
        pytest.skip("needs a C compiler and the shared libraries of TensorFlow")
    program = tmp_path_factory.mktemp("c") / "run_saved_model"
    command = [compiler, str(HERE / "run_saved_model.c"), "-o", str(program), "-I", tf.sysconfig.get_include()]
    done = subprocess.run([*command, *map(str, libraries), f"-Wl,-rpath,{library}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("name", ["unconditional", "letterboxed"])
def test_a_c_program_gets_the_same_bytes(c_program, exports, models, name):
    model = models[name]
    (folder,) = (exports / name).iterdir()
    expected = tf.saved_model.load(str(folder)).signatures["serving_default"](
        latents=tf.constant(model.latents), truncation_psi=tf.fill([3], 0.7)
    )["images"]
    assert_same(expected.numpy(), model.images(psi=np.full([3], 0.7, np.float32)))
    command = [str(c_program), str(folder), *arguments_of(folder)]
    rows, width = model.latents.shape
    done = subprocess.run(
        [*command, str(rows), str(width)], input=model.latents.tobytes(), capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.uint8).reshape(expected.shape), expected)


@pytest.mark.parametrize(
    "latents, message",
    [
        (np.zeros([3, 4], np.float32), b"latents must have the shape [N, 5], got] [3 4]"),
        (np.full([2, 5], np.nan, np.float32), b"latents must be finite, got NaN or infinity."),
    ],
)
def test_the_c_program_is_told_of_wrong_latents(c_program, exports, latents, message):
    """The runtime's optimiser, which knows the shape that the signature declares, leaves the check in place."""
    folder = exports / "unconditional" / "1"
    command = [str(c_program), str(folder), *arguments_of(folder), *map(str, latents.shape)]
    done = subprocess.run(command, input=latents.tobytes(), capture_output=True, timeout=300)
    assert (done.returncode, done.stdout) == (3, b"")  # INVALID_ARGUMENT
    assert message in done.stderr


OPENVINO = """
import sys
import numpy as np, openvino
inputs = dict(np.load("inputs.npz"))
# By default its CPU plugin computes in bfloat16 where the processor can.
model = openvino.Core().compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
np.save("images.npy", model(inputs)["images"])
assert not {"tensorflow", "stylegan_tf", "keras"} & set(sys.modules)
"""


@pytest.mark.parametrize("name", NAMES)
def test_openvino_reads_and_runs_it_without_tensorflow(exports, models, tmp_path, name):
    pytest.importorskip("openvino")
    (folder,) = (exports / name).iterdir()
    np.savez(tmp_path / "inputs.npz", **inputs_of(models[name]))
    command = [sys.executable, "-c", OPENVINO, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert_same(np.load(tmp_path / "images.npy"), models[name].images())


BAD_ROWS = """
import json, sys
import numpy as np, openvino
inputs = dict(np.load("inputs.npz"))
z, psi = inputs["latents"], inputs["truncation_psi"]
requests = {"NaN": (z * np.float32([[1], [np.nan], [1]]), psi), "psi": (z, psi + np.float32([0, np.inf, 0]))}
requests.update(one=(z, psi[:1]), two=(z, psi[:2]), row=(z[:1], psi), good=(z, psi))
model = openvino.Core().compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = {}
for name, (latents, psi) in requests.items():
    try:
        answer = model({"latents": latents, "truncation_psi": psi})
        answers[name] = answer["ok"].tolist() if len(model.outputs) == 2 else "answered"
        assert name == "good" or (answer["images"][1] == 128).all()
    except RuntimeError:
        answers[name] = "refused"
print(json.dumps(answers))
"""


@pytest.mark.parametrize("bad_rows", ["fail", "mark"])
def test_what_is_wrong_does_not_pass_where_assertions_are_left_out(exports, models, tmp_path, bad_rows):
    pytest.importorskip("openvino")
    folder, ill = exports / "unconditional" / "1", "refused"
    if bad_rows == "mark":
        folder, ill = export_generator(models["unconditional"].generator, tmp_path / "marks", MARK), [True, False, True]
    np.savez(tmp_path / "inputs.npz", **inputs_of(models["unconditional"]))
    command = [sys.executable, "-c", BAD_ROWS, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    good = [True] * 3 if bad_rows == "mark" else "answered"
    lengths = dict.fromkeys(["one", "two", "row"], "refused")
    assert json.loads(done.stdout) == {"NaN": ill, "psi": ill, **lengths, "good": good}


def test_no_operation_of_an_export_is_an_input_for_converters(exports):
    """tf2onnx takes a PlaceholderWithDefault for another input of the model, and stops."""
    assert b"PlaceholderWithDefault" not in (exports / "unconditional" / "1" / "saved_model.pb").read_bytes()


HUB = """
import sys
import numpy as np, tensorflow as tf, tensorflow_hub as hub
inputs = {name: tf.constant(value) for name, value in np.load("inputs.npz").items()}
layer = hub.KerasLayer(sys.argv[1], signature="serving_default", output_key="images")
np.save("images.npy", layer(inputs))
model = hub.load(sys.argv[1])
with tf.GradientTape() as tape:
    tape.watch(inputs["latents"])
    images = model(inputs)
gradient = tape.gradient(images, inputs["latents"]).numpy()
assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
np.save("floats.npy", images)
if "labels" not in inputs:
    z = inputs["latents"]
    expected = tf.saved_model.load(sys.argv[1]).signatures["sample"](z)["images"].numpy()
    if hasattr(tf.keras.layers, "TFSMLayer"):  # Keras 3.
        layer = tf.keras.layers.TFSMLayer(sys.argv[1], call_endpoint="sample")
        np.testing.assert_array_equal(layer(z)["images"], expected)
    else:
        floats = tf.keras.Sequential([hub.KerasLayer(sys.argv[1])]).predict(z, verbose=0)
        assert np.abs(floats * 255 - expected).max() < 1.01
    whole = {"latents": z, "truncation_psi": tf.ones([3])}
    np.testing.assert_allclose(hub.KerasLayer(sys.argv[1])(z), model(whole), atol=1e-6)
assert "stylegan_tf" not in sys.modules
"""


@pytest.mark.parametrize("name", ["letterboxed", "conditional"])
def test_tensorflow_hub_loads_it(exports, models, tmp_path, name):
    (folder,) = (exports / name).iterdir()
    np.savez(tmp_path / "inputs.npz", **inputs_of(models[name]))
    command = [sys.executable, "-c", HUB, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    images, floats = np.load(tmp_path / "images.npy"), np.load(tmp_path / "floats.npy")
    assert_same(images, models[name].images())
    assert floats.dtype == np.float32 and np.abs(floats * 255 - images).max() < 1.01


def test_the_metadata_tell_where_the_export_comes_from(exports, models):
    (folder,) = (exports / "letterboxed").iterdir()
    metadata = json.loads((folder / "assets.extra" / "metadata.json").read_text())
    assert metadata["network"]["file"] == "network-000000.npz" and metadata["network"]["kimg"] == 0.016
    assert metadata["network"]["dataset"] == "data" and metadata["network"]["metrics"] == {}
    assert metadata["image_shape"] == [4, 8, 3]
    assert metadata["options"]["content_box"] == [0.0, 0.25, 1.0, 0.75]
    assert metadata["architecture"] == models["letterboxed"].generator.config.to_dict()
    assert re.fullmatch("[0-9a-f]{64}", metadata["weights_sha256"])
    card = (folder / "assets.extra" / "README.md").read_text()
    assert "| Training data | data |" in card and "serving_default, png, mapping" in card
    assert (folder / "fingerprint.pb").stat().st_size > 0  # TensorFlow's own, which Serving reports.


def test_constants_and_half_precision_show_the_same_and_need_their_space(exports, models, tmp_path):
    model = models["unconditional"]
    expected = model.images().astype(int)
    folders = {"float32": exports / "unconditional" / "1"}
    for kind, options in {"constants": {"constants": True}, "float16": {"weights": "float16"}}.items():
        folders[kind] = export_generator(model.generator, tmp_path / kind, ServingOptions(**options))
        served = tf.saved_model.load(str(folders[kind])).signatures["serving_default"]
        inputs = {name: tf.constant(value) for name, value in inputs_of(model).items()}
        difference = np.abs(served(**inputs)["images"].numpy() - expected)
        assert difference.mean() <= (1.0 if kind == "float16" else 0.01), kind
    sizes = {kind: sum(path.stat().st_size for path in folder.glob("variables/*")) for kind, folder in folders.items()}
    assert sizes["float16"] < 0.8 * sizes["float32"]  # Names of variables take their share of so small a network.
    assert sizes["constants"] < 0.1 * sizes["float32"]
