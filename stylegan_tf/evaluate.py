"""Measures networks: FID, KID, precision and recall, Inception score, perceptual path length, linear separability.

    python -m stylegan_tf.evaluate --network runs/ffhq --data_dir datasets/ffhq --metrics fid50k,ppl_wend
    python -m stylegan_tf.evaluate --network runs/demo --data_dir datasets/demo --all \\
        --metrics fid4096,pr4096 --feature_extractor efficientnet_lite0
    python -m stylegan_tf.evaluate --network 'runs/table1/*' --data_dir datasets/ffhq --table table1.md
    python -m stylegan_tf.evaluate --images pictures.zip --data_dir datasets/ffhq --metrics fid50k,pr50k

Results are written to metric-NAME.jsonl next to the network, and to TensorBoard. Existing results are not computed
again. Results for `demo` and --images are only printed, unless --out names a folder.
"""

import pathlib

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import EvaluationOptions, PictureOptions
from stylegan_tf.metrics.kinds import KNOWN, parse_metrics
from stylegan_tf.metrics.results import check_table_path

FLAGS = flags.FLAGS
flags.define(
    "network",
    [],
    "Network files, run folders (the newest network of each) or `demo`, separated by commas; * and ? match parts "
    "of names.",
)
flags.must_exist("network", "demo")
flags.define(
    "images",
    [],
    "Pictures to measure in place of networks: folders, archives or other sources, separated by commas. They "
    "must have the size of the images of --data_dir; otherwise see --fit.",
)
flags.define_data_dir("A folder of TFRecords with the real images and, if there are any, the labels.")
flags.define("metrics", "fid50k", f"Metrics to compute, separated by commas: {KNOWN}.")
flags.define_options(EvaluationOptions)
flags.define_options(PictureOptions, "white", "black")
flags.define("out", None, "Folder for results. Default: that of the network; none for `demo` and --images.")
flags.define("table", None, "File for a table of all results with one row per network: .md or .csv.")


def main():
    if not FLAGS.network and not FLAGS.images:
        flags.fail("--network is missing: give a network file, a run folder, or demo; or pictures as --images.")
    flags.only_with(FLAGS.images, "--images", "fit", "white", "black")
    metrics, options = parse_metrics(FLAGS.metrics), flags.read_options(EvaluationOptions)
    flags.only_with(any("classifiers" in metric.needs for metric in metrics), "ls in --metrics", "classifiers")
    if any("extractor" in metric.needs for metric in metrics):
        flags.require_extractor()
    if FLAGS.table:
        check_table_path(pathlib.Path(FLAGS.table))
    from stylegan_tf.metrics.evaluation import evaluate_and_record

    places = {"out": FLAGS.out, "table": FLAGS.table}
    outputs = {"note": command_line.show, "warn": command_line.warn, "progress": ProgressBar}
    outputs["reading"] = flags.read_options(PictureOptions)
    evaluate_and_record(FLAGS.network, FLAGS.images, FLAGS.data_dir, metrics, options, **places, **outputs)


if __name__ == "__main__":
    command_line.run(main, renamed={"source": "images"}, addresses=["out"])
