"""Importing this finds the package that lies beside this folder, whether it is installed or not."""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def environment() -> dict[str, str]:
    """Of processes that are to find the package, too."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_command(script: str) -> None:
    """Runs the command that has the script's name, with the arguments of this process."""
    sys.argv.insert(1, Path(script).stem)
    runpy.run_module("stylegan_tf", run_name="__main__", alter_sys=True)
