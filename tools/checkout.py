"""Importing this finds the package that lies beside this folder, whether it is installed or not."""

import os
import runpy
import sys
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def environment() -> dict[str, str]:
    """Environment of processes that also need to find the package."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run(main: Callable[[], None]) -> None:
    """Calls `main()`; mistakes of the user, missing files and Ctrl-C end it in one line."""
    from stylegan_tf.config.errors import UserError
    from stylegan_tf.files.file_errors import os_error_line

    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {os_error_line(error) if error.filename else error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def run_command(script: str) -> None:
    """Runs the command that has the script's name, with the arguments of this process."""
    sys.argv.insert(1, Path(script).stem)
    runpy.run_module("stylegan_tf", run_name="__main__", alter_sys=True)
