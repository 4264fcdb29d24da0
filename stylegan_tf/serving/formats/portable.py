"""Exports a generator in a portable format and compares every file with the network before it gets its name."""

import pathlib
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.ops.resampling import to_uint8
from stylegan_tf.serving.formats import onnx_file, tflite_file
from stylegan_tf.serving.network_parts import BareFunction, bare_functions

FORMATS = {
    "onnx": (onnx_file.write_onnx, onnx_file.run_onnx, onnx_file.WEIGHTS),
    "tflite": (tflite_file.write_tflite, tflite_file.run_tflite, tflite_file.WEIGHTS),
}
LARGEST_ERROR = 1  # Levels of 255.
LOWEST_PSNR = 60.0  # dB, of float16.
_BATCHES = (1, 3)
_TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "int8": np.inf}  # Error of w, relative to its largest value.


def export_portable(
    generator: Generator,
    dest,
    kind: str,
    options: ServingOptions,
    metadata: Optional[Mapping[str, Any]] = None,
    progress: StartProgress = Progress,
    note: Note = ignore,
) -> list[pathlib.Path]:
    """Writes `dest`/{generator,mapping,synthesis}.onnx or .tflite; returns the paths.

    Each file is run by its own runtime (onnxruntime, LiteRT) and compared with the network: one that differs by more
    than one level of 255 is not kept. Weights of int8 (TFLite) are exempt; their error goes to `note`.

    Args:
      kind: "onnx" or "tflite".
      options: as for a SavedModel, but truncation_centre is "all" if not given; `constants`, `bad_rows` are ignored.
      metadata: stored in each file.
    Raises UserError if an option does not fit the format or float16 is not precise enough, RuntimeError if a file
    computes something else for any other reason.
    """
    write, load, known = FORMATS[kind]
    weights = options.weights
    if weights not in known:
        raise UserError(f"`format={kind}` stores `weights` as one of {', '.join(known)}, got {weights}.")
    if options.noise_mode == "random":
        raise UserError(f"`format={kind}` has no random noise: choose `noise_mode=const` or none.")
    metadata = {**describe(generator, options), **(metadata or {})}
    bare, dest = bare_functions(generator, options), pathlib.Path(dest)
    paths = []
    with progress(len(bare), f"Writing {kind}", "files") as bar:
        for done, (name, function) in enumerate(bare.items(), start=1):
            path = dest / f"{name}.{kind}"
            with atomic_write(path) as temporary:
                write(temporary, function, weights, metadata)
                error = _compare(load(temporary), function, generator, options, path)
                if error:
                    note(f"{path}: {error}")
            bar.update(done)
            paths.append(path)
    return paths


def describe(generator: Generator, options: ServingOptions) -> dict[str, Any]:
    """What users of a file need to know of its network."""
    config = generator.config
    return {
        "latent_size": config.latent_size,
        "label_size": config.label_size,
        "resolution": generator.growth.resolution,
        "growth": generator.growth.to_metadata(),
        "num_channels": config.num_channels,
        "default_truncation_psi": 0.7 if config.use_styles else 1.0,
        "truncation_cutoff": options.truncation_cutoff,
        "truncation_centre": options.truncation_centre or "all",
        "content_box": options.content_box and list(options.content_box),
        "weights": options.weights,
    }


def truncation_centres(generator: Generator, options: ServingOptions) -> list[list[float]]:
    """w of `options.truncation_centre`: one for each label, or for all; [] for the traditional generator."""
    config = generator.config
    if not config.use_styles:
        return []
    eye = np.eye(config.label_size, dtype=np.float32) if config.label_size else None
    centres = generator.truncation_centre(options.truncation_centre or "all", eye)
    return np.reshape(centres, [-1, config.w_size]).astype(np.float64).round(7).tolist()


def _compare(run, bare: BareFunction, generator, options, path) -> str:
    """The error of int8 as text; "" for others, which raise if they differ too much."""
    weights, found, expected = options.weights, [], []
    for count in _BATCHES:
        inputs = _example_inputs(bare, count)
        try:
            found.append(run(inputs))
        except Exception as error:  # Whatever a runtime raises, the file is of no use.
            raise RuntimeError(f"{path.name} was not kept, its runtime fails: {error}") from error
        expected.append(_reference(bare, generator, options, inputs))
        if found[-1].shape != expected[-1].shape or found[-1].dtype != expected[-1].dtype:
            raise RuntimeError(f"{path.name} was not kept: it gives {found[-1].shape}, not {expected[-1].shape}.")
    found, expected = (np.concatenate(arrays).astype(np.float64) for arrays in (found, expected))
    error = np.abs(found - expected)
    if bare.output == "dlatents":
        largest = error.max() / np.abs(expected).max()
        text, exact = f"its w differs by up to {largest:.2g} of the largest value", largest <= _TOLERANCE[weights]
    else:
        psnr = 10 * np.log10(255**2 / max(np.mean(error**2), 1e-12))
        text = f"its images differ from the network's by up to {error.max():.0f} levels of 255 (PSNR {psnr:.1f} dB)"
        exact = error.max() <= LARGEST_ERROR and (weights == "float32" or psnr >= LOWEST_PSNR)
    if weights == "float16" and not exact:
        raise UserError(f"{path.name} was not kept, {text}: choose `weights=float32`.")
    if weights == "float32" and not exact:
        raise RuntimeError(f"{path.name} was not kept: {text}.")
    return text if weights == "int8" else ""


def _example_inputs(bare: BareFunction, count: int) -> dict[str, np.ndarray]:
    random, inputs = np.random.RandomState(count), {}
    for name, spec in bare.inputs.items():
        inputs[name] = random.randn(count, *spec.shape[1:]).astype(np.float32)
    if "truncation_psi" in inputs:
        inputs["truncation_psi"] = np.float32([0.7, -0.5, 1.0])[:count]
    if "labels" in inputs:
        inputs["labels"] = np.eye(count, bare.inputs["labels"].shape[1], dtype=np.float32)
    return inputs


def _reference(bare: BareFunction, generator: Generator, options: ServingOptions, inputs) -> np.ndarray:
    """What the Keras network computes, by none of the code of the bare functions."""
    ws, labels = inputs.get("dlatents"), inputs.get("labels")
    if ws is None:
        ws = generator.broadcast(generator.mapping_network(inputs["latents"], labels=labels))
    if bare.output == "dlatents":
        return ws.numpy()
    if "truncation_psi" in inputs:
        truncation = Truncation(inputs["truncation_psi"], options.truncation_cutoff, options.truncation_centre or "all")
        ws = generator.truncate(ws, truncation, labels)
    images = generator.synthesis(tf.convert_to_tensor(ws), noise_mode=options.noise_mode)
    return to_uint8(crop_to_box(images, options.content_box)).numpy()
