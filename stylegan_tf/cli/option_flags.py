"""Flags that are made from options: fields of the dataclasses of `stylegan_tf.config`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Callable, Optional

from absl import flags

from stylegan_tf.config.option import may_be_none, option_fields, table_value_type, value_type
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


def define_flag(field: dataclasses.Field, flag_values: flags.FlagValues = FLAGS) -> None:
    """The flag of an option, with its name, default, kind, choices and help. An Optional number may be left empty."""
    option, kind = field.metadata["option"], value_type(field)
    default = None if field.default is dataclasses.MISSING else field.default
    if option.choices:
        flags.DEFINE_enum(field.name, default, option.choices, option.help, flag_values)
    elif kind in _OR_NONE and may_be_none(field):
        flags.DEFINE(_OR_NONE[kind](), field.name, default, option.help, flag_values, flags.ArgumentSerializer())
    else:
        define = _DEFINE.get(kind, flags.DEFINE_string)
        define(field.name, default, option.help, flag_values=flag_values)


def define_flags_of(options: type, *names: str) -> None:
    """The flags of some of the options of a dataclass."""
    fields = {field.name: field for field in option_fields(options)}
    for name in names:
        define_flag(fields[name])


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
