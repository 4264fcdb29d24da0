"""Measures networks: FID, KID, precision and recall, Inception score, perceptual path length, linear separability.

    python -m stylegan_tf.evaluate --network runs/ffhq --data_dir datasets/ffhq --metrics fid50k,ppl_wend
    python -m stylegan_tf.evaluate --network runs/demo --data_dir datasets/demo --all \\
        --metrics fid4096,pr4096 --feature_extractor efficientnet_lite0
    python -m stylegan_tf.evaluate --network 'runs/table1/*' --data_dir datasets/ffhq --table table1.md
    python -m stylegan_tf.evaluate --images pictures.zip --data_dir datasets/ffhq --metrics fid50k,pr50k

Results go to metric-NAME.jsonl beside the network, and to TensorBoard. Existing results are not computed again.
"""

import functools
import glob
import pathlib
import sys

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import TrainConfig
from stylegan_tf.errors import UserError
from stylegan_tf.metrics.kinds.parsing import KNOWN, parse_metrics
from stylegan_tf.metrics.results import ResultTable, check_table_path

FLAGS = flags.FLAGS
flags.define(
    "network",
    [],
    "Network files, run folders (the newest network of each) or `demo`, separated by commas; * and ? stand for parts "
    "of names.",
)
flags.must_exist("network", "demo")
flags.define("all", False, "Every network of a run folder, from the first to the last.")
flags.define(
    "images",
    [],
    "Pictures to measure in place of networks: folders, archives or other data sources, separated by commas. They must "
    "be as large as the images of --data_dir, or see --fit.",
)
flags.define(
    "fit", None, "How --images are brought to the size of those of --data_dir.", choices=["crop", "pad", "stretch"]
)
flags.define_data_dir("A folder of TFRecords with the real images; it also has the labels, if any.")
flags.define("metrics", "fid50k", f"Names, separated by commas: {KNOWN}.")
flags.define_options(TrainConfig, "feature_extractor", "image_distance")
flags.define("classifiers", None, "For ls: a folder of stylegan_tf.train_classifier, one file an attribute.")
flags.define(
    "mirror_augment",
    None,
    "Real images count twice, plain and mirrored; left out: if the network was trained so.",
    bool,
)
flags.define("per_class", False, "Of networks with labels: also each class by itself, against its real images.")
flags.define("seed", 0, "Seed of latents and noise.", lower_bound=0, upper_bound=2**31 - 1)
flags.define("crop", True, "If the pictures are letterboxed: compare them without the bars.")
flags.define("out", None, "Folder for the results; left out: that of the network, for `demo` and --images this one.")
flags.define("table", None, "Also write the results as one table, a row for each network: .md or .csv.")
flags.define("force", False, "Recompute existing results.")
flags.define("batch_size", None, "Images per device and call; left out: by resolution.", int, lower_bound=1)
flags.define(
    "strategy", "auto", "Devices of this machine; auto: all GPUs, else the CPU.", choices=["auto", "one", "mirrored"]
)
flags.define(
    "cache_dir",
    None,
    "Folder for statistics of real images and for unfinished computations; left out: ~/.cache/stylegan_tf.",
)


def main():
    if not FLAGS.network and not FLAGS.images:
        raise UserError("--network is missing: give a network file, a run folder, or demo; or pictures as --images.")
    metrics = parse_metrics(FLAGS.metrics)
    if FLAGS.table:
        check_table_path(pathlib.Path(FLAGS.table))
    from stylegan_tf.data.dataset_files import find_dataset
    from stylegan_tf.files.working_copy import working_copy
    from stylegan_tf.metrics import recording

    info = find_dataset(FLAGS.data_dir) if FLAGS.data_dir else None
    subjects = [*_networks(), *((name, None) for name in FLAGS.images)]
    template = _template(metrics)
    options = {"info": info, "mirror": FLAGS.mirror_augment, "crop": FLAGS.crop}
    table, problems, note = ResultTable(), [], functools.partial(print, flush=True)

    def on_error(metric, error):  # The other metrics continue.
        _check_expected(error)
        problems.append(str(error))
        line = f"{name}  {f'{metric.text} ' if metric else ''}left out: {error}"
        print(command_line.with_flags(line), file=sys.stderr, flush=True)

    for name, path in subjects:
        out = FLAGS.out or _folder_of(path)
        try:
            if path is None:
                subject = recording.pictures_subject(template, name, **options, fit=FLAGS.fit, note=print_to_stderr)
            else:
                subject = recording.network_subject(template, path, **options)
        except UserError as error:
            on_error(None, error)
        else:
            of_classes = recording.subjects_of_classes(subject) if FLAGS.per_class and path else []
            with working_copy(out, ["metric-*.jsonl"], note=command_line.warn) as copy:
                for each in [subject, *of_classes]:
                    found = recording.measure_and_record(each, metrics, copy.folder, on_error, FLAGS.force, note)
                    table.add(f"{name} {each.facts['class']}" if "class" in each.facts else name, found)
    if FLAGS.table:
        table.write(pathlib.Path(FLAGS.table))
    if problems:
        several = f"{len(problems)} results are missing, see above. The first: " if len(problems) > 1 else ""
        raise UserError(several + problems[0])


def print_to_stderr(line: str) -> None:
    print(command_line.with_flags(line), file=sys.stderr)


def _networks():
    """(name, file) of every network to measure. UserError for one that does not exist."""
    from stylegan_tf.networks.network_file import find_network, find_networks

    named = []
    for given in FLAGS.network:
        is_pattern = glob.has_magic(given) and not pathlib.Path(given).exists()
        found = sorted(glob.glob(given)) if is_pattern else [given]
        if not found:
            raise UserError(f"--network: nothing is called {given}: give network files or run folders.")
        for name in found:
            if FLAGS.all:
                named += [(name if path.name in name else f"{name}/{path.name}", path) for path in find_networks(name)]
            else:
                named.append((name, find_network(name)))
    return named


def _template(metrics):
    """A context with nothing to measure yet."""
    import tensorflow as tf

    from stylegan_tf.distribution.strategy import create_strategy
    from stylegan_tf.files.storage import default_cache_folder
    from stylegan_tf.metrics.context import MetricContext
    from stylegan_tf.metrics.recording import load_metric_models

    several = len(tf.config.list_logical_devices("GPU")) > 1
    strategy = create_strategy(("mirrored" if several else "one") if FLAGS.strategy == "auto" else FLAGS.strategy)
    with strategy.scope():
        models = load_metric_models(metrics, FLAGS.feature_extractor, FLAGS.image_distance, FLAGS.classifiers)
    cache = pathlib.Path(FLAGS.cache_dir) if FLAGS.cache_dir else default_cache_folder()
    options = {"batch_size": FLAGS.batch_size, "progress": ProgressBar}
    return MetricContext(None, strategy, FLAGS.seed, cache, **models, **options)


def _folder_of(path):
    from stylegan_tf.files.storage import address_of
    from stylegan_tf.networks.network_file import DEMO_FILE

    return "." if path in (None, DEMO_FILE) else address_of(path.parent)


def _check_expected(error):
    """Raises errors that are not the user's. Out of memory becomes a UserError."""
    import tensorflow as tf

    if isinstance(error, tf.errors.ResourceExhaustedError):
        raise UserError("out of memory: lower --batch_size.") from error
    if not isinstance(error, UserError):
        raise error


if __name__ == "__main__":
    command_line.run(main, renamed={"source": "images"}, addresses=["out"])
