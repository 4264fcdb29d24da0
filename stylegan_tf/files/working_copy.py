"""A folder in a bucket as a local one that a background thread mirrors: files appear there as they appear here.

Existing code writes local files, atomically. The mirror looks for new and changed ones, puts each whole, and those that
declare others complete (a checkpoint, a version's saved_model.pb) after all that was there when they appeared. So the
bucket holds, at any moment, what a kill at some earlier moment would have left in a folder.
"""

import contextlib
import fnmatch
import json
import os
import pathlib
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Optional, Union

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.addresses import scheme_of
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.files.file_errors import parse_line
from stylegan_tf.files.locks import boot_id, locked
from stylegan_tf.files.storage import Store, default_cache_folder

_LAST = ("checkpoints/*", "*saved_model.pb", "*dataset.json")
_PERIOD = 1.0  # Seconds between two looks at the folder.
_MAX_SCANS = 5  # After which a missing file is removed although others go missing as well.
_GIVE_UP = 600.0  # Seconds of failing uploads after which the work ends.
_HEARTBEAT, _DEAD_AFTER = 10.0, 60.0
_CLAIM = ".claim"  # The object that names who writes to a folder.
UPLOADING = ".uploading"  # The object next to what replaces a folder, until that is complete.
_MARKER = ".working_copy"  # The local file without which a folder is no longer a complete copy.


