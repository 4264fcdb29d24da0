"""A web page that runs a generator in the browser, by onnxruntime-web and without a server of its own."""

import base64
import html
import json
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.serving.formats.portable import describe, export_portable

_PAGE = pathlib.Path(__file__).with_name("web_page")
_SCRIPTS = ("stylegan.js", "page.js")
_RUNTIME = {"module": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}  # Of onnxruntime-web.


def write_web_page(
    networks: Networks,
    dest: pathlib.Path,
    options: ServingOptions,
    ort_dir: Optional[str],
    metadata: Optional[Mapping[str, Any]] = None,
    progress: StartProgress = Progress,
    note: Note = ignore,
) -> list[pathlib.Path]:
    """Writes `dest`/index.html, model.js and runtime.js; returns the paths. They work from any host, and as files.

    Args:
      ort_dir: the folder `dist` of the npm package onnxruntime-web.
    Raises UserError if the runtime is not there, and as `export_portable`.
    """
    runtime = _read_runtime(ort_dir)
    generator, dest = networks.best_generator, pathlib.Path(dest)
    make_folder(dest)
    with tempfile.TemporaryDirectory() as folder:
        paths = export_portable(generator, folder, "onnx", options, metadata, progress, note)
        model = {path.stem: _base64(path.read_bytes()) for path in paths if path.stem != "generator"}
    model["facts"] = facts(networks, options)
    script = "\n".join((_PAGE / name).read_text("utf-8") for name in _SCRIPTS)
    page = (_PAGE / "index.html").read_text("utf-8").replace("{{script}}", script)
    contents = {
        "index.html": page.replace("{{title}}", html.escape(str((metadata or {}).get("dataset", "generator")))),
        "model.js": f"const MODEL = {json.dumps(model)};\n",
        "runtime.js": f"const RUNTIME = {json.dumps(runtime)};\n",
    }
    for name, text in contents.items():
        (dest / name).write_text(text, "utf-8")
    return [dest / name for name in contents]


def facts(networks: Networks, options: ServingOptions) -> dict[str, Any]:
    """What the page needs to know of the network."""
    generator = networks.best_generator
    config, centres = generator.config, []
    if config.use_styles:
        eye = np.eye(config.label_size, dtype=np.float32) if config.label_size else None
        found = generator.truncation_centre(options.truncation_centre or "all", eye)
        centres = np.reshape(found, [-1, config.w_size]).astype(np.float64).round(7).tolist()
    layers = generator.synthesis.num_layers_at(generator.growth.resolution) if config.use_styles else 1
    return {
        **describe(generator, options),
        "label_names": networks.label_names,
        "aspect_ratio": networks.aspect_ratio,
        "num_layers": layers,
        "w_size": config.w_size,
        "centres": centres,  # One for each label, or for all.
    }


def _read_runtime(ort_dir) -> dict[str, str]:
    hint = "unpack the npm package onnxruntime-web and give its folder dist (docs/serving.md has the command)"
    if not ort_dir:
        raise UserError(f"`ort_dir` is missing: {hint}.")
    files = {key: pathlib.Path(ort_dir) / name for key, name in _RUNTIME.items()}
    for path in files.values():
        if not path.is_file():
            raise UserError(f"{path} does not exist: {hint}, as `ort_dir`.")
    return {"module": files["module"].read_text("utf-8"), "wasm": _base64(files["wasm"].read_bytes())}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
