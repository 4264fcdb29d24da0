"""Objects in buckets: a real S3 protocol on loopback, fsspec's memory, and a network that fails."""

import contextlib
import functools
import http.server
import shutil
import threading
import time
from pathlib import Path

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import storage, working_copy
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.files.storage import Store, address_of, ensure_local
from tests.helpers.object_store import BUCKET, FaultyProxy, environment, gcs_server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(working_copy, "_PERIOD", 0.02)
    return tmp_path / "cache" / "stylegan_tf"


@pytest.fixture(scope="module")
def google_bucket():
    with gcs_server() as variables, environment(variables):
        yield


@pytest.fixture(params=["s3", "gs", "memory"])
def address(request, cache):
    if request.param == "gs":
        request.getfixturevalue("google_bucket")
        return f"gs://{BUCKET}/{request.node.name}"
    if request.param == "s3":
        request.getfixturevalue("bucket")
        return f"s3://{BUCKET}/{request.node.name}"
    return f"memory://{request.node.name}"


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch):
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    with pytest.raises(UserError, match="set the environment variable XDG_CACHE_HOME"):
        storage.default_cache_folder()


def _contents(address):
    store = Store(address)
    return {name: store.read(name) for name in store.names()}


def test_objects_are_created_once_written_listed_and_removed(address):
    store = Store(address)
    assert store.names() == {} and store.read("x") is None
    assert store.create("a/x", b"1") and not store.create("a/x", b"2")
    store.write("y", b"3")
    assert _contents(address) == {"a/x": b"1", "y": b"3"}
    before = store.names()["y"]
    store.write("y", b"33")
    assert store.names()["y"] != before
    store.remove("y")
    store.remove("y")
    assert list(store.names()) == ["a/x"] and Store(f"{address}/a/x").is_file and not store.is_file


def test_a_folder_is_fetched_as_far_as_needed_and_followed(address, cache):
    store = Store(address)
    for name in ("a", "b", "c"):
        store.write(name, name.encode())
    folder = ensure_local(address, lambda names: [name for name in names if name != "c"])
    assert {path.name for path in folder.iterdir()} == {"a", "b"}
    assert address_of(folder) == address and cache in folder.parents
    age = (folder / "b").stat().st_mtime_ns
    store.write("a", b"new")
    ensure_local(address, lambda names: ["a", "b"])
    assert (folder / "a").read_bytes() == b"new" and (folder / "b").stat().st_mtime_ns == age
    store.remove("a")
    ensure_local(address, lambda names: ["b"])
    assert not (folder / "a").exists()
    assert ensure_local(f"{address}/b").read_bytes() == b"b"
    with pytest.raises(UserError, match="does not exist, or holds nothing"):
        ensure_local(f"{address}/none")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a//x", "a/./x", "/x"])
def test_a_name_that_leads_out_of_the_copy_is_refused(cache, name):
    from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

    address, files = "memory://names", MemoryFileSystem.store
    Store(address).write("a", b"a")
    files[f"/names/{name}"] = MemoryFile(None, f"/names/{name}", b"of another")
    try:
        with pytest.raises(UserError, match="memory://names holds .*x, which is not a local file name"):
            ensure_local(address)
        with pytest.raises(UserError, match="not a local file name"), working_copy.working_copy(address, ["*"]):
            pass
    finally:
        del files[f"/names/{name}"]
    assert not any(path.is_file() and path.name == "x" for path in cache.rglob("*"))


def test_objects_that_stand_for_folders_are_left_out(bucket, cache):
    import s3fs

    for name in ("", "sub/", "sub/x"):
        s3fs.S3FileSystem().call_s3("put_object", Bucket=BUCKET, Key=f"console/{name}", Body=b"")
    assert Store(f"s3://{BUCKET}/console").names().keys() == {"sub/x"}
    assert (ensure_local(f"s3://{BUCKET}/console") / "sub" / "x").is_file()


def test_a_local_path_stays_as_it_is(tmp_path):
    assert ensure_local("x/y") == Path("x/y")
    with working_copy.working_copy(tmp_path) as copy, working_copy.working_path(tmp_path / "x.png") as file:
        copy.check()
        assert copy.folder == tmp_path and file == tmp_path / "x.png"


def test_a_working_copy_begins_with_what_is_needed_and_reaches_the_bucket(address, cache):
    store = Store(address)
    for name in ("old", "sub/log", "other"):
        store.write(name, b"0")
    with working_copy.working_copy(address, ["old", "sub/*"]) as copy:
        assert {path.name for path in copy.folder.rglob("[!.]*")} == {"old", "sub", "log"}
        (copy.folder / "old").unlink()
        with open(copy.folder / "sub" / "log", "ab") as stream:
            stream.write(b"1")
        with atomic_write(copy.folder / "new") as temporary:
            temporary.write_bytes(b"2")
            time.sleep(0.1)
            assert "new" not in store.names() and not any(".tmp" in name for name in store.names())
        (copy.folder / ".hidden").write_bytes(b"3")
        until = time.monotonic() + 30
        while "new" not in store.names() and time.monotonic() < until:  # Beside the work, not at its end.
            time.sleep(0.02)
        assert store.read("new") == b"2"
        folder = copy.folder
    assert _contents(address) == {"sub/log": b"01", "new": b"2", "other": b"0"}
    assert not folder.exists()


