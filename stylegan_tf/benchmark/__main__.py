"""Measures training: both steps, complete iterations, memory, start, and the machine's ceiling.

    python -m stylegan_tf.benchmark
    python -m stylegan_tf.benchmark --precision=float32,bfloat16 --form=plain,fused --runs=3 --json=benchmark.json
    python -m stylegan_tf.benchmark --resolution=8,32 --batch_size=16,32 --jit_compile=off,on --parts=iteration
    python -m stylegan_tf.benchmark --form=fused --augment=none,ada,diffaugment --parts=iteration

Every combination of the listed values is a case with a process of its own. The cases take turns, call by call, and
the table shows medians over the rounds; ratios are taken within a round, so that they hold on a machine that does
other work as well. "plain" is the same computation in its readable form, the reference of the ratios.
"""

import dataclasses
import itertools
import pathlib
import tempfile

from stylegan_tf.benchmark.cases import FORMS, PARTS, Case, machine_line
from stylegan_tf.benchmark.measuring import measure, ratio_lines, table_lines
from stylegan_tf.cli import command_line, flags
from stylegan_tf.config import AUGMENTATIONS, PRECISIONS, SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import write_json

FLAGS = flags.FLAGS
flags.define_list("resolution", "32", "Resolutions of the networks to train, separated by commas.")
flags.define_list("batch_size", "16", "Global batch sizes, separated by commas.")
flags.define("fmap_base", 2048, "Channels at resolution r are min(2 * fmap_base / r, fmap_max).")
flags.define("fmap_max", 128, "Maximum number of channels of a layer.")
flags.define_list("precision", "float32,bfloat16", "Number formats to measure", choices=PRECISIONS)
flags.define_list("form", "plain,fused", "Forms to measure, fused (as training runs) or its reference", choices=FORMS)
flags.define_list("jit_compile", "off", "Whether to compile the gradients with XLA", choices=("off", "on"))
flags.define_list("augment", "none", "Augmentations to measure", choices=AUGMENTATIONS)
flags.define_list("parts", ",".join(PARTS), "Parts of training to measure", choices=PARTS)
flags.define(
    "replicas", 1, "Also measure this number of mirrored replicas; on a CPU each gets an equal share of the cores."
)
flags.define("iterations_per_call", 4, "Iterations per call: with more, pauses between them weigh less.", lower_bound=1)
flags.define("rounds", 7, "Number of measurements of each case per run.", lower_bound=1)
flags.define("runs", 1, "Number of runs, each with new processes.", lower_bound=1)
flags.define(
    "most_seconds", 300.0, "Maximum seconds for the first iteration; slower cases are skipped.", lower_bound=0.001
)
flags.define("ceiling", True, "Also measure the fastest matrix product and 3x3 convolution.")
flags.define("data_dir", None, "A folder of TFRecords with the real images. Default: random ones.")
flags.define("json", None, "A .json file for all measurements.")


def main() -> None:
    cases = _cases()
    if not cases:
        raise UserError("there is nothing to measure: every one of the lists needs a value.")
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        data_dir = FLAGS.data_dir or _random_images(folder, max(case.resolution for case in cases))
        cases = [dataclasses.replace(case, data_dir=data_dir) for case in cases]
        print(machine_line(), flush=True)
        runs = []
        for number in range(FLAGS.runs):
            print(f"run {number + 1} of {FLAGS.runs}: {len(cases)} cases, {FLAGS.rounds} rounds", flush=True)
            runs.append(measure(cases, FLAGS.parts, FLAGS.rounds, FLAGS.ceiling, FLAGS.most_seconds))
            print("\n".join(table_lines(runs[-1])), flush=True)
    if FLAGS.json:
        write_json(FLAGS.json, {"runs": [run.to_dict() for run in runs]})
    print("\n".join(ratio_lines(runs)))


def _cases() -> list[Case]:
    """The plain float32 one first, if it is among them: the reference."""
    shared = {"fmap_base": FLAGS.fmap_base, "fmap_max": FLAGS.fmap_max, "iterations": FLAGS.iterations_per_call}
    lists = ("resolution", "batch_size", "jit_compile", "precision", "form", "augment")
    cases = []
    for values in itertools.product(*(FLAGS[name].value for name in lists)):
        options = dict(zip(lists, values))
        options["jit_compile"] = options["jit_compile"] == "on"
        case = Case(**shared, **options)
        cases.append(case)
        if FLAGS.replicas > 1 and case.form == "fused":
            cases.append(dataclasses.replace(case, replicas=FLAGS.replicas))
    return cases


def _random_images(folder: str, resolution: int) -> str:
    from stylegan_tf.data.making.writer import write_tfrecords
    from stylegan_tf.data.sources import open_source

    source = open_source("synthetic", SourceOptions(resolution, max_images=256))
    return str(write_tfrecords(source, pathlib.Path(folder) / "random"))


if __name__ == "__main__":
    command_line.run(main)
