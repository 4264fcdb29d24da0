"""What clients make of answers; `test_served` lets them ask a server."""

import base64
import io
import json
import urllib.request

import pytest

from stylegan_tf.errors import UserError
from stylegan_tf.serving.clients import Wish, over_grpc, over_rest

URL = "http://localhost:8501/v1/models/net"


def _row(content, **more):
    return {"png_bytes": {"b64": base64.b64encode(content).decode()}, **more}


def _answer(monkeypatch, rows):
    body = json.dumps({"predictions": rows}).encode()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(body))
    return over_rest(URL, Wish())


def test_images_come_with_marks_or_without(monkeypatch):
    assert _answer(monkeypatch, [_row(b"a", ok=True), _row(b"b", ok=True)])([3, 4]) == [b"a", b"b"]
    assert _answer(monkeypatch, [_row(b"a")["png_bytes"]])([3]) == [b"a"]


def test_marked_images_are_no_images_and_their_seeds_are_named(monkeypatch):
    ask = _answer(monkeypatch, [_row(b"a", ok=False), _row(b"b", ok=True), _row(b"c", ok=False)])
    with pytest.raises(UserError, match="net refuses the inputs of the seeds 3, 5: check --truncation_psi and"):
        ask([3, 4, 5])


def test_every_seed_has_an_answer(monkeypatch):
    with pytest.raises(UserError, match="net answers 2 seeds with 1 images"):
        _answer(monkeypatch, [_row(b"a")])([3, 4])


@pytest.mark.parametrize(
    "ok", [{"bool_val": [True, False, False]}, {"bool_val": [True, False]}, {"tensor_content": b"\1\0\0"}, None]
)
def test_marks_are_read_over_grpc(monkeypatch, ok):
    pytest.importorskip("tensorflow_serving")
    from tensorflow.core.framework import tensor_pb2
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    answer = predict_pb2.PredictResponse()
    answer.outputs["png_bytes"].string_val.extend([b"a", b"b", b"c"])
    if ok is not None:
        answer.outputs["ok"].CopyFrom(tensor_pb2.TensorProto(**ok))

    class Stub:
        def __init__(self, channel):
            self.Predict = lambda request, timeout: answer

    monkeypatch.setattr(prediction_service_pb2_grpc, "PredictionServiceStub", Stub)
    ask = over_grpc("localhost:8500", "net", Wish())
    if ok is None:
        assert ask([3, 4, 5]) == [b"a", b"b", b"c"]
        with pytest.raises(UserError, match="localhost:8500 answers 4 seeds with 3 images"):
            ask([3, 4, 5, 6])
    else:
        with pytest.raises(UserError, match="localhost:8500 refuses the inputs of the seeds 4, 5:"):
            ask([3, 4, 5])
