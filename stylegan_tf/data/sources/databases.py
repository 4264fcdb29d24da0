"""Pictures in databases: LSUN's LMDB, TFRecords, and the Parquet or Arrow files of Hugging Face's datasets."""

import collections
import contextlib
import errno
import json
import multiprocessing
import os
import pathlib
import re
import signal
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from stylegan_tf.config.errors import UserError, optional_module
from stylegan_tf.data import dataset_files, records, tfrecord_files
from stylegan_tf.data.sources import reading
from stylegan_tf.data.sources.collection import Collection, Labels, Skipped, as_labels, one_hot
from stylegan_tf.data.sources.image_files import IMAGE_SUFFIXES, kind_of, other_entries
from stylegan_tf.data.sources.opening import BadPicture, Picture

_LMDB_FILES = ("data.mdb", "lock.mdb")
_LMDB_HEAD = 8192  # Bytes of its two pages of metadata.
_TIMEOUT = 60  # Seconds that LMDB may take for one value.
_CRASHES = (-signal.SIGBUS, -signal.SIGSEGV, -signal.SIGABRT)  # Exit codes of a process that read damaged pages.
_TABLE_SUFFIXES = (".parquet", ".arrow")
_IMAGE_COLUMNS = ("image", "img", "images", "picture", "jpg", "png", "webp", "bytes")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "class_label", "target", "y")
_ROWS_AT_ONCE = 64
_ARROW_END = b"\xff\xff\xff\xff\0\0\0\0"


class LmdbCollection(Collection):
    """The values of a database in the order of their keys.

    LMDB maps the file into memory and trusts it: a damaged page ends the process. It is read by a child process, whose
    end is an error like any other.
    """

    _reader = _process = None
    _opened = ("_reader", "_process")

    def __init__(self, folder: str):
        optional_module("lmdb", "an LMDB database")
        self._folder = folder
        with reading.reading_source(folder, "an lmdb database"):
            self._keys = self._request(None)
        if not self._keys:
            raise UserError(f"`source` {folder} is an empty lmdb database.")
        self._count = len(self._keys)
        self._fingerprint = reading.fingerprint(os.path.join(folder, _LMDB_FILES[0]))
        self.skipped = other_entries(pathlib.Path(folder), _LMDB_FILES)

    def name(self, index: int) -> str:
        return self._keys[index].decode("utf-8", "backslashreplace")

    def read(self, index: int) -> bytes:
        return self._request(self._keys[index])

    def _request(self, key: Optional[bytes]):
        """The value of a key; None: all keys."""
        if self._reader is None:
            context = multiprocessing.get_context("spawn")
            self._reader, theirs = context.Pipe()
            self._process = context.Process(target=_serve_lmdb, args=(self._folder, theirs), daemon=True)
            self._process.start()
            theirs.close()
        try:
            self._reader.send(key)
            is_answered = self._reader.poll(None if key is None else _TIMEOUT)
            answer = self._reader.recv() if is_answered else TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        except (OSError, EOFError):
            is_answered, answer = False, self._reason_of_end()
        if not is_answered:
            self._reader.close()
            self._reader = None  # The next picture gets a new process.
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _reason_of_end(self) -> Exception:
        """The child process has ended: damage, or something that says nothing about the database."""
        self._process.join(_TIMEOUT)
        code = self._process.exitcode
        if code in _CRASHES:
            return ValueError("it is damaged: LMDB ended abruptly while it read it")
        if code == -signal.SIGKILL:  # By the kernel, where memory runs out.
            return MemoryError()
        return ChildProcessError(errno.ECHILD, f"the process that reads it ended with exit code {code}")


def _serve_lmdb(folder: str, requests) -> None:
    """The child process: answers with values, or with errors, until the pipe is closed."""
    import lmdb

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # LMDB prints the assertions that fail.
    database = None
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            key = requests.recv()
            try:
                database = database or _open_lmdb(folder)
                requests.send(_all_keys(database) if key is None else _value(database, key))
            except lmdb.Error as error:
                requests.send(ValueError(str(error)))
            except (UserError, ValueError, OSError, MemoryError) as error:
                requests.send(error)


