"""Objects in buckets, `gs://`, `s3://`, `az://` and whatever else fsspec knows: list, read, put at once, remove.

Credentials and endpoints are those of fsspec's implementations (environment variables, files in the home folder), which
repeat requests that fail; that of https:// does not.
What is read gets a local copy in the cache; what is written is mirrored from a local folder (`working_copy`).
"""

import contextlib
import hashlib
import os
import pathlib
import re
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Optional, Union

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.addresses import scheme_of
from stylegan_tf.files.atomic_write import atomic_write, is_temporary, make_folder, write_text
from stylegan_tf.files.file_errors import reason_of, short

EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "az": "azure", "abfs": "azure"}  # Scheme -> extra of this package.
_READ_ONLY = ("http", "https")
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # Seconds between attempts to read from the web.
_IN_MEMORY = 2**26  # Bytes: smaller files are read first, as one that grows while it is sent may be refused.
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "LastModified", "last_modified", "mtime", "created")


def default_cache_folder() -> pathlib.Path:
    """~/.cache/stylegan_tf, or below XDG_CACHE_HOME."""
    try:
        return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "stylegan_tf"
    except (RuntimeError, KeyError):  # A user whom the container does not know; KeyError up to Python 3.9.
        raise UserError("no place for the cache: set the environment variable XDG_CACHE_HOME, or HOME.") from None


