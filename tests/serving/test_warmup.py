"""Warm-up requests, read with the messages of tensorflow-serving-api."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.serving.saved_model import write_warmup_requests

prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")


def test_every_request_is_a_prediction_log_that_serving_reads(tmp_path):
    inputs = {"latents": np.random.RandomState(0).randn(2, 300).astype(np.float32), "seeds": np.array([2**32 - 1])}
    write_warmup_requests(tmp_path / "requests", "demo", {"serving_default": inputs, "seed": {"seeds": np.arange(3)}})
    logs = [
        prediction_log_pb2.PredictionLog.FromString(r.numpy())
        for r in tf.data.TFRecordDataset(str(tmp_path / "requests"))
    ]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 2
    first, second = (log.predict_log.request for log in logs)
    assert (first.model_spec.name, first.model_spec.signature_name) == ("demo", "serving_default")
    assert second.model_spec.signature_name == "seed"
    assert set(first.inputs) == {"latents", "seeds"} and set(second.inputs) == {"seeds"}
    for name, value in inputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(first.inputs[name]), value)
        assert tf.make_ndarray(first.inputs[name]).dtype == value.dtype
