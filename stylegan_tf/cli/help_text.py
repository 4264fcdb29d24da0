"""The text of `--help`: the main's docstring, then its flags by group with their defaults, wrapped to the terminal."""

import ast
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from stylegan_tf.cli.flags import GROUPS


def help_text(own: Sequence[str], common: Sequence[str] = ()) -> str:
    """own: all flags of the command; common: those that most users need, if the others are to be omitted."""
    grouped = {name for names in GROUPS.values() for name in names}
    groups = {"Flags": [name for name in own if name not in grouped], **GROUPS}
    if common:
        groups = {"Flags that most runs need": common}
    parts = [_docstring()]
    for title, names in groups.items():
        if names:
            parts.append("\n".join([f"{title}:"] + [_describe(flags.FLAGS[name]) for name in names]))
    parts.append(
        "  --flagfile=FILE\n"
        + _filled("Read flags from FILE, one --name=value per line; flags on the command line take precedence.")
    )
    if common:
        titles = ", ".join(title.partition(" (")[0] for title in GROUPS)
        parts.append(f"--helpfull lists all {len(own)} flags ({titles}).")
    return "\n\n".join(parts)


def _docstring() -> str:
    """Of the main; from its file where Python leaves docstrings out (-OO)."""
    main = sys.modules["__main__"]
    text = main.__doc__ or ast.get_docstring(ast.parse(Path(main.__file__).read_text(encoding="utf-8")))
    return (text or "").strip()


def _describe(flag: flags.Flag) -> str:
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else {"int": "N", "float": "X"}.get(flag.flag_type(), "VALUE")
    text = flag.help.rpartition(">: ")[2] if choices else flag.help  # absl puts the choices before the help, too.
    if flag.default not in (None, ""):
        default = f"{flag.default:g}" if isinstance(flag.default, float) else flag.default_as_str.strip("'")
        text += f" (default: {default})"
    head = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}={value}"
    return f"  {head}\n" + _filled(text)


def _filled(text: str) -> str:
    width = max(40, min(shutil.get_terminal_size((107, 24)).columns - 1, 160))
    return textwrap.fill(" ".join(text.split()), width, initial_indent=" " * 6, subsequent_indent=" " * 6)
