"""Exports behind a server that does not know this package, asked in gRPC, in REST and by `stylegan_tf.serving_client`.

With STYLEGAN_TF_OTHER_PYTHON, a Python with the other of the two supported stacks, that one serves the exports, too.
"""

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.exported_models import ENVIRONMENT, NAMES, ROOT, SEEDS, assert_same, inputs_of, pictures

pytestmark = pytest.mark.end_to_end

grpc = pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
service_pb2_grpc = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")

HERE = Path(__file__).parent


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
    command = [python, str(HERE.parent / "helpers" / "loopback_server.py"), str(exports)]
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
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)


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
        ([f"--url={url}", "--labels=a"], "--labels=a: .* float: 'a'"),
    ):
        done = run_client(tmp_path, "--seeds=1", *arguments)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]  # TensorFlow speaks first.
        assert re.search(message, line), line


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
