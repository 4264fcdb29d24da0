"""Trains every recipe of a list with every seed, one run after the other; the same command resumes.

    python tools/train_recipes.py tools/recipes.txt --dest runs/recipes --seeds 1000,1001 --kimg 60 -- \\
        --metrics=fid1k --metric_ticks=5 --feature_extractor=efficientnet_lite0

The list has a recipe a line, `name: flags of stylegan_tf.train`; the flags after -- go to all of them. Run folders are
called DEST/NAME-SEED, for tools/compare_runs.py. Runs that have seen --kimg thousand images are not trained again, and
those that were interrupted are resumed. With --evaluate every network of a run that has not been measured is:

    --evaluate "--data_dir=datasets/all --metrics=fid1k --feature_extractor=efficientnet_lite0"
"""

import argparse
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

import checkout


def read_recipes(path: pathlib.Path) -> dict[str, list[str]]:
    """Name -> flags, of lines `name: flags`; a word that begins with # begins a comment."""
    lines = [shlex.split(re.sub(r"(^|\s)#.*", "", line)) for line in path.read_text(encoding="utf-8").splitlines()]
    recipes = {}
    for first, *flags in filter(None, lines):
        if not first.endswith(":") or first[:-1] in recipes:
            raise SystemExit(f"{path}: a line begins with a name of its own and a colon, got {first}")
        recipes[first[:-1]] = flags
    return recipes


def kimg_of(run_dir: pathlib.Path) -> float:
    """Thousands of images that a run has reported; 0 before its first report."""
    from stylegan_tf.files.file_errors import read_lines

    return max([record.get("kimg", 0) for _, record in read_lines(run_dir / "stats.jsonl")], default=0)


def planned(
    recipes: dict[str, list[str]], seeds: Sequence[str], dest: pathlib.Path, kimg: float, flags: Sequence[str]
) -> Iterator[tuple[pathlib.Path, list[str]]]:
    """(run folder, flags of training, none if it is finished): all recipes with the first seed, then with the next."""
    for seed in seeds:
        for name, its in recipes.items():
            run_dir = dest / f"{name}-{seed}"
            its = [*its, *flags, f"--run_dir={run_dir}", f"--seed={seed}", f"--total_kimg={kimg:g}"]
            yield run_dir, its if kimg_of(run_dir) < kimg else []


def run(module: str, flags: Sequence[str]) -> int:
    """Runs a command of the package, and passes on the signals that stop this script. Returns its exit status."""
    command = [sys.executable, "-m", f"stylegan_tf.{module}", *flags]
    process = subprocess.Popen(command, env=checkout.environment())
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        return process.wait()
    except (KeyboardInterrupt, SystemExit):
        process.terminate()  # Training saves a checkpoint.
        process.wait()
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=pathlib.Path, help="the list of recipes")
    parser.add_argument("--only", help="names of recipes, separated by commas; default: all")
    parser.add_argument("--dest", type=pathlib.Path, required=True, help="the folder of the run folders")
    parser.add_argument("--seeds", default="1000", help="separated by commas")
    parser.add_argument("--kimg", type=float, required=True, help="length of every run in thousands of images")
    parser.add_argument("--evaluate", help="flags of stylegan_tf.evaluate, beside --network")
    args, rest = parser.parse_known_args()
    recipes = read_recipes(args.recipes)
    names = args.only.split(",") if args.only else list(recipes)
    if set(names) - set(recipes):
        parser.error(f"{args.recipes} has no recipe {', '.join(sorted(set(names) - set(recipes)))}")
    flags = [flag for flag in rest if flag != "--"]
    failed = []
    chosen = {name: recipes[name] for name in names}
    for run_dir, its in planned(chosen, args.seeds.split(","), args.dest, args.kimg, flags):
        print(f"{run_dir}: {shlex.join(its) or 'trained'}", flush=True)
        status = run("train", its) if its else 0
        if not status and args.evaluate:
            status = run("evaluate", [f"--network={run_dir}", "--all", *shlex.split(args.evaluate)])
        failed += [str(run_dir)] if status else []
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; the same command resumes them")


if __name__ == "__main__":
    checkout.run(main)
