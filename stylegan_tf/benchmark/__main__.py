"""Measures training: both steps, whole iterations, memory, start, and the machine's ceiling.

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

FLAGS = flags.FLAGS
flags.define("resolution", ["32"], "Sizes to train at, as the networks' full size.")
flags.define("batch_size", ["16"], "Images per iteration, of all replicas together.")
flags.define("fmap_base", 2048, "Width of the networks: see the training flags.")
flags.define("fmap_max", 128, "Most channels of a layer.")
flags.define("precision", ["float32", "bfloat16"], f"Of {', '.join(PRECISIONS)}.")
flags.define("form", ["plain", "fused"], "fused: what training runs; plain: its readable reference.")
flags.define("jit_compile", ["off"], "Of off, on: compile the networks' gradients with XLA as a whole.")
flags.define("augment", ["none"], f"Of {', '.join(AUGMENTATIONS)}: what augmentation costs.")
flags.define("parts", ",".join(PARTS), f"Of {', '.join(PARTS)}.", list)
flags.define("replicas", 1, "Also train on so many mirrored replicas, on a CPU with its share of the cores each.")
flags.define("iterations_per_call", 4, "Iterations in a call: pauses between turns weigh less.", lower_bound=1)
flags.define("rounds", 7, "How often every case is measured in a run.", lower_bound=1)
flags.define("runs", 1, "How often everything starts again, with new processes.", lower_bound=1)
flags.define("most_seconds", 300.0, "Leave a case out whose first iteration takes longer.")
flags.define("ceiling", True, "Measure the fastest matrix product and 3x3 convolution, too.")
flags.define("data_dir", None, "A dataset to read reals from; without it random ones are written.")
flags.define("json", None, "A file to write all measurements to.")

_CHOICES = {
    "precision": PRECISIONS,
    "form": FORMS,
    "augment": AUGMENTATIONS,
    "jit_compile": ("off", "on"),
    "parts": PARTS,
}


def main() -> None:
    cases = _cases()
    if not cases:
        raise UserError("there is nothing to measure: every one of the lists needs a value.")
    if not FLAGS.most_seconds > 0:
        raise UserError(f"--most_seconds must be above 0, got {FLAGS.most_seconds}.")
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
        command_line.write_json(FLAGS.json, {"runs": [run.to_dict() for run in runs]})
    print("\n".join(ratio_lines(runs)))


def _cases() -> list[Case]:
    """The plain float32 one first, if it is among them: the reference."""
    for name, choices in _CHOICES.items():
        for value in FLAGS[name].value:
            if value not in choices:
                raise UserError(f"--{name} must be of {', '.join(choices)}; got {value!r}.")
    shared = {"fmap_base": FLAGS.fmap_base, "fmap_max": FLAGS.fmap_max, "iterations": FLAGS.iterations_per_call}
    sizes = itertools.product(_numbers("resolution", FLAGS.resolution), _numbers("batch_size", FLAGS.batch_size))
    kinds = itertools.product(FLAGS.jit_compile, FLAGS.precision, FLAGS.form, FLAGS.augment)
    cases = []
    for (resolution, batch_size), (jit, *kind) in itertools.product(sizes, kinds):
        options = {**dict(zip(("precision", "form", "augment"), kind)), "jit_compile": jit == "on"}
        case = Case(resolution=resolution, batch_size=batch_size, **shared, **options)
        cases.append(case)
        if FLAGS.replicas > 1 and case.form == "fused":
            cases.append(dataclasses.replace(case, replicas=FLAGS.replicas))
    return cases


def _numbers(name: str, values: list[str]) -> list[int]:
    try:
        return [int(value) for value in values]
    except ValueError:
        raise UserError(f"--{name} expects whole numbers such as 16,32; got {','.join(values)!r}.") from None


def _random_images(folder: str, resolution: int) -> str:
    from stylegan_tf.data.making.writer import write_tfrecords
    from stylegan_tf.data.sources import open_source

    source = open_source("synthetic", SourceOptions(resolution, max_images=256))
    return str(write_tfrecords(source, pathlib.Path(folder) / "random"))


if __name__ == "__main__":
    command_line.run(main)
