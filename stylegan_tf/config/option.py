"""An option is a field of a frozen dataclass that carries its help, its group in `--help` and its bounds.

    @dataclasses.dataclass(frozen=True)
    class ExampleConfig(Options, group=NETWORKS):
        width: int = option(512, "Width of z.", at_least=1)

is all that a new option needs: the flag --width is made from it, and a wrong value raises an OptionError that names it.
The annotation gives the kind of value: bool, int, float, str, Optional of these, or a table: a
`Mapping` from resolutions (ints), or what `table_by` names, to int or float, whose bounds are those of the values.
"""

import dataclasses
import numbers
import operator
import os
import typing
from collections.abc import Mapping
from typing import Any, Optional, Union

from stylegan_tf.config.errors import UserError

# Headings of `--help`, in the order in which it shows them.
RUN = "Data and run"
SCHEDULE = "Schedule (a table is written 8:128,16:64; one number applies to all resolutions)"
LOSSES = "Losses and optimisers"
NETWORKS = "Networks"
REPORTS = "Reports"
METRICS = "Metrics (docs/metrics.md)"
GROUPS = (RUN, SCHEDULE, LOSSES, NETWORKS, REPORTS, METRICS)  # For training; others follow in order of definition.
GENERAL = ""  # Without a heading of its own.
FROM_DATA_SET = None  # In place of a heading: the dataset decides, there is no flag.

REQUIRED = dataclasses.MISSING  # In place of a default.
TABLES = {"resolution": "8:128,16:64", "kimg": "60:2,140:4"}  # Examples, by what the keys are.

_BOUNDS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}
_INT_MAX = 2**31 - 1  # The largest number that an int32 tensor holds.
_FLOAT_MAX = 3.4028234e38  # The largest number that a float32 tensor holds.


class OptionError(UserError):
    """A value that an option does not accept. The message begins with the option's name."""


@dataclasses.dataclass(frozen=True)
class Option:
    """What a field declares besides its name, annotation and default."""

    help: str
    group: Optional[str] = GENERAL
    choices: Optional[tuple[Any, ...]] = None
    at_least: Optional[float] = None
    above: Optional[float] = None
    at_most: Optional[float] = None
    below: Optional[float] = None
    is_resolution: bool = False  # A power of two of at least 4.
    table_by: str = "resolution"  # What the keys of a table are: "resolution" or "kimg".
    added_later: bool = False  # Older networks and records lack it: digests skip its default, and results stay valid.
    is_location: bool = False  # A location, which may be named differently on other machines without affecting a run.
    # Values of other options with which it may be combined.
    requires: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def is_applicable(self, values: Mapping[str, Any]) -> bool:
        """Whether the other options (by name) have values with which this one has an effect."""
        return all(values[name] in allowed for name, allowed in self.requires.items())

    @property
    def bounds(self) -> dict[str, float]:
        """Those that it has, by name."""
        return {name: getattr(self, name) for name in _BOUNDS if getattr(self, name) is not None}

    def allows(self, value: float) -> bool:
        """Whether a number is within the bounds; NaN is within none."""
        return all(_BOUNDS[name](value, bound) for name, bound in self.bounds.items())


def option(default: Any, help: str, **rules: Any) -> Any:
    """A field of a dataclass of options. rules: the other attributes of `Option`; its group is that of the class."""
    return dataclasses.field(default=default, metadata={"option": Option(help, **rules)})


def option_fields(kind: type) -> list[dataclasses.Field[Any]]:
    """The fields of a dataclass that are options (others are nested dataclasses)."""
    return [field for field in dataclasses.fields(kind) if "option" in field.metadata]


def all_options(kind: type) -> list[tuple[str, dataclasses.Field[Any]]]:
    """(part, field) of every option of a dataclass and of those nested in it that has a flag, heading by heading.

    part: the name of the nested dataclass, "" for the outer one. Parts may share options: the networks do.
    """
    found: list[tuple[str, dataclasses.Field[Any]]] = []
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            found += [(field.name, inner) for _, inner in all_options(typing.cast(type, field.type))]
        elif "option" in field.metadata and field.metadata["option"].group is not FROM_DATA_SET:
            found.append(("", field))
    groups = [field.metadata["option"].group for _, field in found]
    order = list(dict.fromkeys([*(group for group in GROUPS if group in groups), *groups]))
    return sorted(found, key=lambda entry: order.index(entry[1].metadata["option"].group))


def value_type(field: dataclasses.Field[Any]) -> type:
    """bool, int, float, str or Mapping: the annotation without Optional."""
    annotation = _not_optional(field.type)
    return typing.cast(type, Mapping if typing.get_origin(annotation) is Mapping else annotation)


def is_optional(field: dataclasses.Field[Any]) -> bool:
    """Whether its annotation is Optional."""
    return type(None) in typing.get_args(field.type)


def table_value_type(field: dataclasses.Field[Any]) -> type:
    """int or float: the values of a table."""
    return typing.cast(type, typing.get_args(_not_optional(field.type))[1])


