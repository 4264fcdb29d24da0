"""What every main has in common: flags, `--help`, and errors as one clear line. A main is

    from stylegan_tf.cli import command_line

    def main():
        ...

    if __name__ == "__main__":
        command_line.run(main)

and nothing else.
"""

import contextlib
import difflib
import os
import re
import select
import signal
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Callable, Optional

from absl import app, flags, logging

from stylegan_tf.cli import flag_files
from stylegan_tf.config.option import OptionError
from stylegan_tf.errors import UserError
from stylegan_tf.files.addresses import check_local
from stylegan_tf.files.file_errors import FULL, os_error_line, short

_HELP_FLAGS = ("-h", "-help", "--help", "-helpshort", "--helpshort", "-helpfull", "--helpfull", "-?", "--?")
_LARGEST_FLOAT = 3.4028234e38
_LONGEST = 4000  # Characters of an error. Ours are short; this is for what slips in from elsewhere.
_RENAMED: dict[str, str] = {}  # Option of the library -> flag of this command.
# Flags whose values are addresses of servers or of the web by nature.
_ADDRESSES = frozenset({"url", "grpc", "tpu", "feature_extractor"})
_GROUPS: dict[str, list] = {}  # Title -> names of the flags, in the order in which they were defined.


def run(main: Callable[[], None], renamed: Optional[Mapping[str, str]] = None) -> None:
    """Parses the flags, calls `main()` and exits.

    renamed: options of the library that have another name as flags of this command, e.g. {"source": "images"}.

    Exit codes: 0; 1 after a UserError, a wrong flag, or a file that cannot be read or written, told in one line on
    stderr; 130 after Ctrl-C; 141, in silence, when nobody reads stdout any more (`... | head`). Other exceptions keep
    their traceback: they are our bugs.
    """
    # TensorFlow's own chatter (missing GPUs, optimiser notes) would bury ours; TF_CPP_MIN_LOG_LEVEL=0 brings it back.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):  # Names of files may hold what the console's encoding does not have.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # TensorFlow itself uses oneDNN on newer CPUs only; with AVX2 it is a sixth faster (docs/performance.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    _RENAMED.update(renamed or {})
    if "network" in flags.FLAGS and "which" not in flags.FLAGS:
        text = "Of a run folder as --network: newest, best (see train --keep_best), or thousands of images."
        flags.DEFINE_string("which", None, text)
    try:
        try:
            app.run(lambda _: _call(main), flags_parser=_parse)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _is_stdout_gone():
            raise
        # What is still buffered would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


@contextlib.contextmanager
def flag_group(title: str) -> Iterator[None]:
    """The flags defined in this block get a heading of their own in `--help`."""
    before = set(flags.FLAGS)
    yield
    _GROUPS.setdefault(title, []).extend(name for name in _in_order() if name not in before)


def require(*names: str) -> None:
    """UserError for the first of these flags that was not given, with its help as what to give."""
    for name in names:
        if not flags.FLAGS[name].value:
            text = flags.FLAGS[name].help
            raise UserError(f"--{name} is missing: give {text[:1].lower()}{text[1:]}")


def warn(note: str) -> None:
    """Prints a line on stderr: what mains give library functions as `note`."""
    print(with_flags(note), file=sys.stderr, flush=True)


