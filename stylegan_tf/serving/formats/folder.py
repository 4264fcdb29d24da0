"""Folders of files for other runtimes, with a model card.

Among them a web page that runs the network in the browser, by onnxruntime-web and without a server of its own; and all
that a page on the Hugging Face Hub shows.
"""

import base64
import dataclasses
import html
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.files.atomic_write import make_folder, write_json, write_text
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.serving.formats.portable import describe, export_portable, truncation_centres
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import save_image_grid
from stylegan_tf.visualize.style_mixing import layer_groups

_PAGE = pathlib.Path(__file__).with_name("web_page")
_SCRIPTS = ("stylegan.js", "page.js")
_RUNTIME = {"module": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}  # Files of onnxruntime-web.
_LIMITS = """\
For research, art and teaching. It is not meant for pictures that pass for photographs of real people, places or
events. It shows what its training images show, with their biases and gaps, and at a lower `truncation_psi` less of
their variety. Latents far from N(0, 1) and values of `truncation_psi` above 1 give unrealistic images."""
_CARD, _INDEX = "library_name: stylegan-tf", "<title>StyleGAN: "
_COMMON_NAMES = {
    "web": {"README.md": _CARD, "index.html": _INDEX},
    "hub": {
        "README.md": _CARD,
        "config.json": '"default_truncation_psi":',
        "space/README.md": "app_file: index.html",
        "space/index.html": _INDEX,
    },
}
_SPACE = """\
---
title: {name}
sdk: static
app_file: index.html
pinned: false
---
"""


def common_names(kind: str) -> dict[str, str]:
    """Names in a folder of this format that others' files may have, too -> what those of an export contain."""
    return _COMMON_NAMES.get(kind, {"README.md": _CARD})


def write_model_card(
    folder,
    generator: Generator,
    name: str,
    metadata: Mapping[str, Any],
    files: str,
    content_box: Optional[Sequence[float]] = None,
) -> pathlib.Path:
    """Writes `folder`/README.md, with the front matter of the Hugging Face Hub.

    metadata: of the network file, with `metrics`. files: Markdown about the files of the export. content_box: what
    they return of an image.
    """
    text = _text(generator, name, metadata, files, content_box)
    return write_text(pathlib.Path(folder) / "README.md", "\n".join([*_front_matter(metadata), *text]) + "\n")


def _front_matter(metadata):
    licence = str(metadata.get("licence", ""))
    lines = ["---", f"license: {'cc-by-nc-4.0' if 'BY-NC' in licence else 'other'}", "library_name: stylegan-tf"]
    lines += ["pipeline_tag: unconditional-image-generation", "tags:", "- stylegan", "- gan", "- tensorflow"]
    return [*lines, "---"]


def _text(generator, name, metadata, files, content_box):
    config, resolution = generator.config, generator.growth.resolution
    height, width = crop_to_box(np.empty([1, resolution, resolution, 1]), content_box).shape[1:3]
    networks = Networks(None, None, generator, dict(metadata))
    label_names, ratio = networks.label_names, networks.aspect_ratio
    shape = f"; stretched to squares from pictures {ratio:g} times as wide as high" if ratio else ""
    if networks.content_box:
        shape = "; without the bars of the letterboxed training pictures" if content_box else "; letterboxed, with bars"
    rows = {
        "Images": f"{width}x{height}, {config.num_channels} channels{shape}",
        "Latents": f"z [{config.latent_size}], w [{config.w_size}]",
        "Labels": (config.label_size and ", ".join(label_names)) or config.label_size,
        "Training data": metadata.get("dataset", "not recorded"),
        "Training images shown": "not recorded" if metadata.get("kimg") is None else f"{metadata['kimg']:g} thousand",
        "Converted from": metadata.get("converted_from"),
        "Licence": metadata.get("licence", "not recorded: that of the training data and of whoever trained it"),
    }
    metrics = [
        f"| {key} | {', '.join(f'{part} {value:g}' for part, value in values.items() if value is not None)} |"
        for key, values in (metadata.get("metrics") or {}).items()
    ]
    return [
        f"\n# {name}\n",
        "A StyleGAN generator (Karras, Laine, Aila: A Style-Based Generator Architecture for Generative Adversarial",
        "Networks, CVPR 2019), trained and exported with `stylegan-tf`.\n",
        "| | |\n|---|---|",
        *(f"| {key} | {value} |" for key, value in rows.items() if value),
        "\n## Metrics\n",
        *(["| metric | values |\n|---|---|", *metrics] if metrics else ["None recorded."]),
        f"\n## Files\n\n{files}",
        f"\n## Intended use and limits\n\n{_LIMITS}",
    ]


