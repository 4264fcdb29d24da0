"""Exports a generator: as a SavedModel for TensorFlow Serving, or as files for other runtimes.

    python -m stylegan_tf.export --network runs/demo --saved_model_dir saved_models/demo
    tensorflow_model_server --rest_api_port=8501 --model_name=demo --model_base_path=$PWD/saved_models/demo

writes the next version in a folder of versions. With --format=onnx or --format=tflite,

    python -m stylegan_tf.export --network runs/demo --format=onnx --dest exports/demo --weights=float16

writes generator, mapping and synthesis as separate files, each of which is run in its runtime and compared with the
network. --format=web writes a page that runs the network in a browser, --format=hub a folder for the Hugging Face Hub.
All of them come with a README.md. Files of an earlier export in --dest are replaced; the command writes nothing if a
README.md, index.html, config.json or network.npz there comes from elsewhere.
docs/serving.md describes the formats, the signatures, and how to call them.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import ServingOptions

FLAGS = flags.FLAGS
flags.define_network()
flags.define("format", "saved_model", "Format to write.", choices=["saved_model", "onnx", "tflite", "web", "hub"])
flags.define("saved_model_dir", None, "A folder of versions, like saved_models/NAME; it may be new.")
flags.define("dest", None, "A folder for the files of the other formats; it may be new.")
flags.define("ort_dir", None, "For web and hub: `dist` of the npm package onnxruntime-web, see docs/serving.md.")
flags.define_options(ServingOptions)
flags.define(
    "crop", True, "Undo the letterboxing or, on the pages of web and hub, the stretching of the training pictures."
)


def main() -> None:
    place = "saved_model_dir" if FLAGS.format == "saved_model" else "dest"
    flags.require("network", place)
    flags.only_with(FLAGS.format == "saved_model", "--format=saved_model", "constants", "bad_rows", "saved_model_dir")
    flags.only_with(FLAGS.format != "saved_model", "another --format", "dest")
    flags.only_with(FLAGS.format in ("web", "hub"), "--format=web or hub", "ort_dir")
    options = flags.read_options(ServingOptions)
    if FLAGS.format in ("onnx", "web", "hub"):
        flags.require_packages("onnx", "onnx", "tf2onnx", "onnxruntime")
    from stylegan_tf.serving.saved_model import export_network

    where = {"kind": FLAGS.format, "dest": FLAGS[place].value, "ort_dir": FLAGS.ort_dir, "crop": FLAGS.crop}
    outputs = {"note": command_line.show, "warn": command_line.warn, "progress": ProgressBar}
    for path in export_network(FLAGS.network, options=options, **where, **outputs):
        print(path)


if __name__ == "__main__":
    command_line.run(main, addresses=["saved_model_dir", "dest"])
