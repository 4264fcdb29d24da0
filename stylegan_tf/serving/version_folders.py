"""saved_models/NAME/1, .../2, ...: a server watches such a folder and serves the highest version that it finds."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from typing import Callable

from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import make_folder, naming_errors, sync_folder, sync_tree
from stylegan_tf.files.locks import locked

_PREFIX = ".unfinished-"
_LOCK = "lock"


def publish_version(folder, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Calls `write(path)`, which fills the folder `path`, and renames it to the next free version in `folder`.

    A version appears only when it is complete and on the disk: it is written in a folder whose name no server takes for
    a version. Concurrent exports get different numbers. Returns the path of the version.
    Raises UserError if `folder` cannot be created or written to.
    """
    folder = pathlib.Path(folder)
    with contextlib.ExitStack() as stack:
        try:
            make_folder(folder)
            with locked(folder / ".exports.lock", f"the folder {folder}", wait=60):
                _remove_leftovers(folder)
                staging = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
                stack.callback(shutil.rmtree, staging, ignore_errors=True)
                stack.enter_context(locked(staging / _LOCK, f"the export {staging}"))
        except OSError as error:
            raise UserError(f"cannot write to {folder} ({error.strerror}): choose another `saved_model_dir`.") from None
        unfinished = staging / "version"  # mkdtemp's own folder is closed to other users, such as a server's.
        unfinished.mkdir()
        with naming_errors(folder):
            write(unfinished)
            sync_tree(unfinished)  # A server may load it as soon as it has its number.
            path = _take_next_version(unfinished, folder)
            sync_folder(folder)
        return path


def _remove_leftovers(folder: pathlib.Path) -> None:
    """Of killed exports; a running one holds its lock."""
    for staging in folder.glob(f"{_PREFIX}*"):
        try:
            with locked(staging / _LOCK, str(staging)):
                shutil.rmtree(staging, ignore_errors=True)
        except (UserError, OSError):
            pass


def versions(folder) -> list[int]:
    """The versions in a folder, ascending."""
    return sorted(int(path.name) for path in pathlib.Path(folder).iterdir() if re.fullmatch(r"\d+", path.name))


def _take_next_version(unfinished: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    while True:
        path = folder / str(max(versions(folder), default=0) + 1)
        try:
            os.rename(unfinished, path)  # Fails if another export has just taken the number.
            return path
        except OSError:
            if not path.exists():
                raise
