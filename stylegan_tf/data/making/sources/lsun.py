"""LSUN's lmdb databases: a folder with `data.mdb`, whose values are image files."""

import functools
import os

from stylegan_tf.data.making.decoding import BadPicture
from stylegan_tf.data.making.sources.collection import Collection, optional_module
from stylegan_tf.errors import UserError


class LmdbCollection(Collection):
    """The values of a database in the order of their keys."""

    def __init__(self, folder: str):
        self._folder = folder
        with self._transaction() as transaction:
            self._keys = [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]
        if not self._keys:
            raise UserError(f"--source {folder} is an empty lmdb database.")

    def __len__(self) -> int:
        return len(self._keys)

    def name(self, index: int) -> str:
        return self._keys[index].decode("utf-8", "backslashreplace")

    def read(self, index: int) -> bytes:
        with self._transaction() as transaction:
            data = transaction.get(self._keys[index])
        if data is None:
            raise BadPicture("is no longer in the database")
        return data

    def _transaction(self):
        return _database(os.path.realpath(self._folder)).begin()


@functools.cache
def _database(folder: str):
    """A database may be open only once in a process."""
    lmdb = optional_module("lmdb", "LSUN's databases")
    try:
        return lmdb.open(folder, readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise UserError(f"--source {folder} cannot be read as an lmdb database: {error}.") from error