def _call(main: Callable[[], None]) -> int:
    logging.set_verbosity(logging.ERROR)
    try:
        main()
    except OptionError as error:  # Which names the option first.
        return _fail(re.sub(r"^\w+", r"`\g<0>`", str(error)))
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None and error.errno not in FULL:  # Nameless when stdout goes to a full disk.
            raise
        return _fail(os_error_line(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _is_stdout_gone() -> bool:
    """Whether the other end of the pipe is closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # No event but the errors, which are always told.
    return bool(poll.poll(0))


def with_flags(message: str) -> str:
    """`fit=crop` in backquotes becomes --fit=crop, where this command has such a flag; others lose the backquotes."""

    def flag(match: re.Match) -> str:
        name = _RENAMED.get(match[1], match[1])
        return f"--{name}{match[2]}" if name in flags.FLAGS else match[1] + match[2]

    return re.sub(r"`([a-z]\w*)((?:=[^`]*)?)`", flag, message)


def _fail(message: str) -> int:
    print("error: " + short(with_flags(message), _LONGEST), file=sys.stderr)
    return 1


def _parse(argv: list) -> list:
    """Fills absl's FLAGS; answers `--help` and complains about flags that are not there."""
    if any(argument in _HELP_FLAGS for argument in argv[1:]):
        print(_help())
        sys.exit(0)
    try:
        rest = flags.FLAGS([argv[0], *flag_files.expanded(flag_files.files_first(argv[1:]))])
    except UserError as error:
        sys.exit(_fail(str(error)))
    except flags.UnrecognizedFlagError as error:
        sys.exit(_fail(_unknown_flag(error.flagname)))
    except flags.Error as error:
        sys.exit(_fail(short(error)))
    for name in _own_flags():
        if not all(map(_is_in_range, _numbers(flags.FLAGS[name].value))):
            value = short(flags.FLAGS[name].value, 60)
            sys.exit(_fail(f"--{name} must be a finite number, got {value}."))
    if len(rest) > 1:
        hint = "flags are written --name=value; in a flag file a comment takes a line of its own"
        sys.exit(_fail(f"unexpected argument {rest[1]!r}: {hint}."))
    _expand_home()
    _pick_networks()
    try:
        _check_paths()
    except UserError as error:
        sys.exit(_fail(str(error)))
    return rest


def _check_paths() -> None:
    """No address is taken for the name of a local folder."""
    for name in set(_own_flags()) - _ADDRESSES:
        value = flags.FLAGS[name].value
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, str):
                check_local(entry, name)


def _expand_home() -> None:
    """`--data_dir=~/set`: the shell replaces ~ at the start of a word only. No flag but paths begins so."""
    for name in _own_flags():
        value = flags.FLAGS[name].value
        if isinstance(value, list):
            flags.FLAGS[name].value = [_expanded(entry) for entry in value]
        else:
            flags.FLAGS[name].value = _expanded(value)


def _pick_networks() -> None:
    """--which belongs to the names of networks: RUN@best."""
    which, value = flags.FLAGS["which"].value if "which" in flags.FLAGS else None, getattr(flags.FLAGS, "network", None)
    if which and value:
        names = [f"{name}@{which}" for name in (value if isinstance(value, list) else [value])]
        flags.FLAGS["network"].value = names if isinstance(value, list) else names[0]


def _expanded(value):
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~") else value


def _numbers(value) -> list:
    """Those that a flag's value consists of."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [number for number in values if isinstance(number, (int, float))]


def _is_in_range(number) -> bool:
    """Whether a tensor can hold it: float32 or int64."""
    return abs(number) < 2**63 if isinstance(number, int) else abs(number) <= _LARGEST_FLOAT


def _unknown_flag(name: str) -> str:
    name = name.lstrip("-")
    near = difflib.get_close_matches(name, _own_flags() + ["flagfile", "help"], n=1, cutoff=0.5)
    hint = f"did you mean --{near[0]}?" if near else "--help lists all flags."
    return f"unknown flag --{name}; {hint}"


def _in_order() -> list:
    """Names of all flags as they were defined (absl itself sorts them)."""
    return [flag.name for module in flags.FLAGS.flags_by_module_dict().values() for flag in module]


def _own_flags() -> list:
    """Names of the flags that the project's modules and the running script define, not those of absl and others."""
    by_module = flags.FLAGS.flags_by_module_dict()
    ours = [module for module in by_module if module == sys.argv[0] or module.split(".")[0] == "stylegan_tf"]
    return [flag.name for module in ours for flag in by_module[module]]


def _help() -> str:
    """The main module's docstring, then its flags by group with their defaults."""
    own = _own_flags()
    grouped = {name for names in _GROUPS.values() for name in names}
    groups = {"Flags": [name for name in own if name not in grouped], **_GROUPS}
    parts = [(sys.modules["__main__"].__doc__ or "").strip()]
    for title, names in groups.items():
        if names:
            parts.append("\n".join([f"{title}:"] + [_describe(flags.FLAGS[name]) for name in names]))
    text = "Read flags from FILE, one --name=value a line; those of the command line win."
    parts.append(f"  --flagfile=FILE\n      {text}")
    return "\n\n".join(parts)


def _describe(flag: flags.Flag) -> str:
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else {"int": "N", "float": "X"}.get(flag.flag_type(), "VALUE")
    text = flag.help.rpartition(">: ")[2] if choices else flag.help  # absl puts the choices before the help, too.
    if flag.default not in (None, ""):
        default = f"{flag.default:g}" if isinstance(flag.default, float) else flag.default_as_str.strip("'")
        text += f" (default: {default})"
    head = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}={value}"
    return f"  {head}\n" + textwrap.indent(textwrap.fill(" ".join(text.split()), 100), " " * 6)