class Store:
    """The objects below an address. UserError, in one line, where it cannot be accessed."""

    def __init__(self, address: str):
        self.address = re.sub(r":/+", "://", str(address), count=1).rstrip("/")
        with self._errors():
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(self.address, use_listings_cache=False)
            self._root = self._root.rstrip("/")

    @property
    def is_file(self) -> bool:
        """Whether there is an object of this very name; the web has nothing else."""
        with self._errors():
            return scheme_of(self.address) in _READ_ONLY or self._files.isfile(self._root)

    def names(self) -> dict[str, str]:
        """Names of all objects relative to the address -> what changes with their content."""
        return {name: version for name, (_, version) in self.sizes().items()}

    def sizes(self) -> dict[str, tuple[int, str]]:
        """Names of all objects relative to the address -> (bytes, what changes with their content).

        UserError for a name that would lead out of the folder of a local copy.
        """
        with self._errors():
            found = self._repeated(lambda: self._files.find(self._root, detail=True))
        sizes = {}
        for path, info in found.items():
            name = path[len(self._root) + 1 :]
            if name and not name.endswith("/"):  # Those stand for folders.
                if not {"", ".", ".."}.isdisjoint(name.split("/")):
                    name = short(name, 200)
                    raise UserError(f"{self.address} holds {name}, which is not a local file name: rename it there.")
                sizes[name] = (info["size"], _version(info))
        return sizes

    def version(self) -> str:
        """Version of the object at the address itself."""
        with self._errors():
            return _version(self._repeated(lambda: self._files.info(self._root)))

    def get(self, name: str, path: pathlib.Path) -> None:
        """Copies an object to a local file; "": the object at the address itself."""
        make_folder(path.parent)
        with self._errors(), atomic_write(path) as temporary:
            self._repeated(lambda: self._files.get_file(self._path(name), str(temporary)))

    def read(self, name: str) -> Optional[bytes]:
        """A small object; None if it is not there."""
        with self._errors(), contextlib.suppress(FileNotFoundError):
            return self._repeated(lambda: self._files.cat_file(self._path(name)))

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Bytes start, ..., end - 1 of an object."""
        with self._errors():
            return self._repeated(lambda: self._files.cat_file(self._path(name), start=start, end=end))

    def put(self, path: pathlib.Path, name: str) -> None:
        """Copies a local file; the object, old or new, is complete at any time. FileNotFoundError if it is gone."""
        content = path.read_bytes() if path.stat().st_size < _IN_MEMORY else None
        with self._errors():
            if content is None:
                self._files.put_file(str(path), self._path(name))
            else:
                self._files.pipe_file(self._path(name), content)

    def write(self, name: str, content: bytes) -> None:
        with self._errors():
            self._files.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object unless there is one; returns whether it did (a conditional put: one of several wins)."""
        with self._errors():
            try:
                self._files.pipe_file(self._path(name), content, mode="create")
                return True
            except FileExistsError:
                return False

    def remove(self, name: str) -> None:
        with self._errors(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _repeated(self, action: Callable):
        """What reads, of the web up to five times; stores repeat requests by themselves."""
        for pause in _PAUSES if scheme_of(self.address) in _READ_ONLY else ():
            try:
                return action()
            except FileNotFoundError:
                raise
            except Exception:
                time.sleep(pause)
        return action()

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Catches everything: no list of what the libraries raise is complete."""
        try:
            yield
        except UserError:
            raise
        except ImportError as error:
            extra = EXTRAS.get(scheme_of(self.address))
            advice = f'pip install "stylegan-tf[{extra}]"' if extra else "install what fsspec needs for it"
            raise UserError(f"{self.address} cannot be accessed ({short(error, 100)}): {advice}.") from None
        except FileNotFoundError as error:
            reason = short(reason_of(error), 100)
            raise UserError(f"{self.address} does not exist ({reason}): check the name.") from None
        except Exception as error:
            reason = short(reason_of(error), 200)
            advice = "check the address, and what its library takes credentials from"
            raise UserError(f"cannot access {self.address} ({reason}): {advice}.") from error


def check_supported(address: str, name: str) -> None:
    """UserError for an address whose scheme is unknown, as the value of the option `name`."""
    import fsspec

    scheme = scheme_of(address)
    if scheme and scheme not in fsspec.available_protocols():
        known = "gs://, s3://, az:// and https:// are"
        raise UserError(f"`{name}` {short(address, 200)}: {scheme}:// is not supported; {known}.")


def _version(info: dict) -> str:
    found = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    return f"{info.get('size')} {found}" if found else ""


def ensure_local(
    path: Union[str, os.PathLike],
    select: Callable[[Collection[str]], Collection[str]] = lambda names: names,
    cache: Optional[os.PathLike] = None,
) -> pathlib.Path:
    """A local path as it is; of an address the local copy, which is downloaded where it is not up to date.

    select: which files of a folder are needed, by their names. cache: the folder for copies; None: the default.
    """
    objects = pathlib.Path(cache or default_cache_folder()) / "objects"
    if not scheme_of(path):
        return pathlib.Path(path)
    store = Store(os.fspath(path))
    if store.is_file:
        folder, _, name = store.address.rpartition("/")
        copy = _copy_folder(objects, folder)
        _fetch(objects, store, "", store.version(), copy / name)
        return copy / name
    versions = store.names()
    if not versions:
        raise UserError(f"{store.address} does not exist, or holds nothing: check the name.")
    copy = _copy_folder(objects, store.address)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: _fetch(objects, store, name, versions[name], copy / name), select(versions)))
    for file in [path for path in copy.rglob("*") if path.is_file()]:  # Those that are no longer there.
        if file.relative_to(copy).as_posix() not in versions and not is_temporary(file):
            file.unlink(missing_ok=True)
    return copy


def address_of(folder: pathlib.Path) -> str:
    """Where a folder of the cache was fetched from; any other folder is its own."""
    file = pathlib.Path(f"{folder}.address")
    return file.read_text(encoding="utf-8") if file.is_file() else str(folder)


def _copy_folder(objects: pathlib.Path, address: str) -> pathlib.Path:
    folder = objects / hashlib.sha256(address.encode()).hexdigest()[:24]
    make_folder(folder)
    write_text(pathlib.Path(f"{folder}.address"), address)
    return folder


def _fetch(objects: pathlib.Path, store: Store, name: str, version: str, path: pathlib.Path) -> None:
    """Downloads the object unless the local file is of the same version, which is recorded outside the copy."""
    note = pathlib.Path(f"{objects}.versions") / path.relative_to(objects)
    if version and path.is_file() and note.is_file() and note.read_text(encoding="utf-8") == version:
        return
    note.unlink(missing_ok=True)
    store.get(name, path)
    write_text(note, version)