class WorkingCopy:
    """What a block of `working_copy` gets: `folder` to read and write in. This one is the folder itself."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def check(self) -> None:
        """UserError if what is written no longer reaches the bucket; call it now and then."""


@contextlib.contextmanager
def working_copy(
    path: Union[str, os.PathLike], fetch: Sequence[str] = (), exclusive: bool = False, note: Note = ignore
) -> Iterator[WorkingCopy]:
    """A local folder for one that may be in a bucket; what is written has reached the bucket when the block ends.

    Args:
      path: a local folder, which is yielded as it is, or an address.
      fetch: patterns of the files that the local folder begins with.
      exclusive: for one process at a time; several machines are told apart by a conditional put.
      note: takes lines about waiting and about uploads that fail.
    Raises:
      UserError for an address that cannot be accessed, if another process has the folder, and, at the end or by
      `check`, if uploads fail for ten minutes: then the local copy stays, and the message names it.
    """
    if not scheme_of(path):
        yield WorkingCopy(pathlib.Path(path))
        return
    store = Store(os.fspath(path))
    with contextlib.ExitStack() as stack:
        claim = stack.enter_context(_claimed(store, note)) if exclusive else None
        mirror = _Mirror(store, stack.enter_context(_new_folder()), claim, note)
        mirror.restore(fetch)
        with mirror:
            yield mirror


@contextlib.contextmanager
def working_path(path: Union[str, os.PathLike], replace: bool = False, note: Note = ignore) -> Iterator[pathlib.Path]:
    """A local path for a folder, or for a file with a suffix, that may be in a bucket: then in a `working_copy`.

    replace: the folder is created by renaming another one. Then all that the bucket has of it is removed, and the new
      one uploaded; until it is complete, it holds the object `UPLOADING`.
    """
    folder, _, name = os.fspath(path).rstrip("/").rpartition("/")
    if not scheme_of(path):
        yield pathlib.Path(path)
    elif replace:
        if not folder:
            raise UserError(f"{path} does not name a folder: add a name.")
        store = Store(os.fspath(path))
        with _new_folder() as parent, _Mirror(store, parent, None, note, name) as mirror:
            yield mirror.folder
        store.remove(UPLOADING)
    elif "." in name:
        with working_copy(folder, [name, f"{name}/*"], note=note) as copy:
            yield copy.folder / name
    else:
        with working_copy(path, ["*"], note=note) as copy:
            yield copy.folder


class _Mirror(WorkingCopy):
    def __init__(self, store: Store, folder: pathlib.Path, claim: Optional["_Claim"], note: Note, name: str = ""):
        """name: of a folder within that will be renamed to this, and then replaces what the store has."""
        super().__init__(folder / name)
        self._replaced = store.names() if name else None
        self._store, self._claim, self._note = store, claim, note
        self._marker = folder / _MARKER
        self._marker.touch()
        self._stored: dict[str, tuple] = {}  # Name -> state of the local file that the bucket has.
        self._gone: dict[str, int] = {}  # Those whose files are missing -> in how many scans so far.
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="uploads")
        self._problem: Optional[str] = None

    def restore(self, patterns: Sequence[str]) -> None:
        for name in self._store.names():
            if not name.startswith(".") and any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                self._store.get(name, self.folder / name)
        self._stored = {name: state for names in self._files() for name, state in names.items()}

    def __enter__(self) -> "_Mirror":
        self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self._end.set()  # The thread looks once more.
        self._thread.join()
        if self._problem is None:
            shutil.rmtree(self._marker.parent, ignore_errors=True)
        elif kind is None or issubclass(kind, SystemExit):
            self.check()

    def check(self) -> None:
        if self._problem:
            kept = f"All that was written is in {self.folder}: when the address can be written to, run"
            raise UserError(
                f"cannot write to {self._store.address} ({self._problem}). "
                f"{kept if self._marker.exists() else 'What was uploaded is still there: run'} the same command again."
            )

    def _run(self) -> None:
        failing_since, is_last = None, False
        while not is_last and self._problem is None:
            is_last = self._end.wait(_PERIOD)
            if self._claim is not None and self._claim.is_lost:
                self._problem = "another process has taken it over"
                return
            try:
                self._synchronise()
                if is_last and self._gone:
                    time.sleep(_PERIOD)
                    self._synchronise()
                failing_since = None
            except Exception as error:  # A UserError; anything else must not end the thread in silence.
                if failing_since is None:
                    failing_since = time.monotonic()
                    self._note(f"warning: uploads fail and are repeated: {error}")
                is_last = time.monotonic() - failing_since > _GIVE_UP
                self._problem = str(error) if is_last else None
                time.sleep(_PERIOD)

    def _synchronise(self) -> None:
        """Brings the bucket to the state of the folder; a file that is missing at two looks was removed.

        Others may empty the cache, at any time: that removes nothing from the bucket.
        """
        last, others = self._files()
        if not self._marker.exists():
            self._problem = f"its local copy {self.folder} was emptied by another program"
            return
        if self._replaced is not None and others:
            self._store.write(UPLOADING, b"")
            old = [name for name in self._replaced if "/" not in name and name != UPLOADING]
            for name in sorted(old, key=_is_last, reverse=True):  # What declares the others complete goes first.
                self._store.remove(name)
            self._replaced = None
        for name, state in (*others.items(), *last.items()):
            if self._stored.get(name) != state:
                with contextlib.suppress(FileNotFoundError):  # Replaced by a newer one meanwhile.
                    self._store.put(self.folder / name, name)
                    self._stored[name] = state
        missing, before = set(self._stored) - {*last, *others}, self._gone
        self._gone = {name: before.get(name, 0) + 1 for name in missing}
        for name in missing:  # While a whole folder is being removed, they become more.
            if missing == before.keys() or self._gone[name] > _MAX_SCANS:
                self._store.remove(name)
                del self._stored[name], self._gone[name]

    def _files(self) -> tuple[dict, dict]:
        """Those that declare others complete, looked for first; the others. Name -> (size, time)."""
        last = {name: state for name, state in self._found() if _is_last(name)}
        return last, {name: state for name, state in self._found() if not _is_last(name)}

    def _found(self) -> Iterator[tuple[str, tuple]]:
        for parent, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                path = pathlib.Path(parent, name)
                with contextlib.suppress(FileNotFoundError):
                    if not name.startswith("."):  # Hidden ones are locks, and files that are being written.
                        state = path.stat()
                        yield path.relative_to(self.folder).as_posix(), (state.st_size, state.st_mtime_ns)


def _is_last(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _LAST)


@contextlib.contextmanager
def _new_folder() -> Iterator[pathlib.Path]:
    """A new folder in the cache; those of processes that were killed go first."""
    parent = make_folder(default_cache_folder() / "working_copies")
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(OSError, UserError), locked(lock, "a working copy"):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    folder = parent / secrets.token_hex(8)
    with locked(folder.with_suffix(".lock"), "a working copy"):
        folder.mkdir()
        yield folder  # If it stays, as uploads failed, it is nobody's to remove.


@contextlib.contextmanager
def _claimed(store: Store, note: Note) -> Iterator["_Claim"]:
    claim = _Claim(store)
    claim.acquire(note)
    thread = threading.Thread(target=claim.beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield claim
    finally:
        claim.end.set()
        thread.join(_HEARTBEAT)
        if not claim.is_lost:
            with contextlib.suppress(UserError):
                store.remove(_CLAIM)


class _Claim:
    """Who writes to a folder of a bucket: an object with a name and a heartbeat."""

    def __init__(self, store: Store):
        self._store, self._beats = store, 0
        self._name = {"host": socket.gethostname(), "process": os.getpid(), "machine": _machine()}
        self._name["token"] = secrets.token_hex(8)
        self.is_lost = False
        self.end = threading.Event()

    def acquire(self, note: Note) -> None:
        """UserError if its holder is alive; one on another machine has a minute to show it."""
        seen, since = None, time.monotonic()
        while not self._store.create(_CLAIM, self._content()):
            content = self._store.read(_CLAIM)
            holder = parse_line((content or b"").decode(errors="replace")) or {}
            named = f"process {holder.get('process')} on {holder.get('host')}"
            is_here = holder.get("machine") == self._name["machine"]
            if (is_here and _is_running(holder.get("process"))) or (seen is not None and content not in (seen, None)):
                raise UserError(f"{self._store.address} is in use by {named}: wait for it, stop it, or choose another.")
            if is_here or time.monotonic() - since > _DEAD_AFTER:
                self._store.remove(_CLAIM)  # Then all that wait try to create it, and one succeeds.
            elif seen is None:
                note(f"waiting for a heartbeat of {named}, for {_DEAD_AFTER:.0f} s at most")
            seen = content
            time.sleep(0.0 if is_here else 1.0)

    def beat(self) -> None:
        """Renews it, until the end or until it is another's."""
        while not self.end.wait(_HEARTBEAT):
            with contextlib.suppress(UserError):
                content = self._store.read(_CLAIM)
                holder = parse_line((content or b"").decode(errors="replace")) or {}
                if holder.get("token", self._name["token"]) != self._name["token"]:
                    self.is_lost = True
                    return
                self._beats += 1
                self._store.write(_CLAIM, self._content())

    def _content(self) -> bytes:
        return json.dumps({**self._name, "beats": self._beats}).encode()


def _machine() -> str:
    """The kernel and what tells its processes apart: numbers of processes mean the same within it."""
    with contextlib.suppress(OSError):
        return f"{boot_id()} {os.readlink('/proc/self/ns/pid')}"
    return boot_id()


def _is_running(process) -> bool:
    try:
        os.kill(int(process), 0)
        return True
    except PermissionError:
        return True
    except (OSError, ValueError, TypeError):
        return False
