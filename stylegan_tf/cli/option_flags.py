"""Flags that are made from options: fields of the dataclasses of `stylegan_tf.config`."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any, Callable, Optional

from absl import flags

from stylegan_tf.cli.command_line import flag_group
from stylegan_tf.config.option import FROM_DATA_SET, all_options, may_be_none, table_value_type, value_type
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
flags.disclaim_key_flags()  # To absl, the flags are those of the module that asks for them.
_DEFINE = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}


class _OrNone:
    """Takes "" for None: a resumed run is told so to leave out what it began with."""

    def parse(self, argument):
        return None if argument == "" else super().parse(argument)


class _IntegerOrNone(_OrNone, flags.IntegerParser):
    pass


class _FloatOrNone(_OrNone, flags.FloatParser):
    pass


_OR_NONE = {int: _IntegerOrNone, float: _FloatOrNone}


def define_flag(field: dataclasses.Field, flag_values: flags.FlagValues = FLAGS, help: Optional[str] = None) -> None:
    """The flag of an option, with its name, default, kind, choices and help. An Optional number may be left empty."""
    option, kind = field.metadata["option"], value_type(field)
    text = help or option.help
    default = None if field.default is dataclasses.MISSING else field.default
    if option.choices and kind is str:
        flags.DEFINE_enum(field.name, default, option.choices, text, flag_values)
    elif kind in _OR_NONE and may_be_none(field):
        flags.DEFINE(_OR_NONE[kind](), field.name, default, text, flag_values, flags.ArgumentSerializer())
    else:
        define = _DEFINE.get(kind, flags.DEFINE_string)
        define(field.name, default, text, flag_values=flag_values)


def define_flags_of(kind: type, *names: str, **helps: str) -> None:
    """The flags of some of the options of a dataclass; without names of all, under their headings.

    helps: in place of its own help, what an option means to this command.
    """
    fields = {field.name: field for _, field in all_options(kind)}
    for name in (*names, *helps):
        define_flag(fields[name], help=helps.get(name))
    if not (names or helps):
        for field in fields.values():
            group = field.metadata["option"].group
            with flag_group(group) if group else contextlib.nullcontext():
                define_flag(field)


def from_flags(kind: type, **given: Any) -> Any:
    """A dataclass of options, with those nested in it, from `given` and the flags; the default where there is none."""
    values = dict(given)
    for field in dataclasses.fields(kind):
        if field.name in given:
            continue
        if dataclasses.is_dataclass(field.type):
            values[field.name] = from_flags(field.type)
        elif field.name in FLAGS and "option" in field.metadata and field.metadata["option"].group is not FROM_DATA_SET:
            values[field.name] = flag_value(field)
    return kind(**values)


def flag_value(field: dataclasses.Field, flag_values: flags.FlagValues = FLAGS) -> Any:
    """What the flag of an option says, as the dataclass takes it."""
    value = flag_values[field.name].value
    return parse_table(field.name, value, table_value_type(field)) if value_type(field) is Mapping else value


def parse_table(name: str, text: Optional[str], convert: Callable[[str], float]) -> Optional[dict]:
    """ "8:128,16:64" -> {8: 128, 16: 64}; "64" -> {4: 64}, which holds from 4x4 up; None or "" -> None."""
    if not text:
        return None
    if ":" not in text:
        text = "4:" + text
    table = {}
    for entry in text.split(","):
        resolution, _, value = entry.partition(":")
        try:
            key, number = int(resolution), convert(value)
        except ValueError:
            kind = "whole numbers" if convert is int else "numbers"
            raise UserError(
                f"{name} must be {kind} by resolution, like {name}=8:128,16:64, or one number; {entry!r} is neither."
            ) from None
        if key in table:
            raise UserError(f"{name} gives two values for resolution {key}.")
        table[key] = number
    return table
