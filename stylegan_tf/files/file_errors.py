"""Errors of files as one line: the file's name, the reason, what to do. The one place that words them.

with reading(path, "network file"):
    ...                                       # Library code: whatever it raises becomes a DamagedFile.
description = read_json(path, "list of labels")
except OSError as error: print(os_error_line(error))
"""

import contextlib
import errno
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any, Optional

from stylegan_tf.config.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)  # Error numbers of a full disk.
LONGEST = 300  # Characters of a line: text from a damaged file may have any length.
ADVICE = "copy it again or take another"
_ADVICE = {
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "a part of the name is a file: check the name",
    errno.EISDIR: "a file is expected there, not a folder",
    errno.EEXIST: "a folder is needed there, or another name",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.ELOOP: "its links lead in a circle",
    errno.EACCES: "give the rights to it, or take another place",
    errno.EPERM: "give the rights to it, or take another place",
    errno.EROFS: "take another place",
    errno.ENOSPC: "make room, and run the same command again",
    errno.EDQUOT: "make room, and run the same command again",
    errno.EFBIG: "take a place that holds larger files",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EIO: "the disk or the connection to it fails: copy the file, or take another place",
    errno.ESTALE: "the file was replaced on its server: run the same command again",
}
# Of the machine, not of the file's content.
_NOT_DAMAGE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG)


class DamagedFile(UserError):
    """The file is there, but what it holds cannot be read."""


def short(text: Any, longest: int = LONGEST) -> str:
    """In one line, without control characters, the middle left out where it is longer than `longest`."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(text)).strip()
    half = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[: longest - 5 - half]} ... {text[len(text) - half :]}"


def file_line(path: Any, problem: str, reason: Any, advice: str, longest: int = LONGEST) -> str:
    """`PATH PROBLEM (REASON): ADVICE.`; the reason is what gets shorter."""
    path = short(os.fspath(path) if isinstance(path, os.PathLike) else path, 200)
    room = max(longest - len(f"{path} {problem} (): {advice}."), 40)
    return f"{path} {problem} ({short(reason, room)}): {advice}."


def reason_of(error: BaseException) -> str:
    """What an exception says, or its kind if it says nothing that helps; never the advice to trust a file."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, (KeyError, IndexError)):
        text = f"{text} is missing" if text else ""
    if isinstance(error, RecursionError):
        text = "nested too deeply"
    if "allow_pickle" in text or "pickle" in text.lower():
        text = "it holds Python objects, or a header that is too long"
    return text or type(error).__name__


def os_error_line(error: OSError) -> str:
    """`PATH: No space left on device: make room, ...`."""
    names = [name for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, os.PathLike))]
    where = " -> ".join(short(os.fsdecode(name), 200) for name in names)
    advice = _ADVICE.get(error.errno, "check the file, its disk and its rights")
    return f"{where + ': ' if where else ''}{short(reason_of(error), 200)}: {advice}."


@contextlib.contextmanager
def reading(path: os.PathLike, kind: str, advice: str = ADVICE) -> Iterator[None]:
    """Put it around library code that opens and parses `path`; `kind`, like "network file", is for the message.

    Whatever is raised becomes a UserError of one line: DamagedFile where the content is to blame. No list of what
    parsers raise is ever complete.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError:
        raise UserError(file_line(path, f"is a {kind} larger than the memory", "out of memory", advice)) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NOT_DAMAGE:
            raise UserError(f"cannot read {_named(error, path)}") from None
        raise DamagedFile(file_line(path, f"is not a readable {kind}", reason_of(error), advice)) from None


def _named(error, path):
    return os_error_line(OSError(error.errno, error.strerror, os.fspath(path)))


def parse_json(text: str) -> Any:
    """JSON as the standard has it: NaN and infinity are errors. ValueError for whatever is wrong with it."""

    def refuse(name):
        raise ValueError(f"{name} is no number of JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: os.PathLike, kind: str, advice: str = "fix it, or make it again") -> Any:
    """The content of a JSON file. UserError, in one line, for whatever is wrong with it."""
    with reading(path, kind, advice):
        return parse_json(pathlib.Path(path).read_text(encoding="utf-8"))


def parse_line(line: str) -> Optional[dict]:
    """The object of one line of a .jsonl, None where it is none: cut off, damaged, something else."""
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def read_lines(path: os.PathLike) -> list[tuple[str, dict]]:
    """The whole lines of a .jsonl, each with its object; [] without the file.

    Skipped are damaged lines, and a last one without its end, which may still be being written.
    """
    if not os.path.isfile(path):
        return []
    lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    found = ((line, parse_line(line)) for line in lines if line.endswith("\n"))
    return [(line, record) for line, record in found if record is not None]
