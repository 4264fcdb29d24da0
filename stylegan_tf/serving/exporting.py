"""Exports the network of a file in any format, with what its run has measured."""

import dataclasses
import os
from typing import Optional, Union

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.files.working_copy import working_copy
from stylegan_tf.metrics.results import results_of_network
from stylegan_tf.networks.network_file import find_network, load_networks
from stylegan_tf.serving.formats.folder import export_folder
from stylegan_tf.serving.saved_model import export_generator


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
      options: without a truncation_centre: the network's; crop: cut the bars of letterboxed pictures off.
      note: takes a line about each file; warn: about `dest`.
    """
    path = find_network(network)
    networks = load_networks(path)
    options = dataclasses.replace(
        options,
        truncation_centre=options.truncation_centre or networks.truncation_centre,
        content_box=networks.content_box if crop else None,
    )
    origin = {"file": path.name, **networks.metadata, "metrics": results_of_network(path.parent, path.name)}
    fetch = ["*/saved_model.pb"] if kind == "saved_model" else []
    with working_copy(dest, fetch, exclusive=True, note=warn) as copy:
        if kind == "saved_model":
            written = [export_generator(networks.best_generator, copy.folder, options, origin)]
        else:
            reports = {"progress": progress, "note": note}
            written = export_folder(networks, copy.folder, kind, options, origin, ort_dir, **reports)
        return [os.path.join(dest, os.path.relpath(each, copy.folder)) for each in written]
