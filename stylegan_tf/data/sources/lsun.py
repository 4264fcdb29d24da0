"""LSUN's lmdb databases: a folder with `data.mdb`, whose values are image files."""

from stylegan_tf.data.pictures import BadPicture
from stylegan_tf.data.sources.collection import Collection, optional_module
from stylegan_tf.errors import UserError


class LmdbCollection(Collection):
    """The values of a database in the order of their keys."""

    def __init__(self, folder: str):
        self._folder, self._database = folder, None
        with self._transaction() as transaction:
            self._keys = [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]
        if not self._keys:
            raise UserError(f"--source {folder} is an empty lmdb database.")

    def __getstate__(self):
        return {**self.__dict__, "_database": None}

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
        lmdb = optional_module("lmdb", "LSUN's databases")
        if self._database is None:
            try:
                self._database = lmdb.open(self._folder, readonly=True, lock=False, readahead=False)
            except lmdb.Error as error:
                raise UserError(f"--source {self._folder} cannot be read as an lmdb database: {error}.") from error
        return self._database.begin()
