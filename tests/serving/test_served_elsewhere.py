"""Exports in processes that do not know this package: servers, TensorFlow's C API and tools, OpenVINO, TF-Hub.

With STYLEGAN_TF_OTHER_PYTHON, a Python with the other of the two supported stacks, that one serves the exports, too.
"""

import base64
import contextlib
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from exported_models import PSI, SEEDS, make_networks
from PIL import Image

from stylegan_tf.serving.network_parts import ServingOptions
from stylegan_tf.serving.saved_model import export_generator

pytestmark = pytest.mark.end_to_end

grpc = pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
service_pb2_grpc = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
NAMES = ["unconditional", "conditional", "gray", "letterboxed"]
# Without the checkout on the path; few threads, for the images are small.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
ENVIRONMENT.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def exports(models, tmp_path_factory):
    """A folder with one folder per model. One of them is written by the command, as a user does."""
    root = tmp_path_factory.mktemp("saved_models")
    for name in NAMES[:-1]:
        export_generator(models[name].generator, root / name, metadata={"file": f"{name}.npz"})
    command = [sys.executable, "-m", "stylegan_tf.export", "--network", str(models["letterboxed"].path)]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    (root / "letterboxed" / "1").mkdir(parents=True)  # An older version.
    done = subprocess.run(
        [*command, f"--saved_model_dir={root / 'letterboxed'}"], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, str(root / "letterboxed" / "2")), done.stderr
    (root / "letterboxed" / "1").rmdir()
    return root


