"""The one exception that users are meant to see."""

import importlib
import types


class UserError(Exception):
    """A mistake that the user can correct: a flag, a file, a folder.

    The message is one line that says what was expected, what was found, where (file, record, option) and what to do.
    Options appear in it by their Python names in backquotes (`resolution`, `fit=crop`): `cli` renders them as the flags
    of the command at hand. The mains print it without a traceback and exit with code 1 (`command_line.run`).

    >>> from stylegan_tf import UserError, load_networks
    >>> try:
    ...     load_networks("missing.npz")
    ... except UserError as error:
    ...     print("missing.npz" in str(error))
    True
    """


def optional_module(name: str, what: str, extra: str = "") -> types.ModuleType:
    """A module that only `what` needs, of a package or of an extra of this one. UserError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0].replace("_", "-")
        source = f"'stylegan-tf[{extra}]'" if extra else package
        raise UserError(f"{what} needs the Python package {package}: pip install {source}.") from error
