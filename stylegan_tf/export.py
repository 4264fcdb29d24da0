"""Exports a generator: as a SavedModel for TensorFlow Serving, or as files for other runtimes.

    python -m stylegan_tf.export --network runs/demo --saved_model_dir saved_models/demo
    tensorflow_model_server --rest_api_port=8501 --model_name=demo --model_base_path=$PWD/saved_models/demo

writes the next version in a folder of versions. With --format=onnx or --format=tflite,

    python -m stylegan_tf.export --network runs/demo --format=onnx --dest exports/demo --weights=float16

writes generator, mapping and synthesis as files of their own, each of which is run by its runtime and compared with the
network. --format=web writes a page that runs the network in a browser, --format=hub a folder for the Hugging Face Hub.
docs/serving.md has the formats, the signatures, and how to call them.
"""

import os

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import ServingOptions

FLAGS = flags.FLAGS
flags.define_network()
flags.define("format", "saved_model", "What to write.", choices=["saved_model", "onnx", "tflite", "web", "hub"])
flags.define("saved_model_dir", None, "A folder of versions, like saved_models/NAME; made if it is not there.")
flags.define("dest", None, "A folder for the files of other formats; made if it is not there.")
flags.define(
    "ort_dir", None, "For web and hub: the folder `dist` of the npm package onnxruntime-web, see docs/serving.md."
)
flags.define_options(ServingOptions)
flags.define("crop", True, "If the network was trained on letterboxed pictures: cut the bars off.")


def main() -> None:
    flags.require("network", "saved_model_dir" if FLAGS.format == "saved_model" else "dest")
    from stylegan_tf.files.working_copy import working_copy
    from stylegan_tf.metrics.results import results_of_network  # Late: TensorFlow.
    from stylegan_tf.networks.network_file import find_network, load_networks
    from stylegan_tf.serving.formats.folder import export_folder
    from stylegan_tf.serving.saved_model import export_generator

    path = find_network(FLAGS.network)
    networks = load_networks(path)
    options = flags.read_options(
        ServingOptions,
        truncation_centre=FLAGS.truncation_centre or networks.truncation_centre,
        content_box=networks.content_box if FLAGS.crop else None,
    )
    metrics = results_of_network(path.parent, path.name)
    origin = {"file": path.name, **networks.metadata, "metrics": metrics}
    if FLAGS.format == "saved_model":
        with working_copy(FLAGS.saved_model_dir, ["*/saved_model.pb"], exclusive=True, note=command_line.warn) as copy:
            version = export_generator(networks.best_generator, copy.folder, options, origin)
        print(os.path.join(FLAGS.saved_model_dir, os.path.basename(version)))
        return
    reports = {"progress": ProgressBar, "note": print}
    with working_copy(FLAGS.dest, [], exclusive=True, note=command_line.warn) as copy:
        written = export_folder(networks, copy.folder, FLAGS.format, options, origin, FLAGS.ort_dir, **reports)
    for path in written:
        print(os.path.join(FLAGS.dest, path.relative_to(copy.folder)))


if __name__ == "__main__":
    command_line.run(main, addresses=["saved_model_dir", "dest"])
