"""Writing datasets, and the tool that does it."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from stylegan_tf.data.sources.collection import Skipped
from stylegan_tf.files.storage import Store
from stylegan_tf.files.working_copy import working_path
from tests.helpers.array_source import ArraySource, numbered_images, write_numbered

TOOL = pathlib.Path(__file__).resolve().parents[3] / "tools" / "create_tfrecords.py"


def read_records(path):
    return [records.decode_example(serialized.numpy()) for serialized in tf.data.TFRecordDataset(str(path))]


def run_tool(*arguments, **options):
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.parametrize("kind", ["rgb", "gray"])
def test_one_shard_gives_the_authors_files_byte_for_byte(tmp_path, reference, kind):
    with np.load(reference / f"tfrecords_{kind}_source.npz", allow_pickle=False) as data:
        data = dict(data)
    source = ArraySource(data["images"].transpose(0, 2, 3, 1), data.get("labels"))
    seed = 123
    if "order" not in data:  # The gray set was written in the order of its source: undo our shuffling.
        order = np.arange(len(source))
        np.random.RandomState(seed).shuffle(order)
        source.images = source.images[np.argsort(order)]
    write_tfrecords(source, tmp_path / f"tfrecords_{kind}", WriteOptions(shards=1, seed=seed))
    expected = sorted((reference / f"tfrecords_{kind}").iterdir())
    written = sorted(path for path in (tmp_path / f"tfrecords_{kind}").iterdir() if path.name != "dataset.json")
    assert [path.name for path in written] == [path.name for path in expected]
    for ours, theirs in zip(written, expected):
        if ours.suffix == ".labels":
            np.testing.assert_array_equal(np.load(ours), np.load(theirs))
        else:
            assert ours.read_bytes() == theirs.read_bytes(), ours.name


def test_every_image_is_in_one_shard_of_every_level(tmp_path):
    folder = write_numbered(tmp_path / "set", count=10, shards=3)
    orders = []
    for level in ("r03", "r02"):
        shards = [read_records(folder / f"set-{level}-{shard:05d}-of-00003.tfrecords") for shard in range(3)]
        assert [len(shard) for shard in shards] == [4, 3, 3]
        orders.append([int(image[0, 0, 0]) for shard in shards for image in shard])
    assert orders[0] == orders[1] and sorted(orders[0]) == list(range(10))
    assert orders[0] != list(range(10))
    labels = np.load(folder / "set-rxx.labels", allow_pickle=False)
    assert labels.dtype == np.float32 and labels[:, 0].tolist() == orders[0]


def test_the_description_says_what_is_there(tmp_path):
    source = ArraySource(numbered_images(6, 16, 1), np.eye(6, 2, dtype=np.float32), ("cat", "dog"))
    folder = write_tfrecords(source, tmp_path / "pets", WriteOptions(shards=2))
    description = json.loads((folder / "dataset.json").read_text())
    assert len(bytes.fromhex(description.pop("conversion"))) == 8
    assert description == {
        "name": "pets",
        "count": 6,
        "resolution": 16,
        "num_channels": 1,
        "has_planes": False,
        "levels": [16, 8, 4],
        "encoding": "raw",
        "num_shards": 2,
        "label_size": 2,
        "label_names": ["cat", "dog"],
        "content_box": None,
        "aspect_ratio": None,
    }


def test_an_existing_dataset_stays_unless_told_to_overwrite(tmp_path):
    folder = write_numbered(tmp_path / "set", shards=2)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(UserError, match="exists and is not empty.*`overwrite"):
        write_numbered(folder, shards=1)
    assert sorted(path.name for path in folder.iterdir()) == before
    write_numbered(folder, shards=1, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset.json",
        "set-r02.tfrecords",
        "set-r03.tfrecords",
        "set-rxx.labels",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_same_call_finds_the_dataset_complete(tmp_path):
    (photos := tmp_path / "photos").mkdir()
    for number in range(4):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(photos / f"{number}.png")

    def write(notes, **options):
        return write_tfrecords(
            open_source(str(photos), SourceOptions(8)), tmp_path / "set", WriteOptions(**options), notes.append
        )

    folder = write([], shards=2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert write(notes := [], shards=2) == folder and "is complete" in notes[0] and len(notes) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "set"]
    with pytest.raises(UserError, match="exists and is not empty"):
        write([], shards=1)
    shard = next(folder.glob("*-r03-*"))
    shard.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="exists and is not empty"):
        write([], shards=2)
    (tmp_path / "moved").rename(shard)
    Image.new("RGB", (8, 8), (0, 200, 30)).save(photos / "3.png", compress_level=0)
    with pytest.raises(UserError, match="exists and is not empty"):
        write([], shards=2)


def test_the_same_call_finds_the_dataset_at_an_address_complete(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    address, source = f"memory://{tmp_path}/set", ArraySource(numbered_images(4), np.ones([4, 1], np.float32))
    source.skipped = [Skipped("a.txt", ".txt")]

    def write(**options):
        notes = []
        with working_path(address, replace=True) as folder:
            write_tfrecords(source, folder, WriteOptions(**options), notes.append, address=address)
        return notes

    assert f"all of them are listed in {address}/left_out.txt" in "\n".join(write(shards=2))
    before = Store(address).names()
    assert [note.split(":")[:2] for note in write(shards=2)] == [["memory", f"//{tmp_path}/set is complete"]]
    assert Store(address).names() == before
    with pytest.raises(UserError, match="exists and is not empty"):
        write(shards=1)
    source.images[1] ^= 1
    with pytest.raises(UserError, match="exists and is not empty"):
        write(shards=2)
    source.images[1] ^= 1
    for name in ("set-r02-00001-of-00002.tfrecords", "set-rxx.labels"):
        content = Store(address).read(name)
        Store(address).remove(name)
        with pytest.raises(UserError, match="exists and is not empty"):
            write(shards=2)
        Store(address).write(name, content)
    assert "is complete" in write(shards=2)[0]


def test_an_unreadable_picture_for_an_address_names_no_file_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "a.png")
    for number in range(12):
        (tmp_path / "in" / f"b{number}.png").write_bytes(b"x")
    address, source = f"memory://{tmp_path}/set", open_source(str(tmp_path / "in"), SourceOptions(8))
    with pytest.raises(UserError, match="; and 2 more. Repair them, or pass `skip_bad` to leave them out.$"):
        with working_path(address, replace=True) as folder:
            write_tfrecords(source, folder, WriteOptions(shards=1), address=address)
    assert not Store(address).names()


def test_a_dataset_with_other_labels_is_not_complete(tmp_path):
    def write(values):
        labels = np.array(values, np.float32)[:, np.newaxis]
        write_tfrecords(ArraySource(numbered_images(4), labels), tmp_path / "set", WriteOptions(shards=1), notes.append)

    notes = []
    write([1, 2, 3, 4])
    write([1, 2, 3, 4])
    assert "is complete" in notes[-1]
    with pytest.raises(UserError, match="exists and is not empty"):
        write([1, 2, 4, 3])
    (tmp_path / "set" / "set-rxx.labels").unlink()
    with pytest.raises(UserError, match="exists and is not empty"):
        write([1, 2, 3, 4])


def test_overwriting_never_deletes_what_is_no_dataset(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.jpg").write_bytes(b"precious")
    with pytest.raises(UserError, match="holds no dataset"):
        write_numbered(tmp_path / "photographs", overwrite=True)
    assert (tmp_path / "photographs" / "a.jpg").exists()


@pytest.mark.parametrize("name", ["run", "notes.txt", ".git"])
def test_overwriting_a_dataset_never_deletes_what_else_is_in_its_folder(tmp_path, name):
    folder = write_numbered(tmp_path / "set", shards=1)
    (folder / name).mkdir()
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match=f"also holds {name}.*move it away"):
        write_numbered(folder, shards=1, overwrite=True)
    assert sorted(folder.iterdir()) == before


def test_a_failure_leaves_nothing_behind_and_keeps_the_old(tmp_path):
    folder = write_numbered(tmp_path / "set", shards=1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    source = ArraySource(numbered_images(5))

    def fail(_index):
        raise UserError("cannot read it")

    source.read = fail
    with pytest.raises(UserError, match="cannot read it"):
        write_tfrecords(source, folder, WriteOptions(shards=1, overwrite=True))
    with pytest.raises(UserError, match="cannot read it"):
        write_tfrecords(source, tmp_path / "new", WriteOptions(shards=1))
    with pytest.raises(UserError, match="cannot read it"):
        write_tfrecords(source, tmp_path / "parts", WriteOptions(shards=2, part="1/2"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".parts.partial", "set"]  # Other parts need theirs.


@pytest.mark.parametrize("shards, message", [(0, "at least 1"), (11, "between 1 and the number of images .10.")])
def test_the_number_of_shards_must_fit_the_images(tmp_path, shards, message):
    with pytest.raises(UserError, match=f"shards`? must be {message}"):
        write_numbered(tmp_path / "set", count=10, shards=shards)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_the_seed_must_be_one_of_numpys(tmp_path, seed):
    with pytest.raises(UserError, match=f"seed must be at least 0 and below 4294967296, got {seed}"):
        write_numbered(tmp_path / "set", seed=seed)


def test_the_tool_converts_a_folder(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, [3, 8, 8, 3]).astype(np.uint8)
    (tmp_path / "in" / "nested").mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "in" / "nested" / f"{index}.png")
    done = run_tool("--source", tmp_path / "in", "--dest", tmp_path / "deep" / "out", "--shards", 1)
    assert done.returncode == 0, done.stderr
    assert "3 images of 8x8 pixels, RGB, raw: 345 bytes each" in done.stdout
    written = read_records(tmp_path / "deep" / "out" / "out-r03.tfrecords")
    assert sorted(image.tobytes() for image in written) == sorted(image.tobytes() for image in images)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--source", "nowhere", "--dest", "out"], "error: --source nowhere: there is no such file or folder"),
        (["--source", "demo"], "error: --dest is missing"),
        (["--source", "a/../set", "--dest", "set/", "--overwrite"], "error: --dest is the folder of the source"),
        (["--source", "demo", "--dest", "out", "--noshuffle", "--seed=7"], "error: --seed needs "),
        (["--source", "demo", "--dest", "out", "--shards=2", "--shard_mb=1"], "error: --shards and --shard_mb both"),
        (["--source", "demo", "--dest", "out", "--resolution", "48"], "error: --resolution must be a power of two"),
        (["--source", "demo", "--dest", "out", "--shard", "3"], "error: unknown flag --shard; did you mean --shards?"),
    ],
)
def test_the_tool_prints_one_line_for_a_mistake(tmp_path, arguments, message):
    done = run_tool(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(message), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_tools_help_needs_no_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    done = run_tool("--help", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0 and "--source" in done.stdout and "overwrite" in done.stdout, done.stderr


def test_fewer_images_than_the_usual_shards_need_no_flag(tmp_path):
    folder = write_tfrecords(ArraySource(numbered_images(2)), tmp_path / "few")
    assert [len(paths) for paths in find_dataset(folder).levels.values()] == [2, 2]


@pytest.mark.parametrize(
    "names, overwrite, message",
    [
        ("", False, None),
        ("faces-r02.tfrecords", False, "exists and is not empty"),
        ("faces-rxx.labels", False, "exists and is not empty"),
        ("faces-r02.tfrecords faces-rxx.labels dataset.json left_out.txt", True, None),
        ("faces-r02.tfrecords notes.txt", True, "also holds notes.txt"),
        ("other/faces-r02.tfrecords", True, "holds no dataset"),
        (".uploading faces-r02.tfrecords", False, None),
        (".uploading faces-r02.tfrecords dataset.json", False, "exists and is not empty"),
    ],
)
def test_a_set_in_a_bucket_is_overwritten_if_asked_or_if_its_upload_was_interrupted(
    tmp_path, names, overwrite, message
):
    address = f"memory://{tmp_path}/faces"
    for name in names.split():
        Store(address).write(name, b"x")
    with pytest.raises(UserError, match=message) if message else contextlib.nullcontext():
        options = WriteOptions(shards=1, overwrite=overwrite)
        write_tfrecords(ArraySource(numbered_images(2)), tmp_path / "faces", options, address=address)
