"""Flag files: `--flagfile=NAME` on a command line is replaced by the content of the file.

absl decodes them by the locale's encoding; but file names are bytes to the system, and our files may contain any bytes.
"""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import os_error_line, short

_FLAG = ("--flagfile", "-flagfile")
_COMMENTS = ("#", "//")
_MAX_BYTES = 2**24
_MAX_NAME_LENGTH = 100  # Characters of a flag's name.
_MAX_DEPTH = 20  # Levels of files that name files.
_read: list[tuple[str, str]] = []  # (argument, place) of all that was read; what comes later takes precedence.


def expanded(arguments: Iterable[str]) -> list[str]:
    """The arguments, after the content of the flag files that they name: whoever names a file takes precedence over it.

    Raises UserError for a file that is not a flag file.
    """
    return _remembered(_placed((argument, "") for argument in arguments))


def expanded_content(content: bytes, path: str) -> list[str]:
    """`expanded` of what a flag file holds."""
    return _remembered(_placed(_numbered(content, path), (path,)))


def place_of(name: str) -> str:
    """The line of a flag file that a flag's value comes from, as "FILE, line N"; "" if it is from the command line.

    name: of the flag, or its argument as it was given without the dashes, if it is no flag.
    """
    spellings = (name, f"no{name}")
    return next((place for text, place in reversed(_read) if _spelled(text, spellings)), "")


def _spelled(argument: str, spellings: Sequence[str]) -> bool:
    text = argument.lstrip("-")
    return text in spellings or text.partition("=")[0] in spellings


def _remembered(placed: list[tuple[str, str]]) -> list[str]:
    _read[:0] = placed
    return [argument for argument, _ in placed]


def _placed(arguments: Iterable[tuple[str, str]], above: Sequence[str] = ()) -> list[tuple[str, str]]:
    """`expanded`, each with its place. above: the files that name these."""
    from_files, others = [], []
    rest = iter(arguments)
    for argument, place in rest:
        name, separator, value = argument.partition("=")
        if name in _FLAG:
            path = _found(os.path.expanduser(value if separator else next(rest, ("", ""))[0]))
            from_files += _placed(_lines(path, above), (*above, path))
        elif name.startswith("-") and len(name) > _MAX_NAME_LENGTH:  # absl looks for similar names, without an end.
            raise UserError(f"unknown flag {short(name, 100)}; --helpfull lists all flags.")
        else:
            others.append((argument, place))
    return from_files + others


def packaged_configs() -> dict[str, str]:
    """The flag files that come with the package: name -> the first line of its header."""
    folder = _configs_folder()
    files = sorted(folder.rglob("*.cfg"), key=lambda path: (len(path.parts), path))
    heads = (path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in files)
    return {path.relative_to(folder).as_posix(): head for path, head in zip(files, heads)}


def _configs_folder() -> pathlib.Path:
    """In the installed package, or next to it in a checkout."""
    package = pathlib.Path(__file__).resolve().parents[1]
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def _found(path: str) -> str:
    """The path itself, or that of the packaged file that `demo.cfg` or `configs/demo.cfg` means where there is none."""
    packaged = _configs_folder() / path.removeprefix("configs/")
    return str(packaged) if path and not os.path.exists(path) and packaged.is_file() else path


def _lines(path: str, above: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not path:
        raise UserError("--flagfile needs the name of a file.")
    if path in above or len(above) >= _MAX_DEPTH:
        raise UserError(f"the flag file {path} leads back to itself: {' -> '.join((*above[-3:], path))}.")
    try:
        with open(path, "rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot open the flag file {os_error_line(error)}") from error
    return _numbered(content, path)


def _numbered(content: bytes, path: str) -> Iterator[tuple[str, str]]:
    if b"\0" in content or len(content) > _MAX_BYTES:
        raise UserError(f"{path} is not a flag file, which is text: one --name=value a line.")
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        text = line.decode("utf-8", "surrogateescape").strip()
        if text and not text.startswith(_COMMENTS):
            yield text, f"{path}, line {number}"