class Server:
    """The stand-in for TensorFlow Serving, as a client sees it."""

    def __init__(self, process, address):
        self.process, self.address = process, address
        self.service = service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(f"127.0.0.1:{address['grpc']}"))

    def url(self, name):
        return f"http://127.0.0.1:{self.address['rest']}/v1/models/{name}"

    def predict(self, name, signature, inputs):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signature
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        response = self.service.Predict(request, 60)
        return {key: tf.make_ndarray(value) for key, value in response.outputs.items()}

    def post(self, name, body):
        """-> (status, answer)."""
        request = urllib.request.Request(f"{self.url(name)}:predict", json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextlib.contextmanager
def serving(python, exports):
    command = [python, str(HERE / "loopback_server.py"), str(exports)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=exports
    )
    try:
        address = json.loads(process.stdout.readline())
        assert address["project_modules"] == []
        yield Server(process, address)
    finally:
        process.stdin.close()
        process.wait(timeout=60)


@pytest.fixture(scope="module", params=["this stack", "the other stack"])
def server(request, exports):
    python = sys.executable if request.param == "this stack" else os.environ.get("STYLEGAN_TF_OTHER_PYTHON")
    if not python:
        pytest.skip("STYLEGAN_TF_OTHER_PYTHON does not name a Python with the other stack")
    with serving(python, exports) as server:
        same = server.address["tensorflow"] == tf.version.VERSION
        assert same == (request.param == "this stack")
        yield server


@pytest.fixture(scope="module")
def this_server(exports):
    with serving(sys.executable, exports) as server:
        yield server


def inputs_of(model, count=3, **inputs):
    labels = {} if model.labels is None else {"labels": model.labels[:count]}
    return {"latents": model.latents[:count], "truncation_psi": PSI[:count], **labels, **inputs}


def assert_same(images, expected):
    assert images.dtype == np.uint8 and images.shape == expected.shape
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert expected.std() > 5


def pictures(pngs, like):
    return np.reshape([np.asarray(Image.open(io.BytesIO(png))) for png in pngs], like.shape)


@pytest.mark.parametrize("name", NAMES)
def test_grpc_answers_with_the_images_of_the_network(server, models, name):
    model = models[name]
    expected = model.images()
    for count in (1, 3):
        assert_same(server.predict(name, "", inputs_of(model, count))["images"], expected[:count])
    png = server.predict(name, "png", inputs_of(model))["png_bytes"]
    np.testing.assert_array_equal(pictures(png, expected), server.predict(name, "", inputs_of(model))["images"])
    seeds = {key: value for key, value in inputs_of(model, seeds=np.array(SEEDS)).items() if key != "latents"}
    assert_same(server.predict(name, "seed", seeds)["images"], expected)
    labels = {} if model.labels is None else {"labels": model.labels}
    ws = server.predict(name, "mapping", {"latents": model.latents, **labels})["dlatents"]
    assert_same(server.predict(name, "synthesis", {"dlatents": ws})["images"], model.images(psi=np.ones(3)))


def test_mixing_over_grpc_goes_from_one_image_to_the_other(server, models):
    model = models["unconditional"]
    inputs = inputs_of(model, other_latents=model.latents[::-1].copy(), crossover=np.array([6, 0, 3], np.int32))
    images = server.predict("unconditional", "mix", {**inputs, "truncation_psi": np.full([3], 0.7, np.float32)})[
        "images"
    ]
    alone = model.images(psi=np.full([3], 0.7, np.float32))
    assert_same(images[:2], np.stack([alone[0], alone[1]]))
    assert np.abs(images[2].astype(int) - alone[2]).max() > 20


@pytest.mark.parametrize("name", NAMES)
def test_rest_answers_rows_and_columns(server, models, name):
    model = models[name]
    expected = model.images()
    columns = {key: value.tolist() for key, value in inputs_of(model).items()}
    rows = [{key: value[index] for key, value in columns.items()} for index in range(3)]
    for body, answer in (({"instances": rows}, "predictions"), ({"inputs": columns}, "outputs")):
        status, response = server.post(name, body)
        assert status == 200 and list(response) == [answer]
        assert_same(np.array(response[answer], np.uint8), expected)
        status, response = server.post(name, {"signature_name": "png", **body})
        pngs = [base64.b64decode(value["b64"]) for value in response[answer]]
        assert_same(pictures(pngs, expected), expected)


SIZED = np.zeros([2, 5], np.float32)
ONES = np.ones([2], np.float32)
WRONG = {
    "width": ("", {"latents": SIZED[:, :4]}, r"latents must have the shape \[N, 5\], got.*\[2 4\]"),
    "rank": ("png", {"latents": SIZED[0]}, r"latents must have the shape \[N, 5\], got.*\[5\]"),
    "NaN": ("", {"latents": SIZED * np.nan}, "latents must be finite, got NaN or infinity"),
    "psi": ("", {"truncation_psi": ONES * np.inf}, "truncation_psi must be finite, got NaN or infinity"),
    "psi's rank": ("", {"truncation_psi": ONES[:, None]}, r"truncation_psi must have the shape \[N\], got.*\[2 1\]"),
    "rows": ("", {"truncation_psi": ONES[:1]}, "truncation_psi must have as many rows as latents"),
    "seed": ("seed", {"seeds": np.array([1, 2**32])}, r"seeds must lie within 0 to 4294967295, got.*4294967296"),
    "negative seed": ("seed_png", {"seeds": np.array([1, -1])}, "seeds must lie within 0 to 4294967295, got"),
    "crossover": ("mix", {"crossover": np.array([0, 7], np.int32)}, r"crossover must lie within 0 to 6, got.*\[0 7\]"),
    "dlatents": (
        "synthesis",
        {"dlatents": np.zeros([2, 5, 7], np.float32)},
        r"dlatents must have the shape \[N, 6, 7\]",
    ),
    "mapping": ("mapping", {"latents": SIZED[:, :2]}, r"latents must have the shape \[N, 5\], got.*\[2 2\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests_are_invalid_arguments_that_name_what_was_expected(server, name):
    signature, change, message = WRONG[name]
    inputs = {
        "seed": {"truncation_psi": ONES},
        "seed_png": {"truncation_psi": ONES},
        "mapping": {},
        "synthesis": {},
        "mix": {"latents": SIZED, "other_latents": SIZED, "truncation_psi": ONES},
    }.get(signature, {"latents": SIZED, "truncation_psi": ONES})
    with pytest.raises(grpc.RpcError) as raised:
        server.predict("unconditional", signature, {**inputs, **change})
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert re.search(message, raised.value.details())


def test_rest_tells_wrong_requests_with_status_400(server):
    body = {"instances": [{"latents": [0.0] * 4, "truncation_psi": 0.7}]}
    status, answer = server.post("unconditional", body)
    assert status == 400 and "latents must have the shape [N, 5], got" in answer["error"]


def run_client(tmp_path, *arguments):
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tools" / "serving_client.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_the_client_saves_the_images_of_seeds(this_server, models, tmp_path, way):
    for name, more in (("letterboxed", []), ("conditional", ["--labels=0,1,0"])):
        address = [f"--url={this_server.url(name)}"]
        if way == "grpc":
            address = [f"--grpc=127.0.0.1:{this_server.address['grpc']}", f"--model={name}"]
        done = run_client(tmp_path, *address, *more, "--seeds=5", f"--outdir={name}", "--requests=4", "--concurrency=2")
        assert done.returncode == 0, done.stderr
        assert re.match(r"4 images in 4 requests, [\d.]+ images/s; seconds per request: p50 0\.\d+ ", done.stdout)
        saved = np.asarray(Image.open(tmp_path / name / "seed0005.png"))
        model = models[name]
        if model.labels is not None:
            assert model.labels[1].tolist() == [0, 1, 0]
        assert_same(saved, model.images()[1])


def test_the_client_tells_what_went_wrong_in_one_line(this_server, tmp_path):
    url = this_server.url("conditional")
    for arguments, message in (
        ([f"--url={url}"], f"error: {url} answers 400: .*missing \\['labels'\\]"),
        ([f"--url={url}", "--labels=1,0"], r"answers 400: .*labels must have the shape \[N, 3\], got\] \[1 2\]"),
        ([f"--url={this_server.url('nothing')}"], "answers 404: "),
        (
            ["--url=http://127.0.0.1:9/v1/models/demo"],
            "error: cannot reach http://127.0.0.1:9/v1/models/demo .*refused",
        ),
        ([f"--grpc=127.0.0.1:{this_server.address['grpc']}", "--model=nothing"], "answers NOT_FOUND: "),
        (["--grpc=127.0.0.1:8500"], "--model is missing"),
        ([], "give either --url=.* or --grpc="),
        ([f"--url={url}", "--labels=a"], "--labels takes numbers like 0,1,0; got a"),
    ):
        done = run_client(tmp_path, "--seeds=1", *arguments)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
        assert re.search(message, done.stderr), done.stderr


def resident_bytes(process):
    with open(f"/proc/{process.pid}/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory of processes is read from /proc")
def test_a_thousand_requests_need_no_more_memory_than_a_few(this_server, models):
    model = models["unconditional"]
    sizes = [1, 3, 2]

    def send(count):
        for index in range(count):
            this_server.predict(
                "unconditional", ["", "png", "mapping"][index % 3], request(sizes[index // 3 % 3], index % 3)
            )

    def request(rows, kind):
        inputs = inputs_of(model, rows)
        return {"latents": inputs["latents"]} if kind == 2 else inputs

    send(200)
    before = resident_bytes(this_server.process)
    send(1000)
    assert resident_bytes(this_server.process) - before < 8 * 2**20


@functools.cache
def signature_of(folder, signature="serving_default"):
    """{name: (operation, index)} as `saved_model_cli show` tells it."""
    cli = Path(sys.executable).with_name("saved_model_cli")
    command = [str(cli), "show", "--dir", str(folder), "--tag_set=serve", "--signature_def", signature]
    text = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True, timeout=120).stdout
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
    subprocess.run(command, capture_output=True, env=ENVIRONMENT, check=True, timeout=120, cwd=tmp_path)
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
        [*command, str(rows), str(width)], input=model.latents.tobytes(), capture_output=True, timeout=120
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
    done = subprocess.run(command, input=latents.tobytes(), capture_output=True, timeout=120)
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
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_same(np.load(tmp_path / "images.npy"), models[name].images())


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
    whole = {"latents": z, "truncation_psi": tf.ones([3])}
    np.testing.assert_allclose(hub.KerasLayer(sys.argv[1])(z), model(whole), atol=1e-6)
assert "stylegan_tf" not in sys.modules
"""


@pytest.mark.parametrize("name", ["letterboxed", "conditional"])
def test_tensorflow_hub_loads_it(exports, models, tmp_path, name):
    (folder,) = (exports / name).iterdir()
    np.savez(tmp_path / "inputs.npz", **inputs_of(models[name]))
    command = [sys.executable, "-c", HUB, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path, timeout=120)
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
    assert (folder / "fingerprint.pb").stat().st_size > 0  # TensorFlow's own, which Serving reports.


def test_constants_and_half_precision_show_the_same_and_need_their_space(exports, models, tmp_path):
    model = models["unconditional"]
    expected = model.images().astype(int)
    folders = {"float32": exports / "unconditional" / "1"}
    for kind, options in {"constants": {"as_constants": True}, "float16": {"weights": "float16"}}.items():
        folders[kind] = export_generator(model.generator, tmp_path / kind, ServingOptions(**options))
        served = tf.saved_model.load(str(folders[kind])).signatures["serving_default"]
        inputs = {name: tf.constant(value) for name, value in inputs_of(model).items()}
        difference = np.abs(served(**inputs)["images"].numpy() - expected)
        assert difference.mean() <= (1.0 if kind == "float16" else 0.01), kind
    sizes = {kind: sum(path.stat().st_size for path in folder.glob("variables/*")) for kind, folder in folders.items()}
    assert sizes["float16"] < 0.8 * sizes["float32"]  # Names of variables take their share of so small a network.
    assert sizes["constants"] < 0.1 * sizes["float32"]
