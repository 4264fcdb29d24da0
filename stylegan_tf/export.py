"""Exports a generator as a SavedModel for TensorFlow Serving: the next version in a folder of versions.

    python -m stylegan_tf.export --network runs/demo --saved_model_dir saved_models/demo
    tensorflow_model_server --rest_api_port=8501 --model_name=demo --model_base_path=$PWD/saved_models/demo

saved_models/README.md tells what the model answers to and how to ask it.
"""

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("network", None, "A network file, a run folder (its newest network), or `demo`.")
flags.DEFINE_string("saved_model_dir", None, "Folder of versions, like saved_models/NAME; made if it is not there.")
flags.DEFINE_enum(
    "noise_mode",
    "const",
    ["const", "random", "none"],
    "Noise inputs: the network's fixed maps, fresh ones for every image, or none.",
)
flags.DEFINE_integer("truncation_cutoff", 8, "truncation_psi applies to the first layers only, up to here.")
flags.DEFINE_enum(
    "truncation_centre",
    None,
    ["class", "all"],
    "What truncation draws towards in a network with labels: the mean w of the image's own class, or that of all "
    "training. Left out: class; all for converted networks of the authors, as in their code.",
)
flags.DEFINE_enum(
    "weights",
    "float32",
    ["float32", "bfloat16", "float16"],
    "How weights are stored; the network computes in float32. The last two need half of the space.",
)
flags.DEFINE_bool(
    "constants",
    False,
    "Write the weights into the graph, once for each signature: answers come somewhat sooner, the first one of each "
    "signature later, and the export is several times as large.",
)
flags.DEFINE_enum(
    "bad_rows",
    "fail",
    ["fail", "mark"],
    "What NaN, infinity or a seed out of range does: the request fails, and with it all that a server has joined to "
    "it; or its row has a gray picture and False in an output `ok`, and the other rows are answered.",
)
flags.DEFINE_bool("crop", True, "If the network was trained on letterboxed pictures: cut the bars off.")


def main():
    needed = {"network": "a network file, a run folder, or demo", "saved_model_dir": "a folder for the versions"}
    for name, what in needed.items():
        if not FLAGS[name].value:
            raise UserError(f"--{name} is missing: give {what}.")
    from stylegan_tf.metrics.results import results_of_network  # Late: TensorFlow.
    from stylegan_tf.networks.network_file import find_network, load_networks
    from stylegan_tf.serving.network_parts import ServingOptions
    from stylegan_tf.serving.saved_model import export_generator

    path = find_network(FLAGS.network)
    networks = load_networks(path)
    options = ServingOptions(
        noise_mode=FLAGS.noise_mode,
        truncation_cutoff=FLAGS.truncation_cutoff,
        truncation_centre=FLAGS.truncation_centre or networks.truncation_centre,
        weights=FLAGS.weights,
        as_constants=FLAGS.constants,
        bad_rows=FLAGS.bad_rows,
        content_box=networks.content_box if FLAGS.crop else None,
    )
    metrics = results_of_network(path.parent, path.name)
    origin = {"file": path.name, **networks.metadata, "metrics": metrics}
    print(export_generator(networks.best_generator, FLAGS.saved_model_dir, options, origin))


if __name__ == "__main__":
    command_line.run(main)