def export_folder(
    networks: Networks,
    dest,
    kind: str,
    options: ServingOptions,
    metadata: Optional[Mapping[str, Any]] = None,
    ort_dir: Optional[str] = None,
    progress: StartProgress = Progress,
    note: Note = ignore,
    name: Optional[str] = None,
) -> list[pathlib.Path]:
    """Writes the format `kind`, "onnx", "tflite", "web" or "hub", and a model card; returns the paths.

    Args: see `export_portable` and `write_web_page`; metadata: those of the network file, with its `metrics`; name: of
    a model without a dataset, None: that of the folder.
    Raises UserError, before it writes anything, if `dest` holds a README.md, index.html, ... that is not of an export.
    """
    dest, metadata = pathlib.Path(dest), dict(metadata or {})
    _check_free(dest, kind)
    options = dataclasses.replace(options, truncation_centre=options.truncation_centre or networks.truncation_centre)
    name = str(metadata.get("dataset") or name or dest.resolve().name)
    shared = {"progress": progress, "note": note}
    kept = ("label_names", "licence", "dataset", "kimg", "aspect_ratio")
    stored = {key: metadata[key] for key in kept if key in metadata}
    if kind == "web":
        paths = write_web_page(networks, dest, options, ort_dir, metadata=stored, **shared)
    elif kind == "hub":
        paths = _write_hub_folder(networks, dest, options, ort_dir, stored, shared, name)
    else:
        paths = export_portable(networks.best_generator, dest, kind, options, metadata=stored, **shared)
    files = "\n".join(f"- `{path.relative_to(dest)}`" for path in paths)
    if kind == "hub":
        files += "\n\n![Samples](samples.png)"
    return [*paths, write_model_card(dest, networks.best_generator, name, metadata, files, options.content_box)]


def _check_free(dest: pathlib.Path, kind: str) -> None:
    paths = {dest / name: mark for name, mark in common_names(kind).items()}
    foreign = [path for path, mark in paths.items() if path.exists() and mark not in path.read_text("utf-8", "replace")]
    if kind == "hub" and (dest / "network.npz").exists() and not (dest / "config.json").exists():
        foreign.append(dest / "network.npz")
    if foreign:
        name = foreign[0].relative_to(dest)
        raise UserError(f"`dest` holds a {name} that no export has written: choose another `dest`, or move it away.")


def _write_hub_folder(networks, dest, options, ort_dir, stored, shared, name) -> list[pathlib.Path]:
    """The network, what describes it, samples, ONNX files, and the page in `space`."""
    _read_runtime(ort_dir)
    generator = networks.best_generator
    onnx = export_portable(generator, dest / "onnx", "onnx", options, metadata=stored, **shared)
    pages = write_web_page(networks, dest / "space", options, ort_dir, metadata=stored, onnx=onnx, **shared)
    pages.append(write_text(dest / "space" / "README.md", _SPACE.format(name=json.dumps(name))))
    label = np.eye(1, generator.config.label_size, dtype=np.float32)[0] if generator.config.label_size else None
    truncation = Truncation(0.7, options.truncation_cutoff, options.truncation_centre)
    painter = Painter(generator, label, options.content_box, truncation, aspect_ratio=options.aspect_ratio)
    save_image_grid(painter.pictures(painter.dlatents(painter.latents(range(16)))), dest / "samples.png")
    config = {"architecture": generator.config.to_dict(), **describe(generator, options)}
    write_json(dest / "config.json", config)
    save_networks(dest / "network.npz", Networks(None, None, generator, networks.metadata))
    return [*(dest / file for file in ("network.npz", "config.json", "samples.png")), *onnx, *pages]


def write_web_page(
    networks: Networks,
    dest: pathlib.Path,
    options: ServingOptions,
    ort_dir: Optional[str],
    metadata: Optional[Mapping[str, Any]] = None,
    progress: StartProgress = Progress,
    note: Note = ignore,
    onnx: Sequence[pathlib.Path] = (),
) -> list[pathlib.Path]:
    """Writes `dest`/index.html, model.js and runtime.js; returns the paths. They work from any host, and as files.

    Args:
      ort_dir: the folder `dist` of the npm package onnxruntime-web.
      onnx: the files of `export_portable` with these options, where they exist already.
    Raises UserError if the runtime is not there, and as `export_portable`.
    """
    runtime = _read_runtime(ort_dir)
    generator, dest = networks.best_generator, pathlib.Path(dest)
    make_folder(dest)
    with tempfile.TemporaryDirectory() as folder:
        paths = onnx or export_portable(generator, folder, "onnx", options, metadata, progress, note)
        model = {path.stem: _base64(path.read_bytes()) for path in paths if path.stem != "generator"}
    model["facts"] = page_info(networks, options)
    script = "\n".join((_PAGE / name).read_text("utf-8") for name in _SCRIPTS)
    page = (_PAGE / "index.html").read_text("utf-8").replace("{{script}}", script)
    contents = {
        "runtime.js": f"const RUNTIME = {json.dumps(runtime)};\n",
        "model.js": f"const MODEL = {json.dumps(model)};\n",
        # Last, as it loads the others.
        "index.html": page.replace("{{title}}", html.escape(str((metadata or {}).get("dataset", "generator")))),
    }
    return [write_text(dest / name, text) for name, text in contents.items()]


def page_info(networks: Networks, options: ServingOptions) -> dict[str, Any]:
    """What the page needs to know of the network."""
    generator = networks.best_generator
    config = generator.config
    layers = generator.synthesis.num_layers_at(generator.growth.resolution) if config.use_styles else 1
    groups = layer_groups([r for r in config.resolutions if r <= generator.growth.resolution])
    return {
        **describe(generator, options),
        "label_names": networks.label_names,
        "aspect_ratio": options.aspect_ratio,
        "num_layers": layers,
        "groups": [[group.name, group.layers.start, group.layers.stop] for group in groups],
        "w_size": config.w_size,
        "centres": truncation_centres(generator, options),
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
