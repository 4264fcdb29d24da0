"""One process at a time, on one machine or on several."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import locks
from stylegan_tf.files.locks import boot_id, locked

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from stylegan_tf.files.locks import locked
with locked(sys.argv[1], "it"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def _name(**changes):
    return json.dumps({"process": 7, "host": "elsewhere", "machine": "another", "token": "t", **changes}) + "\n"


def _set_age(path, seconds):
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_a_lock_is_for_one_process_until_it_dies(tmp_path):
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"the thing is in use by process {holder.pid} on .*: wait for it"):
            with locked(path, "the thing"):
                pass
        holder.kill()
    assert json.loads(path.read_text())["process"] == holder.pid  # It could not tidy up.
    with locked(path, "the thing") as notes:
        assert notes == [] and json.loads(path.read_text())["process"] == os.getpid()
    assert not path.exists()


def test_those_who_wait_get_it_one_after_another(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(5):
            with locked(tmp_path / ".lock", "it", wait=30):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20


def test_a_holder_on_another_machine_that_died_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_DEAD_AFTER", 0.3)
    path = tmp_path / ".lock"
    path.write_text(_name())
    began, notes = time.monotonic(), []
    with locked(path, "it", note=notes.append):
        assert time.monotonic() - began > 0.3 and json.loads(path.read_text())["host"] != "elsewhere"
    assert "waiting for a heartbeat of process 7 on elsewhere" in notes[0]


def test_a_holder_on_another_machine_that_lives_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_POLL", 0.01)
    path = tmp_path / ".lock"
    path.write_text(_name())
    _set_age(path, 5)
    heartbeat = threading.Timer(0.1, os.utime, [path])
    heartbeat.start()
    with pytest.raises(UserError, match="it is in use by process 7 on elsewhere"), locked(path, "it"):
        pass
    heartbeat.join()


def test_the_holder_sends_a_heartbeat(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_HEARTBEAT", 0.02)
    path = tmp_path / ".lock"
    with locked(path, "it"):
        _set_age(path, 100)
        until = time.monotonic() + 10
        while time.time() - path.stat().st_mtime > 50 and time.monotonic() < until:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < 50


def test_a_name_of_this_machine_without_the_kernels_lock_is_a_dead_ones(tmp_path):
    path = tmp_path / ".lock"
    path.write_text(_name(machine=boot_id()))
    with locked(path, "it") as notes:
        assert notes == []


@pytest.mark.parametrize("content", ["", "[" * 5000, '"text"', "\x00\xff", '{"process": 1'])
def test_a_damaged_lock_file_is_nobodys(tmp_path, content):
    path = tmp_path / ".lock"
    path.write_text(content)
    with locked(path, "it"):
        pass


def test_without_kernel_locks_the_heartbeat_decides(tmp_path, monkeypatch):
    def refuse(_stream, _how):
        raise OSError(locks.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    monkeypatch.setattr(locks, "_POLL", 0.01)
    path = tmp_path / ".lock"
    with locked(path, "it") as notes:
        assert "file system without locks" in notes[0]
        heartbeat = threading.Timer(0.1, os.utime, [path])
        heartbeat.start()
        with pytest.raises(UserError, match=f"in use by process {os.getpid()} on"), locked(path, "it"):
            pass
    assert not path.exists()


def test_a_lock_on_a_full_disk_is_named_in_the_error(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks._Lock, "_sign", full)
    with pytest.raises(OSError, match="No space left on device") as raised, locked(tmp_path / ".lock", "it"):
        pass
    assert raised.value.filename == str(tmp_path / ".lock")