def test_emptying_the_cache_removes_nothing_from_the_bucket(cache):
    with pytest.raises(UserError, match="emptied by another program.*What was uploaded is still there: run the same"):
        with working_copy.working_copy("memory://emptied") as copy:
            (copy.folder / "checkpoints").mkdir()
            (copy.folder / "checkpoints" / "images-1.npz").write_bytes(b"1")
            until = time.monotonic() + 30
            while not Store("memory://emptied").names() and time.monotonic() < until:
                time.sleep(0.02)
            shutil.rmtree(cache)
            while time.monotonic() < until:
                copy.check()
                time.sleep(0.02)
    assert _contents("memory://emptied") == {"checkpoints/images-1.npz": b"1"}


def test_a_file_is_removed_once_it_is_missing_and_no_others_follow(cache, monkeypatch):
    monkeypatch.setattr(working_copy, "_PERIOD", 1000.0)
    with working_copy.working_copy("memory://half") as copy:
        for name in "abc":
            (copy.folder / name).write_bytes(b"x")
        copy._synchronise()
        for name in "ab":
            (copy.folder / name).unlink()
            copy._synchronise()
            assert Store("memory://half").names().keys() == set("abc")
        copy._synchronise()
        assert Store("memory://half").names().keys() == {"c"}


def test_a_file_in_a_bucket_can_be_written(address, cache):
    with working_copy.working_path(f"{address}/x.zip") as path:
        path.write_bytes(b"zip")
    assert _contents(address) == {"x.zip": b"zip"}


def test_a_folder_in_a_bucket_is_replaced_as_a_whole(cache, monkeypatch):
    store, uploads, original = Store("memory://sets/faces"), [], Store.put

    def put(self, path, name):
        uploads.append((name, set(store.names())))
        original(self, path, name)

    monkeypatch.setattr(Store, "put", put)
    for name in ("old", "sub/old", "x"):
        store.write(name, b"0")
    Store("memory://sets").write("other", b"0")
    with working_copy.working_path("memory://sets/faces/", replace=True) as path:
        new = path.with_name(".new")
        assert path.name == "faces" and not path.exists()
        new.mkdir()
        for name in ("dataset.json", "x"):
            (new / name).write_bytes(b"1")
        time.sleep(0.1)
        assert store.names().keys() == {"old", "sub/old", "x"}
        new.rename(path)
    assert uploads == [("x", {".uploading", "sub/old"}), ("dataset.json", {".uploading", "sub/old", "x"})]
    others = {"faces/sub/old": b"0", "other": b"0"}  # Below the address and beside it.
    assert _contents("memory://sets") == {"faces/dataset.json": b"1", "faces/x": b"1", **others}
    assert not path.parent.exists()
    with pytest.raises(UserError, match="memory:// does not name a folder"):
        with working_copy.working_path("memory://", replace=True):
            pass


def test_what_declares_others_complete_comes_last(cache, monkeypatch):
    order = []
    original = Store.put

    def put(self, path, name):
        order.append(name)
        original(self, path, name)

    monkeypatch.setattr(Store, "put", put)
    monkeypatch.setattr(working_copy, "_PERIOD", 1.0)
    with working_copy.working_copy("memory://order") as copy:
        for name in ("checkpoints/images-16.npz", "1/saved_model.pb", "1/variables/x", "a.png", "dataset.json", "z"):
            path = copy.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    assert set(order[:3]) == {"1/variables/x", "a.png", "z"} and len(order) == 6


def test_a_second_process_is_refused_and_a_dead_one_is_replaced(address, cache, monkeypatch):
    monkeypatch.setattr(working_copy, "_DEAD_AFTER", 1.5)
    with working_copy.working_copy(address, exclusive=True):
        with pytest.raises(UserError, match="is in use by process"), working_copy.working_copy(address, exclusive=True):
            pass
    store, notes = Store(address), []
    store.write(".claim", b'{"host": "gone", "process": 1, "machine": "another", "token": "x"}')
    with working_copy.working_copy(address, exclusive=True, note=notes.append) as copy:
        assert b'"host": "gone"' not in store.read(".claim")
        (copy.folder / "x").write_bytes(b"x")
    assert "waiting for a heartbeat of process 1 on gone" in notes[0]
    assert _contents(address) == {"x": b"x"}


def test_a_living_process_on_another_machine_keeps_its_folder(address, cache):
    store = Store(address)
    store.write(".claim", b'{"host": "far", "process": 1, "machine": "another", "token": "x", "beats": 0}')
    beat = threading.Timer(
        0.5, store.write, [".claim", b'{"host": "far", "process": 1, "machine": "another", "token": "x", "beats": 1}']
    )
    beat.start()
    with pytest.raises(UserError, match="in use by process 1 on far"):
        with working_copy.working_copy(address, exclusive=True):
            pass
    beat.join()
    store.remove(".claim")