def _open_lmdb(folder: str):
    import lmdb

    size, database = os.path.getsize(os.path.join(folder, _LMDB_FILES[0])), None
    if size >= _LMDB_HEAD:
        database = lmdb.open(folder, readonly=True, lock=False, readahead=False)
    expected = (database.info()["last_pgno"] + 1) * database.stat()["psize"] if database else _LMDB_HEAD
    if size < expected:
        raise ValueError(f"it is cut off: {size:,} of {expected:,} bytes")
    return database


def _all_keys(database) -> list[bytes]:
    keys, entries = [], database.stat()["entries"]
    with database.begin() as transaction:
        for key in transaction.cursor().iternext(values=False):
            if len(keys) == entries:
                raise ValueError(f"its tree holds more than the {entries:,} entries that its header says")
            keys.append(key)
    if len(keys) != entries:
        raise ValueError(f"its tree holds {len(keys):,} entries, its header says {entries:,}")
    return keys


def _value(database, key: bytes) -> bytes:
    with database.begin(buffers=True) as transaction:
        value = transaction.get(key)
        if value is None:
            raise BadPicture("is damaged: its key is no longer found")
        reading.check_size(len(value))
        return bytes(value)


class TFRecordCollection(Collection):
    """The largest level of a dataset of ours or of the authors, in the order of its records."""

    def __init__(self, folder):
        self._info = dataset_files.find_dataset(folder)
        self.num_channels, self.content_box = self._info.num_channels, self._info.content_box
        self.resolution, self.aspect_ratio = self._info.resolution, self._info.aspect_ratio
        self.has_planes = self._info.has_planes
        self._paths = self._info.shards(self._info.resolution)
        found = [dataset_files.find_records(path) for path in self._paths]
        counts = tuple(map(len, found))
        if counts != self._info.shard_counts:
            raise UserError(f"{folder} holds {sum(counts)} records, its sizes say {self._info.count}: write it again.")
        self.has_classes = self._info.label_size > 0
        self._count, self._shards = sum(counts), np.repeat(np.arange(len(counts)), counts)
        self._places = np.array([(record.offset, record.length) for shard in found for record in shard], np.int64)
        self._files = [reading.SpooledFile(path) for path in self._paths]
        self._fingerprints = [reading.fingerprint(path) for path in self._paths]
        others = [self._info.labels_path, *(path for paths in self._info.levels.values() for path in paths)]
        used = [os.path.basename(path) for path in others if path]
        self.skipped = other_entries(pathlib.Path(folder), [*used, dataset_files.DESCRIPTION_FILE])

    def fingerprint(self, index: int) -> str:
        return self._fingerprints[self._shards[index]]

    def name(self, index: int) -> str:
        shard = self._shards[index]
        return f"record {index - int(np.searchsorted(self._shards, shard))} of {self._paths[shard]}"

    def read(self, index: int) -> Picture:
        offset, length = map(int, self._places[index])
        data = self._files[self._shards[index]].read(offset, length + tfrecord_files.CRC.size)
        if not tfrecord_files.matches_checksum(data):
            raise BadPicture(f"is damaged: {tfrecord_files.DAMAGED_DATA}")
        try:
            example = data[: -tfrecord_files.CRC.size]
            image = records.decode_example(example)
            # As a file it can be kept: a JPEG suffers from being encoded again.
            return records.stored_picture(example)[1] if self._info.encoding == "jpeg" else image
        except ValueError as error:
            raise BadPicture(f"is damaged: {error}") from error

    def classes(self) -> Optional[Labels]:
        if not self._info.label_size:
            return None
        return Labels(dataset_files.load_labels(self._info), self._info.label_names)


