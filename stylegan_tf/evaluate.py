"""Measures networks: FID, KID, precision and recall, Inception score, perceptual path length, linear separability.

    python -m stylegan_tf.evaluate --network runs/ffhq --data_dir datasets/ffhq --metrics fid50k,ppl_wend
    python -m stylegan_tf.evaluate --network runs/demo --data_dir datasets/demo --all \\
        --metrics fid4096,pr4096 --feature_extractor efficientnet_lite0

Results go to metric-NAME.jsonl beside the network, and to TensorBoard. What is there already is not computed again.
"""

import pathlib

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.cli.option_flags import define_flags_of
from stylegan_tf.config import TrainConfig
from stylegan_tf.errors import UserError
from stylegan_tf.metrics.names import KNOWN, parse_metrics

FLAGS = flags.FLAGS
flags.DEFINE_string("network", None, "A network file, a run folder (its newest network), or `demo`.")
flags.DEFINE_bool("all", False, "Every network of the run folder, from the first to the last.")
flags.DEFINE_string("data_dir", None, "Folder of TFRecords with the real images; it also has the labels, if any.")
flags.DEFINE_string("metrics", "fid50k", f"Names, separated by commas: {KNOWN}.")
define_flags_of(TrainConfig, "feature_extractor", "image_distance")
flags.DEFINE_string("classifiers", None, "For ls: a folder of stylegan_tf.train_classifier, one file an attribute.")
flags.DEFINE_bool(
    "mirror_augment", None, "Real images count twice, plain and mirrored; left out: if the network was trained so."
)
flags.DEFINE_integer("seed", 0, "Seed of latents and noise.", lower_bound=0, upper_bound=2**31 - 1)
flags.DEFINE_string("out", None, "Folder for the results; left out: that of the network, for `demo` this one.")
flags.DEFINE_bool("force", False, "Compute also what is there already.")
flags.DEFINE_integer("batch_size", None, "Images per device and call; left out: by resolution.", lower_bound=1)
flags.DEFINE_enum(
    "strategy", "auto", ["auto", "one", "mirrored"], "Devices of this machine; auto: all GPUs, else the CPU."
)
flags.DEFINE_string("cache_dir", None, "Folder for statistics of real images and for unfinished computations; left "
                    "out: ~/.cache/stylegan_tf.")  # fmt: skip


def main():
    if not FLAGS.network:
        raise UserError("--network is missing: give a network file, a run folder, or demo.")
    metrics = parse_metrics(FLAGS.metrics)
    import tensorflow as tf

    from stylegan_tf.data.dataset_files import find_dataset
    from stylegan_tf.distribution.strategy import create_strategy
    from stylegan_tf.metrics.attribute_classifiers import load_classifiers
    from stylegan_tf.metrics.features import load_extractor
    from stylegan_tf.metrics.lpips import load_distance
    from stylegan_tf.metrics.measuring import measure_file
    from stylegan_tf.networks.network_file import DEMO_FILE, find_network, find_networks

    paths = find_networks(FLAGS.network) if FLAGS.all else [find_network(FLAGS.network)]
    info = find_dataset(FLAGS.data_dir) if FLAGS.data_dir else None
    several = len(tf.config.list_logical_devices("GPU")) > 1
    strategy = create_strategy(("mirrored" if several else "one") if FLAGS.strategy == "auto" else FLAGS.strategy)
    needs_distance = any(metric.kind == "ppl" for metric in metrics)
    extractor = distance = classifiers = None
    with strategy.scope():
        if any(metric.needs_features for metric in metrics) or (needs_distance and FLAGS.image_distance == "features"):
            extractor = load_extractor(FLAGS.feature_extractor)
        if needs_distance and FLAGS.image_distance:
            distance = load_distance(FLAGS.image_distance, extractor)
        if FLAGS.classifiers and any(metric.kind == "ls" for metric in metrics):
            classifiers = load_classifiers(FLAGS.classifiers)
    tools = {"extractor": extractor, "distance": distance, "classifiers": classifiers}
    options = {name: FLAGS[name].value for name in ("seed", "batch_size", "force", "mirror_augment", "cache_dir")}
    for path in paths:
        out = pathlib.Path(FLAGS.out or ("." if path == DEMO_FILE else path.parent))
        measure_file(path, metrics, strategy, info, out=out, **tools, **options)


if __name__ == "__main__":
    command_line.run(main)
