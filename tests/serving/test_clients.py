"""What clients make of answers, good and bad; `test_served` has a real server."""

import base64
import contextlib
import http.server
import json
import threading
import time
import zlib

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.serving import clients
from stylegan_tf.serving.clients import RequestOptions, over_grpc, over_rest
from stylegan_tf.visualize.picture_files import encoded

URL = "http://localhost:8501/v1/models/net"


def _row(content, **more):
    return {"png_bytes": {"b64": base64.b64encode(content).decode()}, **more}


A, B, C = (encoded(np.full([8, 8, 3], value, np.uint8), "a.png") for value in (1, 2, 3))


def _answer(monkeypatch, rows):
    body = json.dumps({"predictions": rows}).encode()
    monkeypatch.setattr(clients, "_posted", lambda *_, **__: body)
    return over_rest(URL, RequestOptions())


def test_images_come_with_marks_or_without(monkeypatch):
    assert _answer(monkeypatch, [_row(A, ok=True), _row(B, ok=True)])([3, 4]) == [A, B]
    assert _answer(monkeypatch, [_row(A)["png_bytes"]])([3]) == [A]


def test_no_png_with_a_wrong_bit_or_a_missing_byte_passes():
    for place in range(len(A)):
        flipped = A[:place] + bytes([A[place] ^ 1 << place % 8]) + A[place + 1 :]
        for content in (flipped, A[:place]):
            with pytest.raises(UserError, match="not a complete PNG"):
                clients.checked(URL, [3], [content], [True])


def test_no_png_of_more_pixels_than_its_bytes_can_hold_passes():
    start, length = A.index(b"IHDR"), 17
    header = b"IHDR" + (300).to_bytes(4, "big") * 2 + A[start + 12 : start + length]
    content = A[:start] + header + zlib.crc32(header).to_bytes(4, "big") + A[start + length + 4 :]
    with pytest.raises(UserError, match="not a complete PNG"):
        clients.checked(URL, [3], [content], [True])


class _Broken(http.server.BaseHTTPRequestHandler):
    """Answers badly: how is the model's name in the URL."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        kind = self.path.split("/")[1].split(":")[0]
        self.rfile.read(int(self.headers["Content-Length"]))
        with contextlib.suppress(OSError):
            if kind == "headers":
                self._endlessly(b"HTTP/1.0 200 OK\r\nX: ", b"x", 0.05)
            elif kind == "garbage":
                self.wfile.write(b"\xff" * 100)
            else:
                self.send_response({"cut": 500, "moved": 307, "refused": 400}.get(kind, 200))
                for name, value in {"cut": [("Content-Length", 10**5)], "moved": [("Location", "/x")]}.get(kind, []):
                    self.send_header(name, value)
                self.end_headers()
                endless = {"drip": (b"", b" ", 0.05), "flood": (b'{"predictions": ["', b"A" * 2**20, 0)}
                if kind in endless:
                    self._endlessly(*endless[kind])
                no_picture = json.dumps({"predictions": [{"b64": base64.b64encode(b"no picture").decode()}]})
                bodies = {"word": '{"predictions": ["abc"]}', "no_png": no_picture, "refused": '{"error": "why\\n"}'}
                self.wfile.write(bodies.get(kind, "abc").encode())

    def _endlessly(self, first, more, pause):
        self.wfile.write(first)
        while True:
            self.wfile.write(more)
            time.sleep(pause)


@pytest.fixture(scope="module")
def broken_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    "kind, message",
    [
        ("no_png", "answers seed 3 with 10 bytes that are not a complete PNG"),
        ("word", "did not answer like TensorFlow Serving"),
        ("text", "did not answer like TensorFlow Serving"),
        ("cut", "no complete answer|cannot reach"),
        ("drip", "no complete answer within 1 s"),
        ("headers", "no complete answer within 1 s|cannot reach"),
        ("flood", "answers with more than"),
        ("garbage", "cannot reach"),
        ("moved", "redirects to /x"),
        ("refused", "answers 400: why$"),
    ],
)
def test_a_bad_answer_is_an_error_in_time(broken_server, kind, message):
    began = time.monotonic()
    timeout = 30 if kind == "flood" else 1.0
    with pytest.raises(UserError, match=message) as error:
        over_rest(f"{broken_server}/{kind}", RequestOptions(timeout=timeout))([3])
    assert "\n" not in str(error.value) and time.monotonic() - began < timeout + 5


@pytest.mark.parametrize("url", ["http://[::1", "http://host:x/m", "ftp://host/m", "host:8501", "http:///m"])
def test_a_malformed_address_is_one_line(url):
    with pytest.raises(UserError, match="is not an address like http://|cannot reach"):
        over_rest(url, RequestOptions(timeout=5))([3])


def test_marked_images_are_no_images_and_their_seeds_are_named(monkeypatch):
    fetch = _answer(monkeypatch, [_row(A, ok=False), _row(B, ok=True), _row(C, ok=False)])
    with pytest.raises(UserError, match="net refuses the inputs of the seeds 3, 5: check `truncation_psi` and"):
        fetch([3, 4, 5])


def test_every_seed_has_an_answer(monkeypatch):
    with pytest.raises(UserError, match="net answers 2 seeds with 1 images"):
        _answer(monkeypatch, [_row(A)])([3, 4])


# The ways in which a message may hold them; equal values at the end may stand there once.
@pytest.mark.parametrize(
    "ok", [{"bool_val": [True, False, False]}, {"bool_val": [True, False]}, {"tensor_content": b"\1\0\0"}, None]
)
def test_marks_are_read_over_grpc(monkeypatch, ok):
    pytest.importorskip("tensorflow_serving")
    from tensorflow.core.framework import tensor_pb2, types_pb2
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    answer = predict_pb2.PredictResponse()
    shape = {"dim": [{"size": 3}]}
    pngs = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=[A, B, C])
    answer.outputs["png_bytes"].CopyFrom(pngs)
    if ok is not None:
        marks = tensor_pb2.TensorProto(dtype=types_pb2.DT_BOOL, tensor_shape=shape, **ok)
        answer.outputs["ok"].CopyFrom(marks)

    class Stub:
        def __init__(self, channel):
            self.Predict = lambda request, timeout: answer

    monkeypatch.setattr(prediction_service_pb2_grpc, "PredictionServiceStub", Stub)
    fetch = over_grpc("localhost:8500", "net", RequestOptions())
    if ok is None:
        assert fetch([3, 4, 5]) == [A, B, C]
        with pytest.raises(UserError, match="localhost:8500 answers 4 seeds with 3 images"):
            fetch([3, 4, 5, 6])
    else:
        with pytest.raises(UserError, match="localhost:8500 refuses the inputs of the seeds 4, 5:"):
            fetch([3, 4, 5])
