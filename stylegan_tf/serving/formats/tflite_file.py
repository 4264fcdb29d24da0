"""Bare functions as TFLite files, and TFLite files as functions."""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Callable

import flatbuffers
import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import optional_module
from stylegan_tf.serving.network_parts import BareFunction, as_stored

WEIGHTS = ("float32", "float16", "int8")
METADATA_NAME = "stylegan_tf"  # Name of the entry in the model's metadata: JSON.


def write_tflite(path: pathlib.Path, bare: BareFunction, weights: str, metadata: Mapping[str, Any]) -> None:
    """weights: "float16" stores them in half of the space, "int8" in a quarter and computes in it (dynamic range)."""
    module = tf.Module()
    module.call = bare.traced()
    with tempfile.TemporaryDirectory() as folder:  # Signatures keep the names of inputs and outputs.
        tf.saved_model.save(module, folder, signatures=module.call.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if weights == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        with _without_chatter():
            content = converter.convert()
    schema = _schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if weights == "float16":
        _store_as_float16(model, schema)
    _add_metadata(model, schema, json.dumps(metadata).encode())
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """The converter lists all operations on stderr, from C++; what goes wrong is in its exception."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def run_tflite(path: pathlib.Path) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """The model as a function from inputs by name to its output. Raises whatever the runtime does."""
    litert = optional_module("ai_edge_litert.interpreter", "TFLite", "tflite")
    runner = litert.Interpreter(model_path=str(path)).get_signature_runner()
    return lambda inputs: next(iter(runner(**inputs).values()))


def read_metadata(model: bytes) -> dict[str, Any]:
    """What `write_tflite` was given."""
    schema = _schema()
    root = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    entry = next(entry for entry in root.metadata if entry.name in (METADATA_NAME, METADATA_NAME.encode()))
    return json.loads(bytes(root.buffers[entry.buffer].data))


def _store_as_float16(model, schema) -> None:
    """Matrices and kernels become float16 behind a Dequantize, which runtimes fold when they load the model.

    The converter's own float16 includes scalars: epsilons of 1e-8 would become 0.
    """
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode = operator_code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    operator_code.version = 3  # The first one for float16.
    model.operatorCodes.append(operator_code)
    halves = {}  # Index of a buffer -> that of its float16 copy. Tensors share buffers.
    for graph in model.subgraphs:
        operators = []
        for index, tensor in enumerate(list(graph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or len(tensor.shape) < 2:
                continue
            if tensor.buffer not in halves:
                halves[tensor.buffer] = len(model.buffers)
                half = schema.BufferT()
                value = data.view(np.float32).reshape(tensor.shape)
                half.data = as_stored(tensor.name.decode(), value, "float16", wider="float32").ravel().view(np.uint8)
                model.buffers.append(half)
            stored = schema.TensorT()
            stored.name, stored.shape, stored.type = tensor.name + b"_float16", tensor.shape, schema.TensorType.FLOAT16
            stored.buffer, tensor.buffer = halves[tensor.buffer], 0  # 0: computed.
            operator = schema.OperatorT()
            operator.opcodeIndex = len(model.operatorCodes) - 1
            operator.inputs, operator.outputs = [len(graph.tensors)], [index]
            operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
            operator.builtinOptions = schema.DequantizeOptionsT()
            graph.tensors.append(stored)
            operators.append(operator)
        graph.operators = [*operators, *graph.operators]
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    for index in halves.keys() - used:
        model.buffers[index].data = None


def _add_metadata(model, schema, content: bytes) -> None:
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer, buffer.data = METADATA_NAME, len(model.buffers), np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def _schema():
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated
