"""Bare functions as ONNX files, and ONNX files as functions."""

import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any, Callable

import numpy as np

from stylegan_tf.config.errors import optional_module
from stylegan_tf.serving.network_parts import BareFunction, as_stored

OPSET = 17
WEIGHTS = ("float32", "float16")


def write_onnx(path: pathlib.Path, bare: BareFunction, weights: str, metadata: Mapping[str, Any]) -> None:
    """weights: "float16" stores them in half of the space; all computing is in float32. metadata: JSON values."""
    onnx, tf2onnx = (optional_module(name, "ONNX", "onnx") for name in ("onnx", "tf2onnx"))
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(bare.traced(), list(bare.inputs.values()), opset=OPSET)
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    if weights == "float16":
        _store_as_float16(graph)
    onnx.helper.set_model_props(model, {name: _text(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def run_onnx(path: pathlib.Path) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """The model as a function from inputs by name to its output. Raises whatever onnxruntime does."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, dict(inputs))[0]


def _store_as_float16(graph) -> None:
    """Matrices and kernels become float16 behind a Cast, which runtimes fold when they load the model."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        half = as_stored(name, numpy_helper.to_array(tensor), "float16", wider="float32")
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
