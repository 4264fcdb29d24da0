"""What all mains share: flags, `--help`, and errors reported in one clear line. A main is

    from stylegan_tf.cli import command_line

    def main():
        ...

    if __name__ == "__main__":
        command_line.run(main)

and nothing else.
"""

import contextlib
import difflib
import glob
import os
import pathlib
import re
import select
import signal
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional

from absl import flags, logging

from stylegan_tf.cli import flag_files
from stylegan_tf.cli.flags import PATHS, help_text
from stylegan_tf.cli.quiet_import import QuietTensorFlow
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError, is_finite_number
from stylegan_tf.config.training import NETWORK_FILE
from stylegan_tf.files.addresses import check_local, scheme_of
from stylegan_tf.files.file_errors import FULL, os_error_line, short
from stylegan_tf.files.storage import check_supported
from stylegan_tf.files.working_copy import working_path

_HELP_FLAGS = ("-h", "-help", "--help", "-helpshort", "--helpshort", "-helpfull", "--helpfull", "-?", "--?")
_MAX_LENGTH = 4000  # Characters of an error. Ours are short; this is for what slips in from elsewhere.
_RENAMED: dict[str, str] = {}  # Option of the library -> flag of this command.
_STORED = {"network", "init_from", "data_dir"}  # Flags that also take addresses of objects in buckets.
_OF_SERVERS = {"url", "grpc", "tpu", "feature_extractor"}  # Flags that take other addresses.


def run(
    main: Callable[[], None],
    renamed: Optional[Mapping[str, str]] = None,
    common: Sequence[str] = (),
    addresses: Collection[str] = (),
) -> None:
    """Parses the flags, calls `main()` and exits.

    addresses: flags that take gs://bucket/folder and the like as well, besides `network`, `init_from` and `data_dir`.
    renamed: options of the library that have another name as flags of this command, e.g. {"source": "images"}.
    common: the flags that `--help` shows; without them all, as `--helpfull` does.

    Exit codes: 0; 1 after a UserError, a wrong flag, or a file that cannot be read or written, reported in one line on
    stderr; 130 after Ctrl-C; 141, in silence, when nobody reads stdout any more (`... | head`). Other exceptions keep
    their traceback: they are our bugs.
    """
    # TensorFlow's own chatter (missing GPUs, optimiser notes) would bury ours; TF_CPP_MIN_LOG_LEVEL=0 brings it back.
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3" and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, QuietTensorFlow())
    # TensorFlow itself uses oneDNN on newer CPUs only; with AVX2 it is a sixth faster (docs/lab/performance.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        print("KERAS_BACKEND is set to tensorflow: the networks need it", file=sys.stderr)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # Also where Keras' own file of settings names another one.
    _RENAMED.update(renamed or {})
    _STORED.update(addresses)
    if "network" in flags.FLAGS and "which" not in flags.FLAGS:
        text = (
            "Network to take from a run folder: newest, best (see train --keep_best), or a number of thousand images: "
            "the newest up to there."
        )
        flags.DEFINE_string("which", None, text)
    with standard_streams():
        sys.exit(_call(main, common))


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Opens those that are closed, and flushes stdout at the end: exits as `run` does where that is not possible."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # A shell closed it (`>&-`): else the next file that is opened gets its number.
            setattr(sys, name, open(os.devnull, "r+"))
    for stream in (sys.stdout, sys.stderr):  # Names of files may hold what the console's encoding does not have.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        is_unread = isinstance(error, BrokenPipeError) and _is_stdout_gone()
        if not is_unread and error.errno not in FULL:
            raise
        # What is still buffered would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE if is_unread else _fail(os_error_line(error)))


def show(note: str) -> None:
    """Prints a line on stdout: what mains give library functions as `note`."""
    print(with_flags(note), flush=True)


def warn(note: str) -> None:
    """Prints a line on stderr: what mains give library functions as `warn`."""
    print(with_flags(note), file=sys.stderr, flush=True)