def test_a_process_whose_folder_was_taken_over_ends_and_removes_nothing(cache, monkeypatch):
    monkeypatch.setattr(working_copy, "_HEARTBEAT", 0.05)
    store = Store("memory://taken")
    with pytest.raises(UserError, match="another process has taken it over.*All that was written is in"):
        with working_copy.working_copy("memory://taken", exclusive=True) as copy:
            store.write(".claim", b'{"token": "of another"}')
            until = time.monotonic() + 30
            while time.monotonic() < until:
                copy.check()
                time.sleep(0.02)
    assert store.read(".claim") == b'{"token": "of another"}'


@pytest.fixture
def faulty(bucket, monkeypatch):
    """`faulty(kind, every, delay)`: from now on a proxy is between us and the server."""
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "read_timeout", 1)
    host, _, port = bucket["AWS_ENDPOINT_URL"].rpartition("//")[2].partition(":")
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            proxy = FaultyProxy((host, int(port)), *arguments)
            stack.callback(proxy.close)
            stack.enter_context(environment({"AWS_ENDPOINT_URL": proxy.url}))
            return proxy

        yield start


@pytest.mark.parametrize("kind", ["503", "cut", "stall"])
def test_a_store_that_fails_now_and_then_loses_nothing(faulty, cache, kind):
    proxy = faulty(kind, 6 if kind == "stall" else 3, 0.05)
    address, contents = (
        f"s3://{BUCKET}/{kind}",
        {name: name.encode() * 2**18 for name in "abc"[: 1 if kind == "stall" else 3]},
    )
    with working_copy.working_copy(address) as copy:
        for name, content in contents.items():
            (copy.folder / name).write_bytes(content)
    assert _contents(address) == contents
    assert {path.name: path.read_bytes() for path in ensure_local(address).iterdir()} == contents
    assert Store(address).read_range("a", 10, 20) == b"a" * 10 and proxy.faults >= 1


@pytest.mark.parametrize("kind", ["503", "cut"])
def test_a_download_from_the_web_repeats_requests(tmp_path, cache, monkeypatch, kind):
    monkeypatch.setattr(storage, "_PAUSES", (0.01, 0.01))
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "x.npz").write_bytes(b"x" * 2**18)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with contextlib.closing(FaultyProxy(server.server_address, kind, every=2)) as proxy:
            assert ensure_local(f"{proxy.url}/x.npz").read_bytes() == b"x" * 2**18
            web = Store(proxy.url)
            assert [web.read("x.npz") for _ in range(4)] == [b"x" * 2**18] * 4
        server.shutdown()
    assert proxy.faults


def test_a_slow_store_only_takes_longer(faulty, cache):
    faulty("", 0, 0.2)
    with working_copy.working_copy(f"s3://{BUCKET}/slow") as copy:
        (copy.folder / "x").write_bytes(b"x" * 2**20)
    assert ensure_local(f"s3://{BUCKET}/slow/x").read_bytes() == b"x" * 2**20


def test_a_store_that_keeps_failing_is_one_line(faulty, cache, monkeypatch):
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    store = Store(f"s3://{BUCKET}/always")
    store.write("x", b"x")
    faulty("503", 1)
    with pytest.raises(UserError, match=r"cannot access s3://bucket/always \(Service Unavailable\): check") as error:
        Store(store.address).read_range("x", 0, 1)
    assert "\n" not in str(error.value)


def test_uploads_that_fail_for_good_end_the_work_and_name_the_local_copy(cache, monkeypatch):
    notes = []
    monkeypatch.setattr(working_copy, "_GIVE_UP", 0.2)

    def fail(*_):
        raise UserError("the store says no")

    with pytest.raises(UserError, match="the store says no") as error:
        with working_copy.working_copy("memory://no", note=notes.append) as copy:
            monkeypatch.setattr(Store, "put", fail)
            (copy.folder / "x").write_bytes(b"x")
            until = time.monotonic() + 30
            while time.monotonic() < until:
                copy.check()
                time.sleep(0.02)
    assert str(copy.folder) in str(error.value) and (copy.folder / "x").read_bytes() == b"x"
    assert len(notes) == 1 and "uploads fail and are repeated" in notes[0]
    with working_copy.working_copy("memory://no"):  # Which removes what killed processes have left.
        assert (copy.folder / "x").exists()


@pytest.mark.parametrize("address", [f"s3://{BUCKET}-without-access/x", "abfs://bucket/x"])
def test_an_address_without_access_is_one_line(bucket, cache, address):
    with pytest.raises(UserError) as error:
        with working_copy.working_copy(address, exclusive=True):
            pass
    assert address in str(error.value) and "\n" not in str(error.value)
