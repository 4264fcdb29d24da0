"""Measures training: steps, whole iterations, generation, input pipeline, memory, start, and the machine's ceiling.

    python -m stylegan_tf.benchmark
    python -m stylegan_tf.benchmark --precision=float32,bfloat16 --form=plain,fused --runs=3 --json=benchmark.json
    python -m stylegan_tf.benchmark --resolution=8,32 --batch_size=16,32 --jit_compile=off,on --parts=iteration

Every combination of the listed values is a case with a process of its own. The cases take turns, call by call, and
the table shows medians over the rounds; ratios are taken within a round, so that they hold on a machine that does
other work as well. "plain" is the same computation in its readable form, the reference of the ratios.
"""

import itertools
import json
import pathlib
import tempfile

from absl import flags

from stylegan_tf.benchmark.cases import FORMS, PARTS, Case
from stylegan_tf.benchmark.machine import machine_line
from stylegan_tf.benchmark.rounds import Run, measure
from stylegan_tf.benchmark.tables import ratio_lines, table_lines
from stylegan_tf.cli import command_line
from stylegan_tf.config import PRECISIONS
from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside

RESOLUTION = flags.DEFINE_list("resolution", "32", "sizes to train at, as the networks' full size")
BATCH_SIZE = flags.DEFINE_list("batch_size", "16", "images per iteration, of all replicas together")
FMAP_BASE = flags.DEFINE_integer("fmap_base", 2048, "width of the networks: see the training flags")
FMAP_MAX = flags.DEFINE_integer("fmap_max", 128, "most channels of a layer")
PRECISION = flags.DEFINE_list("precision", "float32,bfloat16", f"of {', '.join(PRECISIONS)}")
FORM = flags.DEFINE_list("form", "plain,fused", "fused: what training runs; plain: its readable reference")
JIT_COMPILE = flags.DEFINE_list("jit_compile", "off", "of off, on: compile the networks' gradients with XLA as a whole")
PART = flags.DEFINE_list("parts", ",".join(PARTS), f"of {', '.join(PARTS)}")
REPLICAS = flags.DEFINE_integer(
    "replicas", 1, "also train on so many mirrored replicas, on a CPU with its share of the cores each"
)
ITERATIONS = flags.DEFINE_integer("iterations_per_call", 4, "iterations in a call: pauses between turns weigh less")
ROUNDS = flags.DEFINE_integer("rounds", 7, "how often every case is measured in a run")
RUNS = flags.DEFINE_integer("runs", 1, "how often everything starts again, with new processes")
MOST_SECONDS = flags.DEFINE_float("most_seconds", 300.0, "leave a case out whose first iteration takes longer")
CEILING = flags.DEFINE_boolean("ceiling", True, "measure the fastest matrix product and 3x3 convolution, too")
DATA_DIR = flags.DEFINE_string("data_dir", None, "a dataset to read reals from; without it random ones are written")
JSON = flags.DEFINE_string("json", None, "a file to write all measurements to")


def main() -> None:
    cases = _cases()
    for part in PART.value:
        _check_one_of("parts", part, PARTS)
    for name, flag in (("rounds", ROUNDS), ("runs", RUNS), ("iterations_per_call", ITERATIONS)):
        if flag.value < 1:
            raise UserError(f"--{name} must be at least 1, got {flag.value}.")
    if not MOST_SECONDS.value > 0:
        raise UserError(f"--most_seconds must be above 0, got {MOST_SECONDS.value}.")
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        data_dir = DATA_DIR.value or _random_images(folder, max(case.resolution for case in cases))
        cases = [Case(**{**case.to_dict(), "data_dir": data_dir}) for case in cases]
        print(machine_line(), flush=True)
        runs = []
        for number in range(RUNS.value):
            print(f"run {number + 1} of {RUNS.value}: {len(cases)} cases, {ROUNDS.value} rounds", flush=True)
            runs.append(measure(cases, PART.value, ROUNDS.value, CEILING.value, MOST_SECONDS.value))
            print("\n".join(table_lines(runs[-1])), flush=True)
    print("\n".join(ratio_lines(runs)))
    _write(runs)


def _cases() -> list[Case]:
    """The plain float32 one first, if it is among them: the reference."""
    for value in PRECISION.value:
        _check_one_of("precision", value, PRECISIONS)
    for value in FORM.value:
        _check_one_of("form", value, FORMS)
    for value in JIT_COMPILE.value:
        _check_one_of("jit_compile", value, ("off", "on"))
    cases = []
    sizes = itertools.product(_numbers("resolution", RESOLUTION.value), _numbers("batch_size", BATCH_SIZE.value))
    for resolution, batch_size in sizes:
        for jit, precision, form in itertools.product(JIT_COMPILE.value, PRECISION.value, FORM.value):
            size = {"resolution": resolution, "batch_size": batch_size, "iterations": ITERATIONS.value}
            width = {"fmap_base": FMAP_BASE.value, "fmap_max": FMAP_MAX.value}
            options = {"precision": precision, "form": form, "jit_compile": jit == "on"}
            cases.append(Case(**size, **width, **options))
            if REPLICAS.value > 1 and form == "fused":
                cases.append(Case(**size, **width, **options, replicas=REPLICAS.value))
    return cases


def _numbers(name: str, values: list[str]) -> list[int]:
    try:
        return [int(value) for value in values]
    except ValueError:
        raise UserError(f"--{name} expects whole numbers such as 16,32; got {','.join(values)!r}.") from None


def _check_one_of(name: str, value: str, choices) -> None:
    if value not in choices:
        raise UserError(f"--{name} must be of {', '.join(choices)}; got {value!r}.")


def _random_images(folder: str, resolution: int) -> str:
    from stylegan_tf.data.making.sources import open_source
    from stylegan_tf.data.making.writer import write_tfrecords

    source = open_source("synthetic", resolution, max_images=256)
    return str(write_tfrecords(source, pathlib.Path(folder) / "random"))


def _write(runs: list[Run]) -> None:
    if JSON.value:
        path = pathlib.Path(JSON.value)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as temporary:
            temporary.write_text(json.dumps({"runs": [run.to_dict() for run in runs]}, indent=1) + "\n")


if __name__ == "__main__":
    command_line.run(main)
