"""Long work: one piece after the other, with words for those who wait."""

import functools
import threading
import time
import weakref

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.explorer import jobs as jobs_module
from stylegan_tf.explorer.jobs import Jobs, Stopped


def _ended(job):
    end = time.monotonic() + 10
    while job.state in ("waiting", "running") and time.monotonic() < end:
        time.sleep(0.005)
    return job.state


def test_jobs_run_in_their_order_and_say_what_they_wait_for():
    jobs, go = Jobs(), threading.Event()

    def work(job):
        job.report(3, 10, "step 3 of 10")
        assert go.wait(10)
        return "result"

    first = jobs.start("a search", work)
    while first.state == "waiting" or not first.text:
        time.sleep(0.005)
    second, third = (jobs.start(what, lambda job: None) for what in ("a search", "a video"))
    assert jobs.waits_for(second) == "Waiting for a search that is running (step 3 of 10)."
    assert jobs.waits_for(third).endswith("(step 3 of 10) and 1 that came before.")
    second.stop()
    go.set()
    assert (_ended(first), _ended(second), _ended(third)) == ("done", "stopped", "done") and first.result == "result"
    assert jobs.get(first.id) is first
    with pytest.raises(UserError, match="no longer known"):
        jobs.get("x")


def test_what_goes_wrong_is_said_in_a_line():
    def fail(job):
        raise UserError("cat.png: this is no picture.")

    def stop(job):
        raise Stopped

    def full(job):
        raise OSError(28, "No space left on device", "/tmp/video.webp")

    def bug(job):
        raise KeyError("x")

    jobs = Jobs()
    failed, stopped, broken, disk = (jobs.start("a search", work) for work in (fail, stop, bug, full))
    assert (_ended(failed), _ended(stopped), _ended(broken), _ended(disk)) == ("failed", "stopped", "failed", "failed")
    assert broken.text == "The program failed: its terminal says how."
    assert failed.text == "cat.png: this is no picture." and "No space left on device: free some space" in disk.text


def test_nobody_waits_behind_a_window_that_is_closed(monkeypatch):
    monkeypatch.setattr(jobs_module, "_ABANDONED_SECONDS", 0.05)
    jobs = Jobs()

    def work(job):
        job.report(3, 10, "step 3 of 10")
        while not job.is_stopping:
            time.sleep(0.005)
        return "result"

    job = jobs.start("a search", work)
    assert _ended(job) == "stopped" and job.result == "result"
    assert job.text.startswith("step 3 of 10. Stopped: its window was silent for ")


def test_what_a_job_worked_on_is_not_kept():
    jobs, upload = Jobs(), set()
    job, kept = jobs.start("a search", functools.partial(lambda upload, job: None, upload)), weakref.ref(upload)
    del upload
    assert _ended(job) == "done"
    end = time.monotonic() + 10
    while kept() is not None and time.monotonic() < end:
        time.sleep(0.005)
    assert kept() is None


def test_the_number_of_jobs_is_bounded_and_files_go_with_theirs(tmp_path, monkeypatch):
    jobs, go = Jobs(), threading.Event()
    jobs.start("a search", lambda job: go.wait(10))
    time.sleep(0.05)
    for _ in range(16):
        jobs.start("a search", lambda job: None)
    with pytest.raises(UserError, match="too many"):
        jobs.start("a search", lambda job: None)
    go.set()
    (tmp_path / "video.webp").write_bytes(b"video")
    video = jobs.get(next(reversed(jobs._jobs)))
    assert _ended(video) == "done"
    video = jobs.start("a video", lambda job: tmp_path / "video.webp")
    assert _ended(video) == "done"
    monkeypatch.setattr(jobs_module, "_KEPT_SECONDS", -1.0)
    jobs.start("a search", lambda job: None)
    assert not (tmp_path / "video.webp").exists()
