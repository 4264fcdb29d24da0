"""Lists the commands, or runs one: `stylegan-tf NAME ...` is `python -m stylegan_tf.NAME ...`.

A command is a file at the top of the package, or a package with a __main__.py; its docstring is its help.
"""

import ast
import contextlib
import difflib
import runpy
import sys
import textwrap
from pathlib import Path

_HELP = ("", "help", "-h", "-help", "--help", "-helpfull", "--helpfull")


def main() -> int:
    """Exit codes: those of the command; 1 for one that is not there."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in _HELP:
        with contextlib.suppress(BrokenPipeError):  # `stylegan-tf | head`
            print(_overview(), flush=True)
        return 0
    known = commands()
    module = name.replace("-", "_")
    if module not in known:
        near = difflib.get_close_matches(module, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "stylegan-tf alone lists all commands."
        print(f"error: unknown command {name}; {hint}", file=sys.stderr)
        return 1
    del sys.argv[1]
    runpy.run_module(f"stylegan_tf.{module}", run_name="__main__", alter_sys=True)  # Exits by itself.
    return 0


def commands() -> dict[str, str]:
    """Name -> first line of the docstring. The files are read, not imported: TensorFlow would take seconds."""
    package = Path(__file__).parent
    found = {path.stem: path for path in package.glob("*.py") if not path.stem.startswith("__")}
    found.update({path.parent.name: path for path in package.glob("*/__main__.py")})
    sources = {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}
    return {
        name: (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
        for name, source in sources.items()
        if '\nif __name__ == "__main__":' in source
    }


def _overview() -> str:
    lines = ["usage: stylegan-tf NAME [--flag=value ...], or python -m stylegan_tf.NAME; NAME --help lists flags", ""]
    for name, summary in commands().items():
        lines += textwrap.wrap(summary, 120, initial_indent=f"  {name:20}", subsequent_indent=" " * 22)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
