"""Lists the commands, or runs one: `stylegan-tf NAME ...` is `python -m stylegan_tf.NAME ...`.

A command is a file at the top of the package, or one of `benchmark`; its docstring is its help.
`stylegan-tf help NAME` shows it, `stylegan-tf configs` lists the training configurations that come with the package,
`stylegan-tf --version` shows the version, and `eval "$(stylegan-tf completion)"` enables completion in bash.
"""

import ast
import difflib
import runpy
import sys
import textwrap
from pathlib import Path
from typing import Optional

import stylegan_tf
from stylegan_tf.cli import command_line
from stylegan_tf.cli.flag_files import packaged_configs

_PACKAGE = Path(__file__).resolve().parent
_HELP = ("", "help", "-h", "-help", "--help", "-helpfull", "--helpfull")
_BASH = r"""
_stylegan_tf() {
    local word=${COMP_WORDS[COMP_CWORD]} words="help configs completion --version COMMANDS"
    if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" != help ]; then
        words=$(stylegan-tf "${COMP_WORDS[1]}" --helpfull 2>/dev/null |
            sed -nE 's/^  --\[no\]([a-z0-9_]+).*/--\1 --no\1/p; s/^  (--[a-z0-9_]+=).*/\1/p')
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _stylegan_tf stylegan-tf
""".strip()


def main() -> int:
    """Exit codes: those of the command; 1 for one that is not there."""
    name, *rest = sys.argv[1:] or [""]
    if name == "help" and rest:
        name, sys.argv = rest[0], [sys.argv[0], rest[0], "--help"]
    text = _own_answer(name)
    if text is not None:
        with command_line.standard_streams():
            print(text)
        return 0
    known = _commands()
    module = name.replace("-", "_")
    if module not in known:
        near = difflib.get_close_matches(module, [*known, "configs", "completion"], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "stylegan-tf alone lists all commands."
        print(f"error: unknown command {name}; {hint}", file=sys.stderr)
        return 1
    del sys.argv[1]
    runpy.run_module(known[module][0], run_name="__main__", alter_sys=True)  # Exits by itself.
    return 0


def _own_answer(name: str) -> Optional[str]:
    """What this command itself says; None if `name` is another one."""
    if name in _HELP:
        return _overview()
    if name in ("--version", "version"):
        return f"stylegan-tf {stylegan_tf.__version__}"
    if name == "configs":
        return "\n".join(_wrapped(path, summary) for path, summary in packaged_configs().items())
    return _BASH.replace("COMMANDS", " ".join(_commands())) if name == "completion" else None


def _overview() -> str:
    usage = "usage: stylegan-tf NAME [--flag=value ...], or python -m stylegan_tf.NAME; for help: stylegan-tf help NAME"
    own = "stylegan-tf configs lists training configurations; --version and completion (for bash) also exist"
    return "\n".join([usage, "", *(_wrapped(name, summary) for name, (_, summary) in _commands().items()), "", own])


def _wrapped(name: str, summary: str) -> str:
    return textwrap.fill(summary, 120, initial_indent=f"  {name:20} ", subsequent_indent=" " * 23)


def _commands() -> dict[str, tuple[str, str]]:
    """Name -> (module, summary); the files are read, not imported: TensorFlow would take seconds."""
    found = {}
    for path in [*_PACKAGE.glob("*.py"), *_PACKAGE.glob("benchmark/*.py")]:
        source = path.read_text(encoding="utf-8")
        if '\nif __name__ == "__main__":' in source and path != _PACKAGE / "__main__.py":
            module = ".".join(path.relative_to(_PACKAGE).with_suffix("").parts).removesuffix(".__main__")
            summary = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
            found[module.replace(".", "_")] = (f"{_PACKAGE.name}.{module}", summary)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    sys.exit(main())
