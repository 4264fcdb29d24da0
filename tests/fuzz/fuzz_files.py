"""Damages every kind of file that commands read back, and looks at what their readers make of it.

    python -m tests.fuzz.fuzz_files --inputs 20000

An input fails if it ends in anything but content or a UserError of one line, takes more than 10 seconds or 2 GB, or if
numbers come out of it that are not finite. Each is given by its kind and its number: `--kinds network --first 4711
--inputs 1` repeats one. Every second input of a file of arrays is damaged within a member whose checksum is right.
"""

import argparse
import collections
import io
import json
import pathlib
import random
import resource
import signal
import sys
import tempfile
import traceback
import zipfile
from typing import Callable, NamedTuple

import numpy as np

from tests.fuzz.mutations import mutated

SECONDS, MEGABYTES = 10, 2000


class Kind(NamedTuple):
    """How an intact file looks, and what reads it: (path) -> arrays that came out of it."""

    content: bytes
    read: Callable
    is_archive: bool = False


class _TooLong(BaseException):
    """Not an Exception: no handler may take it for damage."""


def kinds(folder: pathlib.Path) -> dict[str, Kind]:
    from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
    from stylegan_tf.files import dlatents
    from stylegan_tf.files.arrays import check_finite, read_described, write_arrays
    from stylegan_tf.networks import network_file
    from stylegan_tf.networks.variable_shapes import variable_shapes

    path = folder / "intact.npz"

    def archive(entry, description, arrays):
        write_arrays(path, entry, description, arrays)
        return path.read_bytes()

    sizes = {"resolution": 4, "fmap_base": 8, "fmap_max": 2}
    generator = GeneratorConfig(latent_size=2, dlatent_size=2, mapping_layers=1, mapping_fmaps=2, **sizes)
    configs = {"generator_ema": generator, "discriminator": DiscriminatorConfig(**sizes)}
    metadata = {"kimg": 1.5, "dataset": "x", "resolution": 4, "alpha": 1.0, "content_box": [0.0, 0.0, 1.0, 0.5]}
    architecture = {"format_version": 1, "metadata": metadata, **{k: c.to_dict() for k, c in configs.items()}}
    arrays = {
        f"{part}/{name}": np.full(shape, 0.5, np.float32)
        for part, config in configs.items()
        for name, shape in variable_shapes(config).items()
    }

    def network(file):
        return [array for part in network_file._read(file)[1].values() for array in part.values()]

    def checkpoint(file):
        _, found = read_described(file, "checkpoint", "checkpoint")
        check_finite(file, found)
        return found.values()

    def styles(file):
        return [dlatents.load_dlatents(file, 4, 3)]

    ws, plain = np.full([2, 4, 3], 0.5, np.float32), io.BytesIO()
    np.save(plain, ws)
    state = {"generator/x": np.ones([3, 4], np.float32), "clock/ticks": np.int64(7)}
    return {
        "network": Kind(archive("architecture", architecture, arrays), network, True),
        "checkpoint": Kind(archive("checkpoint", {"format_version": 1}, state), checkpoint, True),
        "dlatents_npz": Kind(archive("about", {}, {"dlatents": ws}), styles, True),
        "dlatents_npy": Kind(plain.getvalue(), styles),
        **_text_kinds(),
    }


def _text_kinds() -> dict[str, Kind]:
    from stylegan_tf.distribution.processes import cluster_from_environment
    from stylegan_tf.files import locks
    from stylegan_tf.files.file_errors import foreign_kind
    from stylegan_tf.metrics.results import drop_results_beyond, find_result, results_of_network
    from stylegan_tf.training.reports.log_backends import repair_stats
    from stylegan_tf.visualize.image_folders import parse_record

    def results(file):
        folder = file.parent / "results"
        folder.mkdir(exist_ok=True)
        (folder / "metric-fid5k.jsonl").write_bytes(file.read_bytes())
        find_result(folder, "fid5k", {"seed": 0})
        results_of_network(folder, "abc")
        drop_results_beyond(folder, 1.0)
        return []

    def lock(file):
        with open(file, encoding="utf-8", errors="replace") as stream:
            locks._described(locks._content(stream))
        return []

    def of_text(read):
        return lambda file: (read(file.read_text(encoding="utf-8", errors="replace")), [])[1]

    two = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    result = {"metric": "fid5k", "results": {"fid": 1.5}, "kimg": 2.0, "network": "n.npz", "protocol": {"seed": 0}}
    made = '{"options": {"psi": 1}}\n{"file": "x.png", "size": 12}\n{"file": "y.png"}\n'
    ticks = [{"images_seen": 16 * i, "kimg": 0.016 * i, "total_seconds": 1.0} for i in range(3)]
    stats = "".join(json.dumps(tick) + "\n" for tick in ticks)
    return {
        "results": Kind((json.dumps(result) + "\n").encode() * 2, results),
        "stats": Kind(stats.encode(), lambda file: (repair_stats(file, 16), [])[1]),
        "record": Kind(made.encode(), of_text(parse_record)),
        "cluster": Kind(json.dumps(two).encode(), of_text(lambda text: cluster_from_environment({"TF_CONFIG": text}))),
        "lock": Kind(b'{"process": 7, "host": "a", "machine": "b", "token": "c"}\n', lock),
        "foreign": Kind(b"\x80\x02cdnnlib.tflib.network\nNetwork\n", lambda file: (foreign_kind(file), [])[1]),
    }


def damaged(kind: Kind, number: int, chance: random.Random) -> bytes:
    if not kind.is_archive or number % 2:
        return mutated(kind.content, chance)
    with zipfile.ZipFile(io.BytesIO(kind.content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([*members, next(reversed(members))])
    members[name] = mutated(members[name], chance)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def run(kind: Kind, number: int, path: pathlib.Path, chance: random.Random) -> str:
    """-> "read", "refused", or what is wrong."""
    from stylegan_tf.config.errors import UserError

    path.write_bytes(damaged(kind, number, chance))
    signal.alarm(SECONDS)
    try:
        for array in kind.read(path):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return "numbers that are not finite"
        return "read"
    except UserError as error:
        return "refused" if len(str(error).splitlines()) == 1 and len(str(error)) < 1500 else "a message of many lines"
    except _TooLong:
        return f"more than {SECONDS} s"
    except Exception:
        return "a traceback: " + traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)


def _stop(_number, _frame):
    raise _TooLong


def run_all(names, first: int, inputs: int, folder: pathlib.Path) -> dict[str, collections.Counter]:
    """Outcomes by kind; the first of each wrong outcome is printed."""
    signal.signal(signal.SIGALRM, _stop)
    outcomes = {}
    for name, kind in kinds(folder).items():
        if names and name not in names:
            continue
        outcomes[name] = collections.Counter()
        for number in range(first, first + inputs):
            outcome = run(kind, number, folder / f"{name}.npz", random.Random(f"{name} {number}"))
            if outcome not in ("read", "refused") and not outcomes[name][outcome[:200]]:
                print(f"{name} {number}: {outcome}", flush=True)
            outcomes[name][outcome[:200]] += 1
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000, help="of each kind")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kinds", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes = run_all(
            options.kinds.split(",") if options.kinds else [], options.first, options.inputs, pathlib.Path(folder)
        )
    total = sum(outcomes.values(), collections.Counter())
    for name, counts in outcomes.items():
        print(f"{name:14} " + "  ".join(f"{outcome[:60]}: {count}" for outcome, count in counts.items()))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{sum(total.values())} inputs, {grown:.0f} MB more at the peak: {dict(total)}"[:500])
    return int(set(total) > {"read", "refused"} or grown > MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
