"""Files that are there as a whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def written_aside(path: os.PathLike) -> Iterator[pathlib.Path]:
    """`with written_aside(path) as temporary: ...` gives what was written to `temporary` the name `path` at the end.

    An older file of that name is replaced in one step. If the block fails, it stays and the temporary file goes.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp")  # In the same folder: a rename cannot cross file systems.
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
