"""saved_models/NAME/1, .../2, ...: a server watches such a folder and serves the highest number that it finds."""

import os
import pathlib
import re
import shutil
import tempfile
from typing import Callable

from stylegan_tf.errors import UserError


def publish_version(folder, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Calls `write(path)`, which fills the folder `path`, and gives the result the next free number in `folder`.

    A number appears only when everything in it is there: the work is done in a folder beside it, whose name no server
    takes for a version. Exports that run at the same time get different numbers. Returns the path with the number.
    Raises UserError if `folder` cannot be made or written to.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workplace = pathlib.Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): choose another --saved_model_dir.") from None
    try:
        unfinished = workplace / "version"  # mkdtemp's own folder is closed to other users, such as a server's.
        unfinished.mkdir()
        write(unfinished)
        return _numbered(unfinished, folder)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def versions(folder) -> list[int]:
    """The numbers that are taken, in order."""
    return sorted(int(path.name) for path in pathlib.Path(folder).iterdir() if re.fullmatch(r"\d+", path.name))


def _numbered(unfinished: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    while True:
        path = folder / str(max(versions(folder), default=0) + 1)
        try:
            os.rename(unfinished, path)  # Fails if another export has just taken the number.
            return path
        except OSError:
            if not path.exists():
                raise