class TableCollection(Collection):
    """The pictures in a column of Parquet or Arrow files: bytes, or Hugging Face's struct of bytes and path.

    They are copied to a temporary file first, a few rows at a time: tables are compressed by groups of rows, and
    training sets are shuffled.
    """

    def __init__(self, files: Sequence[pathlib.Path], where: str, skipped: Sequence[Skipped] = ()):
        self._where, self._paths, self.skipped = where, [str(path) for path in files], skipped
        self._fingerprints = list(map(reading.fingerprint, self._paths))
        with reading.reading_source(where, "tables of Parquet or Arrow"):
            schema = next(_tables(self._paths[:1], None))[1]
            self._features = _features(schema, files[0].parent)
            self._image = self._image_column(schema)
            self.label_columns = tuple(name for name in schema.names if self._is_label_column(name, schema))
            self._label = next((name for name in _LABEL_COLUMNS if name in self.label_columns), "")
            self.has_classes = bool(self._label)
            with reading.temporary_file() as (stream, self._file):
                self._rows, self._places = self._copy_pictures(stream)
        self._count = len(self._places)
        if not self._count:
            raise UserError(f"`source` {where} has no rows.")

    def name(self, index: int) -> str:
        file = self._file_of(index)
        return f"{os.path.basename(self._paths[file])}:{index - self._rows[file]}"

    def read(self, index: int) -> Picture:
        offset, size = map(int, self._places[index])
        if size < 0:
            raise BadPicture("has no bytes in the table")
        return self._file.read(offset, size)

    def fingerprint(self, index: int) -> str:
        return self._fingerprints[self._file_of(index)]

    def _file_of(self, index: int) -> int:
        return int(np.searchsorted(self._rows, index, side="right")) - 1

    def classes(self, column: str = "") -> Optional[Labels]:
        """A column, or the one that has a usual name: names of a ClassLabel, text, class numbers, or numbers."""
        column = column or self._label
        if not column:
            return None
        with reading.reading_source(self._where, "a column of labels"):
            values = [value for table, _ in _tables(self._paths, [column]) for value in table[column].to_pylist()]
        if None in values:
            raise UserError(f"`source` {self._where}: row {values.index(None)} has no value in its column {column}.")
        if isinstance(values[0], str):
            numbers = {name: number for number, name in enumerate(sorted(set(values)))}
            return one_hot(np.array([numbers[value] for value in values]), tuple(numbers))
        names = self._features.get(column, {}).get("names")
        if isinstance(names, list) and names:
            return one_hot(np.array(values), tuple(map(str, names)))
        return as_labels(np.array(values), f"{self._where}:{column}", len(values))

    def _image_column(self, schema) -> str:
        """By its feature, else by its type, where several have it by its name."""
        typed = [name for name, feature in self._features.items() if feature.get("_type") == "Image"]
        binary = _binary_columns(schema)
        found = [name for name in typed if name in binary] or binary
        named = [name for name in _IMAGE_COLUMNS if name in found]
        if len(found) != 1 and not named:
            listed = ", ".join(f"{field.name} ({str(field.type)[:40]})" for field in schema)
            raise UserError(f"`source` {self._where} should have a column of images as bytes, found: {listed}.")
        return found[0] if len(found) == 1 else named[0]

    def _is_label_column(self, name: str, schema) -> bool:
        kind = str(schema.field(name).type)
        return name != self._image and (kind in ("string", "large_string") or re.match(r"u?int|float|double", kind))

    def _copy_pictures(self, stream) -> tuple[list[int], np.ndarray]:
        """-> first row of each file, and (offset, size) of each picture: int64 [N, 2], size -1 for none."""
        rows, places = [], []
        for path in self._paths:
            rows.append(len(places))
            for table, _ in _tables([path], [self._image]):
                for value in table[self._image].to_pylist():
                    data = value.get("bytes") if isinstance(value, dict) else value
                    if data is not None and len(data) > reading.MAX_FILE_BYTES:
                        data = None
                    places.append((stream.tell(), -1 if data is None else len(data)))
                    stream.write(data or b"")
        return rows, np.array(places, np.int64).reshape(-1, 2)


