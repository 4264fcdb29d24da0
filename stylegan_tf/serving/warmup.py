"""Warm-up requests: TensorFlow Serving answers them before it says that a version is ready.

Without them the first request of every signature waits for the graph to be optimised. The file is a TFRecord of
PredictionLog messages; they are written here field by field, because nothing else of tensorflow-serving-api is needed.
"""

import pathlib

import numpy as np
import tensorflow as tf

from stylegan_tf.data.example_proto import field

FILE = "tf_serving_warmup_requests"  # In assets.extra, where the server looks for it.


def write_warmup_requests(path: pathlib.Path, model: str, requests: dict[str, dict[str, np.ndarray]]) -> None:
    """requests: signature -> inputs by name."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            writer.write(prediction_log(model, signature, inputs))


def prediction_log(model: str, signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """A serialised PredictionLog { predict_log { request { model_spec, inputs } } }."""
    model_spec = field(1, model.encode()) + field(3, signature.encode())  # name, signature_name
    request = field(1, model_spec)
    for name, value in sorted(inputs.items()):
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += field(2, field(1, name.encode()) + field(2, tensor))  # One entry of a map: key, value.
    return field(6, field(1, request))