def value_text(value: Any, table_by: str = "resolution") -> Optional[str]:
    """An option's value as its flag takes it: true, 0.001, 8:128,16:64, or 64 for {4: 64}; None for None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        if list(value) == [4] and table_by == "resolution":
            return str(value[4])
        return ",".join(f"{str(key).removesuffix('.0')}:{number}" for key, number in sorted(value.items()))
    return str(value)


def is_resolution(value: Any) -> bool:
    """Whether images can have this size: a power of two of at least 4."""
    return _is_whole(value) and value >= 4 and value & (value - 1) == 0


class Options:
    """Base of frozen dataclasses of options: a value that its field does not allow raises an OptionError."""

    def __init_subclass__(cls, group: str = GENERAL) -> None:
        """group: the heading in `--help` of those options that name no other."""
        for field in vars(cls).values():
            rules = field.metadata.get("option") if isinstance(field, dataclasses.Field) else None
            if rules is not None and rules.group == GENERAL:
                field.metadata = {"option": dataclasses.replace(rules, group=group)}

    def __post_init__(self) -> None:
        for field in option_fields(type(self)):
            value = getattr(self, field.name)
            if value is None and is_optional(field):
                continue
            if value_type(field) is Mapping:
                _check_table(field, value)
            else:
                _check(field.name, value, value_type(field), field.metadata["option"])
            if value != field.default:
                self._check_requirements(field)

    def digest_fields(self) -> dict[str, Any]:
        """What digests and records of results are made from: values by name, without later options at their default."""
        return {
            field.name: getattr(self, field.name)
            for field in option_fields(type(self))
            if not field.metadata["option"].added_later or getattr(self, field.name) != field.default
        }

    def _check_requirements(self, field: dataclasses.Field[Any]) -> None:
        for name, allowed in field.metadata["option"].requires.items():
            if getattr(self, name) not in allowed:
                *some, last = map(str, allowed)
                wanted = " or ".join(filter(None, (", ".join(some), last)))
                raise OptionError(f"{field.name} needs `{name}` {wanted}, got {getattr(self, name)}.")

    def options(self) -> dict[str, tuple[dataclasses.Field[Any], Any]]:
        """(field, value) by name of every option that has a flag, also of the nested parts, as `all_options` has them.

        Flag files, the record of a run and what processes compare with each other are made from it. Where two parts
        that share an option differ in it, which no flag can say, its name in the later one is PART.NAME.
        """
        found: dict[str, tuple[dataclasses.Field[Any], Any]] = {}
        for part, field in all_options(type(self)):
            value = getattr(getattr(self, part) if part else self, field.name)
            if found.setdefault(field.name, (field, value))[1] != value:
                found[f"{part}.{field.name}"] = (field, value)
        return found


def _check_table(field: dataclasses.Field[Any], table: Any) -> None:
    name, rule = field.name, field.metadata["option"]
    if not isinstance(table, Mapping):
        raise OptionError(f"{name} must map {rule.table_by} to values, got {table!r}.")
    if not table:
        raise OptionError(f"{name} has no entry; write for example `{name}={TABLES[rule.table_by]}`, or leave it out.")
    for key, value in table.items():
        if rule.table_by == "resolution" and not is_resolution(key):
            raise OptionError(f"{name}: resolutions must be powers of two of at least 4, got {key}.")
        if rule.table_by == "kimg" and not (is_finite_number(key) and key > 0):
            raise OptionError(f"{name}: thousands of images must be above 0, got {key}.")
        _check(f"{name}: the value at {key}", value, table_value_type(field), rule)


def _check(name: str, value: Any, kind: type, rule: Option) -> None:
    """name: how a message calls the value."""
    if kind in (int, float):
        _check_number(name, value, kind, rule)
    elif not isinstance(value, (str, os.PathLike) if kind is str else kind):
        expected = "text" if kind is str else "True or False"
        raise OptionError(f"{name} must be {expected}, got {value!r}.")
    if rule.choices and value not in rule.choices:
        raise OptionError(f"{name} must be one of {', '.join(map(str, rule.choices))}; got {value!r}.")


def _check_number(name: str, value: Any, kind: type, rule: Option) -> None:
    if not (_is_whole(value) if kind is int else _is_number(value)):
        raise OptionError(f"{name} must be a {'whole ' if kind is int else ''}number, got {value!r}.")
    if rule.is_resolution and not is_resolution(value):
        raise OptionError(f"{name} must be a power of two of at least 4, got {value}.")
    if not rule.allows(value):
        bounds = " and ".join(f"{bound.replace('_', ' ')} {limit}" for bound, limit in rule.bounds.items())
        raise OptionError(f"{name} must be {bounds}, got {value}.")
    if kind is float and not is_finite_number(value):
        raise OptionError(f"{name} must be a finite number that float32 can hold, got {value}.")
    if kind is int and rule.at_most is None and rule.below is None and abs(value) > _INT_MAX:
        raise OptionError(f"{name} must be at most {_INT_MAX}, got {value}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_finite_number(value: Any) -> bool:
    """Whether it is a number, no boolean, and one that float32 can hold."""
    return _is_number(value) and abs(value) <= _FLOAT_MAX


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _not_optional(annotation: Any) -> Any:
    """Optional[X] -> X."""
    if typing.get_origin(annotation) is not Union:
        return annotation
    return next(kind for kind in typing.get_args(annotation) if kind is not type(None))