def table_folder(folder: pathlib.Path) -> Optional[TableCollection]:
    """Tables in a folder, or in folders inside it; of several splits the training set. None for other folders.

    Beside pictures, tables without a column of bytes describe these.
    """
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    tables = [path for path in inside if is_table(path.name) and not path.name.startswith(("cache-", "."))]
    training = [path for path in tables if re.search(r"(^|/)train(ing)?[-_./]", path.relative_to(folder).as_posix())]
    used = training or tables
    if used and any(path.name.lower().endswith(IMAGE_SUFFIXES) for path in inside):
        with reading.reading_source(str(folder), "tables of Parquet or Arrow"):
            if not any(_binary_columns(schema) for _, schema in _tables(list(map(str, used)), None)):
                return None
    _check_parts(folder, used)
    skipped = [
        Skipped(path.relative_to(folder).as_posix(), "tables of other splits" if path in tables else kind_of(path.name))
        for path in inside
        if path not in used
    ]
    return TableCollection(used, str(folder), skipped) if used else None


def _check_parts(folder: pathlib.Path, tables: Sequence[pathlib.Path]) -> None:
    """Raises UserError where one of the files NAME-00000-of-00003, NAME-00001-of-00003, ... is missing."""
    found = collections.defaultdict(set)
    for path in tables:
        match = re.match(r"(.*)-(\d{5})-of-(\d{5})\b", path.relative_to(folder).as_posix())
        if match:
            found[match[1], int(match[3])].add(int(match[2]))
    for (name, count), numbers in found.items():
        missing = sorted({*range(count)} - numbers)
        if missing:
            raise UserError(
                f"`source` {folder} is incomplete: {len(missing)} of the {count} files of {name} are missing, such as "
                f"{name}-{missing[0]:05d}-of-{count:05d}. To convert a single file, give its path."
            )


def _binary_columns(schema) -> list[str]:
    return [field.name for field in schema if "binary" in str(field.type)]


def is_table(name: str) -> bool:
    return name.lower().endswith(_TABLE_SUFFIXES)


def _tables(paths: Sequence[str], columns: Optional[Sequence[str]]) -> Iterator[tuple]:
    """(a few rows as a pyarrow RecordBatch, schema) after one another; without columns (None, schema) of each file.

    Raises ValueError for a file with fewer rows than it says.
    """
    arrow, parquet = optional_module("pyarrow", "a table"), optional_module("pyarrow.parquet", "a table")
    for path in paths:
        if path.lower().endswith(".parquet"):
            with parquet.ParquetFile(path) as file:
                schema, count = file.schema_arrow, file.metadata.num_rows
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns) if columns else [None]:
                    count -= batch.num_rows if columns else count
                    yield batch, schema
                if count:
                    raise ValueError(f"{path} holds {count} rows fewer than it says")
            continue
        with arrow.memory_map(path) as source, _arrow_reader(arrow, source) as (schema, batches):
            for batch in batches if columns else [None]:
                yield batch and batch.select(columns), schema


@contextlib.contextmanager
def _arrow_reader(arrow, source) -> Iterator[tuple]:
    """Reader of a stream, as `datasets` writes it, or of a file."""
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    if is_file:
        with arrow.ipc.open_file(source) as file:
            yield file.schema, (file.get_batch(number) for number in range(file.num_record_batches))
        return
    source.seek(max(0, source.size() - len(_ARROW_END)))
    if source.read() != _ARROW_END:  # Without it, pyarrow takes the end of the file for the end of the stream.
        raise ValueError("it is cut off: there is no mark at its end")
    source.seek(0)
    with arrow.ipc.open_stream(source) as stream:
        yield stream.schema, stream


def _features(schema, folder: pathlib.Path) -> dict[str, dict]:
    """Hugging Face's description of the columns, in the schema or next to the file; {} without one."""
    text = (schema.metadata or {}).get(b"huggingface")
    beside = folder / "dataset_info.json"
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = json.loads(text)["info"] if text else json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
        return {name: feature for name, feature in found["features"].items() if isinstance(feature, dict)}
    return {}
