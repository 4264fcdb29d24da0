"""Tables of Parquet and Arrow, as Hugging Face's `datasets` writes them."""

import io
import json
import multiprocessing
import os
import signal

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import databases, open_source
from stylegan_tf.data.sources.opening import BadPicture

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
IMAGES = np.random.RandomState(0).randint(0, 256, [20, 8, 8, 3]).astype(np.uint8)
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


def png(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def table(rows, is_struct=True, features=FEATURES):
    content = [png(IMAGES[row]) for row in rows]
    content = [{"bytes": data, "path": None} for data in content] if is_struct else content
    columns = {"image": content, "label": [row % 2 for row in rows], "artist": [f"a{row % 3}" for row in rows]}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if features else None
    return pa.table(columns).replace_schema_metadata(metadata)


def assert_holds(source, rows):
    assert len(source) == len(rows)
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(source.read(index).image, IMAGES[row])


@pytest.mark.parametrize("is_struct", [True, False])
def test_a_parquet_file_is_read_with_its_classes(tmp_path, is_struct):
    parquet.write_table(table(range(20), is_struct), tmp_path / "a.parquet", row_group_size=6)
    source = open_source(str(tmp_path / "a.parquet"), SourceOptions(labels="classes"))
    assert_holds(source, range(20))
    assert source.label_names == ("cat", "dog") and source.labels.argmax(axis=1).tolist() == [0, 1] * 10
    artists = open_source(str(tmp_path / "a.parquet"), SourceOptions(labels="artist"))
    assert artists.label_names == ("a0", "a1", "a2") and artists.labels[4].tolist() == [0, 1, 0]
    with pytest.raises(UserError, match="no attributes, but columns label, artist"):
        open_source(str(tmp_path / "a.parquet"), SourceOptions(labels="painter"))


def test_labels_that_nobody_asks_for_are_not_read(tmp_path, monkeypatch):
    parquet.write_table(table(range(4)), tmp_path / "a.parquet")
    monkeypatch.setattr(databases.TableCollection, "classes", None)
    assert "has labels, which are not used" in open_source(str(tmp_path / "a.parquet")).notes[0]


def test_of_several_splits_the_training_set_is_taken(tmp_path):
    (tmp_path / "data").mkdir()
    parquet.write_table(table(range(6)), tmp_path / "data" / "train-00000-of-00002.parquet")
    parquet.write_table(table(range(6, 12)), tmp_path / "data" / "train-00001-of-00002.parquet")
    parquet.write_table(table(range(12, 20)), tmp_path / "data" / "test-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("A set.")
    source = open_source(str(tmp_path))
    assert_holds(source, range(12))
    assert source.name(7) == "train-00001-of-00002.parquet:1"
    skipped = {(entry.name, entry.kind) for entry in source.skipped}
    assert skipped == {("README.md", ".md"), ("data/test-00000-of-00001.parquet", "tables of other splits")}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_part_of_a_table_is_noticed(tmp_path, missing):
    for part in {0, 1, 2} - {missing}:
        parquet.write_table(table([part]), tmp_path / f"train-{part:05d}-of-00003-1a2b.parquet")
    with pytest.raises(UserError, match=f"1 of the 3 files of train are missing, such as train-0000{missing}-of-00003"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_folder_of_hugging_face_is_read(tmp_path, is_stream):
    train = tmp_path / "train"
    train.mkdir()
    path = train / "data-00000-of-00001.arrow"
    write = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    rows = table(range(20), features=None)
    with pa.OSFile(str(path), "wb") as file, write(file, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=7)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    (train / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    source = open_source(str(tmp_path), SourceOptions(labels="classes"))
    assert_holds(source, range(20))
    assert source.label_names == ("cat", "dog")
    content = path.read_bytes()
    for size in (len(content) - 8, len(content) // 2, 20):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match="cannot be read as tables"):
            open_source(str(tmp_path))


def test_tables_without_pictures_are_refused(tmp_path):
    parquet.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"should have a column of images as bytes, found: x \(int64\)"):
        open_source(str(tmp_path / "a.parquet"))


def test_tables_beside_pictures_describe_them(tmp_path):
    (tmp_path / "00000").mkdir()
    for name in ("000000000", "000000001"):
        Image.new("RGB", (8, 8)).save(tmp_path / "00000" / f"{name}.jpg")
    parquet.write_table(pa.table({"key": ["000000000"], "caption": ["a cat"]}), tmp_path / "00000.parquet")
    source = open_source(str(tmp_path))  # As img2dataset writes it.
    assert source.name(1) == "00000/000000001.jpg" and len(source) == 2
    assert [tuple(entry) for entry in source.skipped] == [("00000.parquet", ".parquet")]
    parquet.write_table(table(range(3)), tmp_path / "train.parquet")
    assert_holds(open_source(str(tmp_path)), range(3))


@pytest.mark.parametrize("number, message", [(signal.SIGSTOP, "timed out"), (signal.SIGKILL, "not enough memory")])
def test_a_reader_that_hangs_or_is_killed_says_nothing_about_the_picture(tmp_path, monkeypatch, number, message):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "db"), map_size=2**24) as database, database.begin(write=True) as transaction:
        transaction.put(b"key", png(IMAGES[0]))
    others = multiprocessing.active_children()
    source = open_source(str(tmp_path / "db"))
    (reader,) = set(multiprocessing.active_children()) - set(others)
    monkeypatch.setattr(databases, "_TIMEOUT", 1)
    os.kill(reader.pid, number)
    with pytest.raises(UserError, match=f"{message}.*says nothing about the picture") as raised:
        source.read(0)
    assert not isinstance(raised.value, BadPicture)
    reader.kill()
    monkeypatch.undo()
    np.testing.assert_array_equal(source.read(0).image, IMAGES[0])  # By a new process.


def test_a_damaged_database_ends_its_reader_alone(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "db"), map_size=2**24) as database, database.begin(write=True) as transaction:
        for index, image in enumerate(IMAGES):
            transaction.put(f"key{index:02d}".encode(), png(image) + bytes(9000))  # On pages of their own.
        entries = transaction.stat()["entries"]
    source = open_source(str(tmp_path / "db"))
    assert len(source) == entries == 20
    source.read(3)
    os.truncate(tmp_path / "db" / "data.mdb", 30_000)  # The library would read behind the end: SIGBUS.
    outcomes = []
    for index in range(20):
        try:
            source.read(index)
        except UserError as error:
            outcomes.append(str(error))
    assert outcomes and all("damaged" in line or "cannot be read" in line for line in outcomes)
