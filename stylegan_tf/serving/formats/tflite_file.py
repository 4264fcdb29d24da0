"""Bare functions as TFLite files, and TFLite files as functions."""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from stylegan_tf.errors import UserError
from stylegan_tf.serving.bare_function import BareFunction

WEIGHTS = ("float32", "float16", "int8")
METADATA_NAME = "stylegan_tf"  # Of the entry in the model's metadata: JSON.


def write_tflite(path: pathlib.Path, bare: BareFunction, weights: str, metadata: Mapping[str, Any]) -> None:
    """weights: "float16" stores them in half of the space, "int8" in a quarter and computes in it (dynamic range)."""
    module = tf.Module()
    module.call = bare.traced()
    with tempfile.TemporaryDirectory() as folder:  # Signatures keep the names of inputs and outputs.
        tf.saved_model.save(module, folder, signatures=module.call.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        with _without_chatter():
            model = converter.convert()
    path.write_bytes(_with_metadata(model, json.dumps(metadata).encode()))


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
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError(f"TFLite needs {error.name}: pip install 'stylegan-tf[tflite]'.") from None
    runner = Interpreter(model_path=str(path)).get_signature_runner()
    return lambda inputs: next(iter(runner(**inputs).values()))


def read_metadata(model: bytes) -> dict[str, Any]:
    """What `write_tflite` was given."""
    schema = _schema()
    root = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    entry = next(entry for entry in root.metadata if entry.name in (METADATA_NAME, METADATA_NAME.encode()))
    return json.loads(bytes(root.buffers[entry.buffer].data))


def _with_metadata(model: bytes, content: bytes) -> bytes:
    import flatbuffers

    schema = _schema()
    root = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer, buffer.data = METADATA_NAME, len(root.buffers), np.frombuffer(content, np.uint8)
    root.buffers.append(buffer)
    root.metadata = [*(root.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + len(content))
    builder.Finish(root.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _schema():
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated
