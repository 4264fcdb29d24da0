"""Exports: a generator as the next version of a SavedModel for TensorFlow Serving, a network's file in any format."""

import contextlib
import dataclasses
import datetime
import errno
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, Callable, Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import make_folder, name_path_in_errors, sync_folder, sync_tree
from stylegan_tf.files.file_errors import short
from stylegan_tf.files.locks import locked
from stylegan_tf.files.working_copy import working_copy
from stylegan_tf.metrics.context import network_digest
from stylegan_tf.metrics.results import results_of_network
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.network_file import Networks, find_network, load_networks
from stylegan_tf.serving.formats.folder import common_names, export_folder, write_model_card
from stylegan_tf.serving.formats.portable import truncation_centres
from stylegan_tf.serving.signatures import ServedGenerator

_PREFIX = ".unfinished-"
_LOCK = "lock"
# In assets.extra; the server looks for the first by this name.
WARMUP_FILE, METADATA_FILE = "tf_serving_warmup_requests", "metadata.json"
_WARMED_UP = ("serving_default", "png", "seed_png")


def publish_version(folder: Union[str, os.PathLike], write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Calls `write(path)`, which fills the folder `path`, and renames it to the next free version in `folder`.

    A version appears only when it is complete and on the disk: it is written in a folder whose name no server takes for
    a version. Concurrent exports get different numbers. Returns the path of the version.
    Raises UserError if `folder` cannot be created or written to.
    """
    folder = pathlib.Path(folder)
    with contextlib.ExitStack() as stack:
        try:
            make_folder(folder)
            with locked(folder / ".exports.lock", f"the folder {folder}", wait=60):
                _remove_leftovers(folder)
                staging = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
                stack.callback(shutil.rmtree, staging, ignore_errors=True)
                stack.enter_context(locked(staging / _LOCK, f"the export {staging}"))
        except OSError as error:
            raise UserError(f"cannot write to {folder} ({error.strerror}): choose another `saved_model_dir`.") from None
        unfinished = staging / "version"  # mkdtemp's own folder is closed to other users, such as a server's.
        unfinished.mkdir()
        with name_path_in_errors(folder):
            write(unfinished)
            sync_tree(unfinished)  # A server may load it as soon as it has its number.
            path = _take_next_version(unfinished, folder)
            sync_folder(folder)
        return path


def _remove_leftovers(folder: pathlib.Path) -> None:
    """Removes those of killed exports; a running one holds its lock."""
    for staging in folder.glob(f"{_PREFIX}*"):
        try:
            with locked(staging / _LOCK, str(staging)):
                shutil.rmtree(staging, ignore_errors=True)
        except (UserError, OSError):
            pass


def versions(folder: Union[str, os.PathLike]) -> list[int]:
    """The versions in a folder, ascending."""
    return sorted(int(path.name) for path in pathlib.Path(folder).iterdir() if re.fullmatch(r"\d+", path.name))


def _take_next_version(unfinished: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    while True:
        path = folder / str(max(versions(folder), default=0) + 1)
        try:
            os.rename(unfinished, path)  # Fails if another export has just taken the number.
            return path
        except OSError:
            if not path.exists():
                raise


def export_network(
    network: Union[str, os.PathLike[str]],
    kind: str,
    dest: str,
    options: ServingOptions = ServingOptions(),
    ort_dir: Optional[str] = None,
    crop: bool = True,
    note: Note = ignore,
    warn: Note = ignore,
    progress: StartProgress = Progress,
) -> list[str]:
    """Writes a SavedModel, the next version in the folder `dest`, or another format as `dest`; returns their paths.

    Args:
      kind: "saved_model", or see `export_folder`; ort_dir: for a web page.
      dest: a folder, which may be in a bucket.
      options: without a truncation_centre: the network's; crop: cut the bars of letterboxed pictures off, and
        show stretched ones in the shape that they had.
      note: takes a line about each file; warn: about `dest`.
    """
    path = find_network(network)
    networks = load_networks(path)
    box, ratio = (networks.content_box, networks.aspect_ratio) if crop else (None, None)
    options = dataclasses.replace(options, content_box=box, aspect_ratio=ratio)
    metrics = results_of_network(path.parent, network_digest(networks.best_generator))
    origin = {"file": path.name, **networks.metadata, "metrics": metrics}
    name = pathlib.Path(dest).resolve().name  # Also that of an address.
    if ratio and kind != "web":
        shape = f"stretch them to {ratio:g} times as wide as high, the shape of the training pictures"
        note(f"The exported functions return squares: {shape}.")
    fetch = ["*/saved_model.pb"] if kind == "saved_model" else [*common_names(kind), "network.npz"]
    with working_copy(dest, fetch, exclusive=True, note=warn) as copy:
        if kind == "saved_model":
            written = [export_generator(networks.best_generator, copy.folder, options, origin, name)]
        else:
            written = export_folder(networks, copy.folder, kind, options, origin, ort_dir, progress, note, name)
        return [os.path.join(dest, os.path.relpath(each, copy.folder)) for each in written]


def export_generator(
    generator: Generator,
    saved_model_dir: Union[str, os.PathLike],
    options: Optional[ServingOptions] = None,
    metadata: Optional[dict[str, Any]] = None,
    name: Optional[str] = None,
) -> pathlib.Path:
    """Writes the next version of `saved_model_dir`; returns its folder.

    Args:
      options: options of the export; without a truncation_centre: that of `Networks` with this metadata.
      metadata: where the network comes from, for assets.extra/metadata.json. Anything that JSON can hold.
      name: of the model; None: that of the folder.

    >>> from stylegan_tf import export_generator, load_networks
    >>> export_generator(load_networks("demo").best_generator, "saved_models/demo").name
    '1'
    """
    options, metadata = options or ServingOptions(), metadata or {}
    centre = options.truncation_centre or Networks(None, None, generator, metadata).truncation_centre
    options = dataclasses.replace(options, truncation_centre=centre)
    served = ServedGenerator(generator, options)
    name = name or pathlib.Path(saved_model_dir).resolve().name

    def write(path: pathlib.Path) -> None:
        signatures = served.signatures()
        with _disk_errors(path):
            tf.saved_model.save(served, str(path), signatures=signatures)
            extra = path / "assets.extra"
            extra.mkdir()
            write_warmup_requests(extra / WARMUP_FILE, name, served.example_requests(_WARMED_UP))
        description = {**describe(served, generator, options), "network": metadata}
        (extra / METADATA_FILE).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        files = f"A TensorFlow SavedModel with the signatures {', '.join(signatures)}."
        write_model_card(extra, generator, name, metadata, files, options.content_box)

    return publish_version(saved_model_dir, write)


def describe(served: ServedGenerator, generator: Generator, options: ServingOptions) -> dict[str, Any]:
    """What an export holds, for people and for clients."""
    described = {**vars(options), "content_box": options.content_box and list(options.content_box)}
    described["as_constants"] = described.pop("constants")
    return {
        "exported": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "tensorflow": tf.version.VERSION,
        "weights_sha256": served.weights_sha256,
        "options": described,
        "growth": generator.growth.to_metadata(),
        "architecture": generator.config.to_dict(),
        "image_shape": served.image_shape,
        "inputs": served.inputs(),
        "w_avg": tf.convert_to_tensor(generator.truncation.w_avg).numpy().tolist(),
        "centres": truncation_centres(generator, options),  # For clients that truncate w themselves.
    }


def write_warmup_requests(path: pathlib.Path, model: str, requests: dict[str, dict[str, np.ndarray]]) -> None:
    """requests: signature -> inputs by name."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            writer.write(_prediction_log(model, signature, inputs))


def _prediction_log(model: str, signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """A serialised PredictionLog { predict_log { request { model_spec, inputs } } }."""
    model_spec = _field(1, model.encode()) + _field(3, signature.encode())  # name, signature_name
    request = _field(1, model_spec)
    for name, value in sorted(inputs.items()):
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # A map entry: key, value.
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """A field of any message: tag, length, content. A BytesList has it under the number 1."""
    return bytes([number << 3 | 2]) + tf.train.BytesList(value=[content]).SerializeToString()[1:]


@contextlib.contextmanager
def _disk_errors(path: pathlib.Path) -> Iterator[None]:
    """Turns TensorFlow's errors of a full or failing disk into OSError."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError, tf.errors.UnknownError) as error:
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number) if full else short(error, 150), str(path.parent)) from error
