"""Lists the commands, or runs one: `stylegan-tf NAME ...` is `python -m stylegan_tf.NAME ...`.

A command is a file at the top of the package, or one of `benchmark`; its docstring is its help.
`stylegan-tf help NAME` shows it, `stylegan-tf configs` lists the training configurations that come with the package,
`stylegan-tf --version` shows the version, and `eval "$(stylegan-tf completion)"` enables completion in bash.
"""

import contextlib
import difflib
import runpy
import sys
import textwrap
from typing import Optional

import stylegan_tf
from stylegan_tf.cli.commands import BASH, commands, module_of
from stylegan_tf.cli.flag_files import packaged_configs

_HELP = ("", "help", "-h", "-help", "--help", "-helpfull", "--helpfull")


def main() -> int:
    """Exit codes: those of the command; 1 for one that is not there."""
    name, *rest = sys.argv[1:] or [""]
    if name == "help" and rest:
        name, sys.argv = rest[0], [sys.argv[0], rest[0], "--help"]
    text = _own_answer(name)
    if text is not None:
        with contextlib.suppress(BrokenPipeError):  # `stylegan-tf | head`
            print(text, flush=True)
        return 0
    known = commands()
    module = name.replace("-", "_")
    if module not in known:
        near = difflib.get_close_matches(module, [*known, "configs", "completion"], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "stylegan-tf alone lists all commands."
        print(f"error: unknown command {name}; {hint}", file=sys.stderr)
        return 1
    del sys.argv[1]
    runpy.run_module(module_of(module), run_name="__main__", alter_sys=True)  # Exits by itself.
    return 0


def _own_answer(name: str) -> Optional[str]:
    """What this command itself says; None if `name` is another one."""
    if name in _HELP:
        return _overview()
    if name in ("--version", "version"):
        return f"stylegan-tf {stylegan_tf.__version__}"
    if name == "configs":
        return "\n".join(_wrapped(path, summary) for path, summary in packaged_configs().items())
    return BASH.replace("COMMANDS", " ".join(commands())) if name == "completion" else None


def _overview() -> str:
    usage = "usage: stylegan-tf NAME [--flag=value ...], or python -m stylegan_tf.NAME; for help: stylegan-tf help NAME"
    own = "stylegan-tf configs lists training configurations; --version and completion (for bash) also exist"
    return "\n".join([usage, "", *(_wrapped(*command) for command in commands().items()), "", own])


def _wrapped(name: str, summary: str) -> str:
    return textwrap.fill(summary, 120, initial_indent=f"  {name:20} ", subsequent_indent=" " * 23)


if __name__ == "__main__":
    sys.exit(main())
