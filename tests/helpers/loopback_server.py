"""A stand-in for TensorFlow Serving on loopback: SavedModels behind its gRPC messages and its REST encodings.

    python loopback_server.py FOLDER_OF_MODELS

serves FOLDER_OF_MODELS/NAME/<highest number> for every NAME, prints {"grpc": port, "rest": port} and stays until its
standard input ends. It knows nothing but `tf.saved_model.load` and the messages of tensorflow-serving-api: what works
here needs no code of the project. The encodings follow the RESTful API page of TensorFlow Serving.
"""

import base64
import concurrent.futures
import http.server
import json
import os
import pathlib
import re
import sys
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc

MODELS = {}  # Name -> {version: loaded SavedModel}.


class BadRequest(Exception):
    pass


def load_models(root):
    for folder in sorted(pathlib.Path(root).iterdir()):
        version = max(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
        MODELS[folder.name] = {version: tf.saved_model.load(str(folder / str(version)))}
        warm_up(folder / str(version) / "assets.extra" / "tf_serving_warmup_requests")


def warm_up(path):
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        predict(log.predict_log.request)


def predict(request):
    spec = request.model_spec
    inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
    version = spec.version.value if spec.HasField("version") else None
    answer, version = run(spec.name, version, spec.signature_name, inputs)
    response = predict_pb2.PredictResponse()
    response.model_spec.name, response.model_spec.version.value = spec.name, version
    response.model_spec.signature_name = spec.signature_name or "serving_default"
    for name, value in answer.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return response


def run(name, version, signature, inputs):
    if name not in MODELS or version not in (None, *MODELS[name]):
        raise KeyError(f"Servable not found for request: {name}")
    version, model = max(MODELS[name].items())
    signature = signature or "serving_default"
    if signature not in model.signatures:
        raise BadRequest(f'Serving signature name: "{signature}" not found in signature def')
    function = model.signatures[signature]
    specs = function.structured_input_signature[1]
    if set(specs) != set(inputs):
        missing, unknown = sorted(set(specs) - set(inputs)), sorted(set(inputs) - set(specs))
        raise BadRequest(f"input size does not match signature: missing {missing}, unexpected {unknown}")
    for key, value in inputs.items():
        if tf.as_dtype(value.dtype) != specs[key].dtype:
            raise BadRequest(f"Expected input {key} of {specs[key].dtype.name}, got {value.dtype}")
    outputs = function(**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in outputs.items()}, version


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):
        try:
            return predict(request)
        except (tf.errors.InvalidArgumentError, BadRequest) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except KeyError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))


class Rest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict", self.path)
        try:
            if not path:
                raise BadRequest(f"Malformed request: POST {self.path}")
            self._send(200, answer_rest(path[1], int(path[2]) if path[2] else None, json.loads(body)))
        except (tf.errors.InvalidArgumentError, BadRequest, ValueError) as error:
            self._send(400, {"error": str(error)})
        except KeyError as error:
            self._send(404, {"error": str(error)})

    def _send(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def answer_rest(name, version, request):
    if ("instances" in request) == ("inputs" in request):
        raise BadRequest("Request must have either 'instances' or 'inputs'")
    version, model = max(MODELS[name].items()) if version is None else (version, MODELS[name][version])
    signature = request.get("signature_name", "serving_default")
    if signature not in model.signatures:
        raise BadRequest(f'Serving signature name: "{signature}" not found in signature def')
    specs = model.signatures[signature].structured_input_signature[1]
    columns = from_rows(request["instances"], specs) if "instances" in request else request["inputs"]
    if not isinstance(columns, dict):  # The only input may go without its name.
        columns = {next(iter(specs)): columns}
    dtypes = {key: spec.dtype.as_numpy_dtype for key, spec in specs.items()}
    inputs = {key: array(value, dtypes.get(key)) for key, value in columns.items()}
    outputs, _ = run(name, version, signature, inputs)
    if "inputs" in request:
        columns = {key: encoded(key, value.tolist()) for key, value in outputs.items()}
        return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}
    count = {len(value) for value in [*inputs.values(), *outputs.values()]}
    if len(count) != 1:
        raise BadRequest(f"row format needs the batch as the first dimension of everything, got {count}")
    rows = [
        {key: encoded(key, value[i].tolist() if value.dtype != object else value[i]) for key, value in outputs.items()}
        for i in range(*count)
    ]
    return {"predictions": rows if len(outputs) > 1 else [next(iter(row.values())) for row in rows]}


def from_rows(rows, specs):
    if not all(isinstance(row, dict) for row in rows):
        return {next(iter(specs)): rows}
    if any(set(row) != set(rows[0]) for row in rows):
        raise BadRequest("all instances must have the same names")
    return {key: [row[key] for row in rows] for key in rows[0]}


def array(value, dtype):
    if dtype is not None and np.issubdtype(dtype, np.integer) and np.asarray(value).dtype.kind == "f":
        raise BadRequest("expected integers")
    return np.asarray(value, dtype)


def encoded(name, value):
    """Strings are base64 if the name of the output ends in _bytes."""
    if isinstance(value, list):
        return [encoded(name, item) for item in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()
    return value


def main():
    load_models(sys.argv[1])
    pool = concurrent.futures.ThreadPoolExecutor(4)
    limits = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    server = grpc.server(pool, options=limits)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    ports = {"grpc": server.add_insecure_port("127.0.0.1:0")}
    server.start()
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    ports["rest"] = rest.server_address[1]
    foreign = sorted(name for name in sys.modules if name.split(".")[0] == "stylegan_tf")
    print(json.dumps({**ports, "tensorflow": tf.version.VERSION, "project_modules": foreign}), flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
