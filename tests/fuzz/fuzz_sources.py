"""Damages every kind of source, of labels and of lists, and looks at what `create_tfrecords` makes of it.

    python -m tests.fuzz.fuzz_sources --inputs 10000

An input fails if it ends in anything but a set or a UserError of one line, takes more than 10 seconds or 2 GB, ends the
process, or loses a picture without a word. Every input is given by its kind and its number, so that it can be repeated:

    python -m tests.fuzz.fuzz_sources --kinds zip --first 4711 --inputs 1 --keep FOLDER
"""

import argparse
import collections
import contextlib
import io
import json
import pathlib
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

from tests.fuzz.mutations import mutated
from tests.fuzz.source_cases import COUNT, KINDS, Case

SECONDS, MEGABYTES, BATCH = 10, 2000, 200


class _TooLong(BaseException):
    """Not an Exception: no handler may take it for damage."""


def run(case: Case, folder: pathlib.Path, chance: random.Random) -> str:
    """Damages the case, converts it -> "set", "refused", or what is wrong with it."""
    from stylegan_tf.config import SourceOptions, WriteOptions
    from stylegan_tf.config.errors import UserError
    from stylegan_tf.data import dataset_files
    from stylegan_tf.data.making.writer import write_tfrecords
    from stylegan_tf.data.sources import open_source

    if not case.source:
        return run_command(case, folder, chance)
    target = case.target or chance.choice(sorted(case.files))
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(mutated(content, chance) if name == target else content)
    labels = str(folder / case.labels) if case.labels in case.files else chance.choice(("", case.labels))
    told = []
    try:
        planes = 6 if case.source == "p" else None
        source = open_source(str(folder / case.source), SourceOptions(resolution=8, labels=labels, planes=planes))
        dest = write_tfrecords(source, folder / "out", WriteOptions(shards=1, skip_bad=True), told.append)
        info = dataset_files.find_dataset(dest)
        dataset_files.load_labels(info)
    except UserError as error:
        lines = str(error).splitlines()
        return "refused" if len(lines) == 1 and len(lines[0]) < 1500 else f"a message of {len(str(error))} characters"
    listed = dest / "left_out.txt"
    accounted = info.count + (len(listed.read_text().splitlines()) if listed.exists() else 0)
    if case.counted and accounted < COUNT:
        return f"only {accounted} of {COUNT} pictures are accounted for"
    if labels and info.label_size == 0:
        return "labels were lost"
    return "set"


def run_command(case: Case, folder: pathlib.Path, chance: random.Random) -> str:
    """The command itself with a damaged flag file, up to a set of a few pictures."""
    from absl import flags

    from stylegan_tf import create_tfrecords
    from stylegan_tf.cli import command_line
    from stylegan_tf.data.making import writer

    path = folder / case.target
    path.write_bytes(mutated(case.files[case.target], chance))
    written, writer.write_tfrecords = writer.write_tfrecords, _refuse_large(writer.write_tfrecords)
    said, arguments = io.StringIO(), sys.argv
    sys.argv = ["create_tfrecords", f"--flagfile={path}", f"--dest={folder / 'out'}"]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = command_line._call(create_tfrecords.main, ())
        is_plain = said.getvalue().startswith("error: ") and said.getvalue().count("\n") == 1
        if code == 0 or (is_plain and len(said.getvalue()) < 1500):
            return "refused" if code else "set"
        return f"it ended with {code}: {said.getvalue()[-500:]}"
    finally:
        sys.argv = arguments
        writer.write_tfrecords = written
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        flags.FLAGS.unparse_flags()


def _refuse_large(write):
    """Damaged numbers may well ask for millions of pictures."""

    def write_few(source, *arguments, **options):
        from stylegan_tf.config.errors import UserError

        if len(source) > 20 or source.resolution > 64:
            raise UserError("large")
        return write(source, *arguments, **options)

    return write_few


def run_guarded(kind: str, number: int, case: Case, folder: pathlib.Path) -> str:
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(SECONDS)
    try:
        return run(case, folder, random.Random(f"{kind} {number}"))
    except _TooLong:
        return f"more than {SECONDS} seconds"
    except Exception:
        return "traceback: " + traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)


def _stop(*_):
    raise _TooLong


def work(kind: str, first: int, count: int, keep=None) -> None:
    """In a process of its own: prints a line before and after each input."""
    warnings.simplefilter("ignore")
    case = KINDS[kind]()
    for number in range(first, first + count):
        print(json.dumps([number, "began"]), flush=True)
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(keep or stack.enter_context(tempfile.TemporaryDirectory()))
            result = run_guarded(kind, number, case, folder)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if megabytes > MEGABYTES:
            result = f"{megabytes} MB of memory"
        print(json.dumps([number, result]), flush=True)


def batch(kind: str, first: int, count: int, keep=None) -> dict:
    """-> number: result. A process that ends early counts against the input that it was at."""
    command = [sys.executable, "-m", "tests.fuzz.fuzz_sources", "--work", "--kinds", kind]
    command += ["--first", str(first), "--inputs", str(count)] + (["--keep", str(keep)] if keep else [])
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    results = {}
    for line in done.stdout.splitlines():
        with contextlib.suppress(ValueError):
            number, result = json.loads(line)
            results[number] = result
    if done.returncode:
        last = max(results, default=first)
        results[last] = f"the process ended with {done.returncode}: {done.stderr[-500:]}"
        if last + 1 < first + count:
            results.update(batch(kind, last + 1, first + count - last - 1, keep))
    return results


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="of all kinds together")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--keep", help="folder to leave the (only) input in")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    kinds = options.kinds.split(",")
    if options.work:
        work(kinds[0], options.first, options.inputs, options.keep)
        return 0
    start, failures, total = time.monotonic(), 0, collections.Counter()
    for kind in kinds:
        count = -(-options.inputs // len(kinds))
        results = {}
        for first in range(options.first, options.first + count, BATCH):
            size = min(BATCH, options.first + count - first)
            results.update(batch(kind, first, size, options.keep))
        counts = collections.Counter(
            "set" if r == "set" else "refused" if r == "refused" else "failed" for r in results.values()
        )
        total += counts
        print(f"{kind}: {dict(counts)}", flush=True)
        for number, result in sorted(results.items()):
            if result not in ("set", "refused"):
                failures += 1
                print(f"  {kind} {number}: {result}", flush=True)
    print(f"{sum(total.values()):,} inputs in {time.monotonic() - start:.0f} s: {dict(total)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
