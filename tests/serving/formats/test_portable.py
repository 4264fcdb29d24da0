"""ONNX and TFLite files, run by their own runtimes, against the networks in NumPy."""

import contextlib
import itertools
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.growth import Growth
from stylegan_tf.serving.formats import portable, tflite_file
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
litert = pytest.importorskip("ai_edge_litert.interpreter")

BOX = [0.0, 0.25, 1.0, 0.75]
# Name -> options of the generator, of the export.
NETWORKS = {
    "config F": ({}, {"truncation_cutoff": 2}),
    "config A": (tiny.ROWS["a"], {}),
    "conditional": ({"label_size": 3}, {}),
    "gray": ({"num_channels": 1}, {"noise_mode": "none"}),
    "four channels, growing": ({"num_channels": 4, "resolution": 16, "growth": Growth(8, 0.25)}, {}),
    "letterboxed": ({}, {"content_box": BOX}),
}
CASES = list(itertools.product(NETWORKS, portable.FORMATS))
PSI = np.array([0.7, -0.5, 1.0], np.float32)


def run(path, **inputs):
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {key.name: inputs[key.name] for key in session.get_inputs()})[0]
    runner = litert.Interpreter(model_path=str(path)).get_signature_runner()
    return next(iter(runner(**{key: inputs[key] for key in runner.get_input_details()}).values()))


@pytest.fixture(scope="module", params=CASES, ids=" as ".join)
def case(request, tmp_path_factory):
    """(generator, its weights, export options, files by name)."""
    name, kind = request.param
    network, export = NETWORKS[name]
    generator, weights = tiny.generator(**network)
    options = ServingOptions(**export)
    paths = portable.export_portable(generator, tmp_path_factory.mktemp("files"), kind, options)
    return generator, weights, options, {path.stem: path for path in paths}


@pytest.mark.parametrize("count", [1, 3])
def test_every_file_computes_what_the_paper_says(case, count):
    generator, weights, options, files = case
    config = generator.config
    z, psi = tiny.normal(count, 5), PSI[:count]
    labels = np.eye(3, dtype=np.float32)[:count] if config.label_size else None
    layers = 2 * (generator.growth.resolution.bit_length() - 2) if config.use_styles else 1
    w = plain.mapping(config, weights, z.astype(np.float64), labels)
    ws = np.tile(w[:, None], [1, layers, 1])
    tiny.assert_close(run(files["mapping"], latents=z, labels=labels), ws)
    moved = ws.copy()
    if config.use_styles:
        cut, centre = options.truncation_cutoff, weights["truncation/w_avg"]
        moved[:, :cut] = centre + psi[:, None, None] * (ws[:, :cut] - centre)
    found = {
        "generator": run(files["generator"], latents=z, truncation_psi=psi, labels=labels),
        "synthesis": run(files["synthesis"], dlatents=moved.astype(np.float32)),
    }
    growth = {"resolution": generator.growth.resolution, "alpha": generator.growth.alpha}
    expected = plain.synthesis(config, weights, moved, use_noise=options.noise_mode == "const", **growth)
    expected = np.clip(np.floor(expected * 127.5 + 128), 0, 255)[:, slice(2, 6) if options.content_box else slice(None)]
    for images in found.values():
        assert images.dtype == np.uint8 and images.shape == expected.shape
        assert np.abs(images - expected).max() <= 1


@pytest.fixture(scope="module")
def simple():
    return tiny.generator()[0]


def test_onnx_files_name_the_batch_use_standard_operations_and_say_what_they_hold(simple, tmp_path):
    path = portable.export_portable(simple, tmp_path, "onnx", ServingOptions(weights="float16"), {"licence": "mine"})[0]
    model = onnx.load(path)
    values = [*model.graph.input, *model.graph.output]
    assert [value.name for value in values] == ["latents", "truncation_psi", "images"]
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in values} == {"N"}
    assert {node.domain for node in model.graph.node} == {""}
    stored = [w.data_type for w in model.graph.initializer if len(w.dims) > 1]
    assert onnx.TensorProto.FLOAT16 in stored and onnx.TensorProto.FLOAT not in stored
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["licence"] == "mine" and json.loads(metadata["latent_size"]) == 5
    assert metadata["weights"] == "float16" and json.loads(metadata["growth"])["resolution"] == 8


def test_tflite_files_hold_matrices_in_float16_and_small_epsilons(simple, tmp_path):
    path = portable.export_portable(simple, tmp_path, "tflite", ServingOptions(weights="float16"))[0]
    interpreter = litert.Interpreter(model_path=str(path))
    constants = {}
    for tensor in interpreter.get_tensor_details():
        with contextlib.suppress(ValueError):  # Computed, not stored.
            constants.setdefault((tensor["dtype"], len(tensor["shape"])), []).append(
                interpreter.get_tensor(tensor["index"]).copy()
            )
    assert {rank for dtype, rank in constants if dtype is np.float16} == {2, 4}
    assert np.float32(1e-8) in np.concatenate([np.ravel(x) for x in constants[np.float32, 0]])


def test_tflite_files_say_what_they_hold_and_int8_says_its_error(simple, tmp_path):
    notes = []
    paths = portable.export_portable(
        simple, tmp_path, "tflite", ServingOptions(weights="int8"), {"licence": "mine"}, note=notes.append
    )
    metadata = tflite_file.read_metadata(paths[0].read_bytes())
    assert (metadata["licence"], metadata["latent_size"], metadata["weights"]) == ("mine", 5, "int8")
    assert len(notes) == 3 and re.search(r"generator.tflite: .* levels of 255 \(PSNR \d+\.\d dB\)", notes[0])


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_file_that_computes_something_else_is_not_kept(simple, tmp_path, monkeypatch, kind):
    """One weight is wrong between conversion and comparison."""
    write, load, weights = portable.FORMATS[kind]

    def corrupt(path, bare, dtype, metadata):
        write(path, bare, dtype, metadata)
        content = path.read_bytes()
        w_avg = tf.convert_to_tensor(simple.truncation.w_avg).numpy()
        assert content.count(w_avg.tobytes()) >= 1
        path.write_bytes(content.replace(w_avg.tobytes(), (w_avg + np.float32(1)).tobytes()))

    monkeypatch.setitem(portable.FORMATS, kind, (corrupt, load, weights))
    monkeypatch.setattr(
        portable, "bare_functions", lambda *a, all_=portable.bare_functions: {"g": all_(*a)["generator"]}
    )
    with pytest.raises(RuntimeError, match=f"g.{kind} was not kept: its images differ .* levels of 255"):
        portable.export_portable(simple, tmp_path, kind, ServingOptions())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_weights_that_float16_cannot_hold_are_reported(tmp_path, kind):
    generator, _ = tiny.generator()
    dense = generator.mapping_network.dense[0]
    dense.set_weights([1e8 * dense.get_weights()[0], *dense.get_weights()[1:]])
    with pytest.raises(UserError, match="reaches .*, too much for float16: choose `weights=float32`"):
        portable.export_portable(generator, tmp_path, kind, ServingOptions(weights="float16"))
    assert list(tmp_path.iterdir()) == []


def test_options_that_a_format_lacks_are_reported(simple, tmp_path):
    with pytest.raises(UserError, match="`format=onnx` stores `weights` as one of float32, float16, got int8"):
        portable.export_portable(simple, tmp_path, "onnx", ServingOptions(weights="int8"))
    with pytest.raises(UserError, match="`format=tflite` has no random noise"):
        portable.export_portable(simple, tmp_path, "tflite", ServingOptions(noise_mode="random"))
    assert tf.io.gfile.listdir(str(tmp_path)) == []