def is_address(name: str) -> bool:
    """Whether a flag names a place in a bucket."""
    return bool(scheme_of(flags.FLAGS[name].value))


def output_path(name: str, replace: bool = False) -> contextlib.AbstractContextManager[pathlib.Path]:
    """`working_path` of the folder or file that a flag names: a local one also for an address in a bucket."""
    return working_path(flags.FLAGS[name].value, replace, warn)


def _call(main: Callable[[], None], common: Sequence[str]) -> int:
    """The exit code."""
    asked = [argument for argument in sys.argv[1:] if argument in _HELP_FLAGS]
    if asked:
        print(help_text(_own_flags(), () if "full" in asked[0] else common))
        return 0
    logging.set_verbosity(logging.ERROR)
    try:
        _parse(sys.argv)
        main()
    except OptionError as error:  # Which names the option first.
        return _fail(_with_place(re.sub(r"^\w+", r"`\g<0>`", str(error))))
    except UserError as error:
        return _fail(_with_place(str(error)))
    except flags.UnrecognizedFlagError as error:
        return _fail(_unknown_flag(error.flagname))
    except flags.Error as error:
        hint = "; in a flag file a comment takes a line of its own" if " #" in str(error) else ""
        return _fail(_with_place(short(error) + hint))
    except OSError as error:
        if error.filename is None:  # `standard_streams` knows those of stdout.
            raise
        return _fail(os_error_line(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _with_place(message: str) -> str:
    """A message that begins with a flag, with the line of the flag file that its value comes from, if from one."""
    named = re.match(r"(?:flag )?(?:--?(?:no)?|`)(\w+)", message)
    place = _in_file(_RENAMED.get(named[1], named[1])) if named else ""
    return f"{message.removesuffix('.')}{place}." if place else message


def _is_stdout_gone() -> bool:
    """Whether the other end of the pipe is closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # No event but the errors, which are always reported.
    return bool(poll.poll(0))


def with_flags(message: str) -> str:
    """`fit=crop` in backquotes becomes --fit=crop, where this command has such a flag; others lose the backquotes."""

    def flag(match: re.Match) -> str:
        name = _RENAMED.get(match[1], match[1])
        return f"--{name}{match[2]}" if name in flags.FLAGS else match[1] + match[2]

    return re.sub(r"`([a-z]\w*)((?:=[^`]*)?)`", flag, message)


def _fail(message: str) -> int:
    print("error: " + short(with_flags(message), _MAX_LENGTH), file=sys.stderr)
    return 1


def _parse(argv: Sequence[str]) -> None:
    """Fills absl's FLAGS."""
    rest = flags.FLAGS([argv[0], *_with_booleans(flag_files.expanded(argv[1:]))])
    if len(rest) > 1:
        hint = "flags are written --name=value; in a flag file a comment takes a line of its own"
        swallowed = [name for name in _own_flags() if str(flags.FLAGS[name].value).startswith("--")]
        if swallowed:  # As in --seeds --outdir out.
            raise UserError(f"--{swallowed[0]} has no value: {short(flags.FLAGS[swallowed[0]].value, 60)} follows.")
        raise UserError(f"unexpected argument {rest[1]!r}{_in_file(rest[1])}: {hint}.")
    for name in _own_flags():
        value = flags.FLAGS[name].value
        is_list = isinstance(value, list)
        flags.FLAGS[name].value = [_checked(name, entry) for entry in value] if is_list else _checked(name, value)
    which, names = (flags.FLAGS[name].value if name in flags.FLAGS else None for name in ("which", "network"))
    if which and names:  # As in --network=RUN@best.
        is_list = isinstance(names, list)
        for name in names if is_list else [names]:
            if os.path.isfile(name) or (name == "demo" and not os.path.isdir(name)):
                raise UserError(f"--which chooses a network of a run folder, and --network={name} is a single one.")
        names = flags.FLAGS["network"].value = [f"{name}@{which}" for name in names] if is_list else f"{names}@{which}"
    for name in [names] if isinstance(names, str) else names or []:
        _warn_of_another_network(name)


def _warn_of_another_network(path: str) -> None:
    """Says what RUN@1200 means if that run has no network of exactly 1,200 thousand images."""
    run_dir, _, number = path.rpartition("@")
    if re.fullmatch(r"\d{1,18}", number) and os.path.isdir(run_dir):
        names = map(NETWORK_FILE.fullmatch, os.listdir(run_dir))
        kimg = max((int(name[1]) for name in names if name and int(name[1]) <= int(number)), default=int(number))
        if kimg != int(number):
            warn(f"{run_dir} has no network of {number} thousand images, the newest up to there is that of {kimg}")


def _with_booleans(arguments: Sequence[str]) -> list[str]:
    """`--mirror_augment=yes` and `--mirror_augment true`, as launchers write it, become --mirror_augment=true."""
    words = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
    found: list[str] = []
    for argument in arguments:
        name, _, value = argument.partition("=")
        if found and _is_boolean(found[-1]) and argument.lower() in words:
            found[-1] += f"={words[argument.lower()]}"
        elif value and _is_boolean(name):
            found.append(f"{name}={words.get(value.lower(), value)}")
        else:
            found.append(argument)
    return found


def _is_boolean(argument: str) -> bool:
    name = argument.lstrip("-")
    return argument != name and name in flags.FLAGS and flags.FLAGS[name].boolean


def _checked(name: str, entry: Any) -> Any:
    """One value of a flag, with the home folder for ~, which the shell replaces at the start of a word only.

    UserError for a number that no tensor can hold, an address in place of a folder, or a file that is missing.
    """
    if isinstance(entry, int) and abs(entry) >= 2**63:
        raise UserError(f"--{name} must fit into 64 bits, got {short(entry, 60)}.")
    if isinstance(entry, float) and not is_finite_number(entry):
        raise UserError(f"--{name} must be a finite number, got {short(entry, 60)}.")
    if not isinstance(entry, str):
        return entry
    entry = os.path.expanduser(entry)
    if not entry or name in _OF_SERVERS:
        return entry
    if scheme_of(entry):
        check_supported(entry, name)
        if name not in _STORED:
            check_local(entry, name)
        return entry
    words, place = PATHS.get(name), entry if os.path.exists(entry) else entry.rpartition("@")[0] or entry  # RUN@best
    if words is not None and place not in words and not os.path.exists(place) and not glob.has_magic(place):
        near = difflib.get_close_matches(entry, words, n=1, cutoff=0.5)
        text = flags.FLAGS[name].help
        hint = f"did you mean {near[0]}?" if near else f"give {text[:1].lower()}{text[1:]}"
        raise UserError(f"--{name}: {short(entry, 200)} does not exist: {hint}")
    return entry


def _unknown_flag(name: str) -> str:
    where = _in_file(name.lstrip("-"))
    name, space, value = name.lstrip("-").partition(" ")
    if space:
        return f"unknown flag --{name}{space}{value}{where}: a line of a flag file is --name=value."
    near = difflib.get_close_matches(name, [*_own_flags(), "flagfile", "help", "helpfull"], n=1, cutoff=0.5)
    hint = f"did you mean --{near[0]}?" if near else "--helpfull lists all flags."
    return f"unknown flag --{name}{where}; {hint}"


def _in_file(argument: str) -> str:
    """ " (FILE, line N)" for an argument, without its dashes, that comes from a flag file."""
    place = flag_files.place_of(argument)
    return place and f" ({place})"


def _own_flags() -> list:
    """Names of the flags that the project's modules and the running script define, not those of absl and others."""
    by_module = flags.FLAGS.flags_by_module_dict()
    ours = [module for module in by_module if module == sys.argv[0] or module.split(".")[0] == "stylegan_tf"]
    return [flag.name for module in ours for flag in by_module[module]]
