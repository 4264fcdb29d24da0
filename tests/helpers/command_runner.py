"""Runs command lines in processes that are forked from one that has imported TensorFlow and done nothing else.

Importing it takes longer than most short commands. `CommandRunner` is the client, for tests; this file as a script is
the process that forks. A command gets a process, a working directory, streams and signals of its own.
"""

import contextlib
import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class CommandRunner:
    """`run` takes one command line; use as a context manager."""

    def __init__(self, folder):
        self.log = Path(folder) / "output.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        environment.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="1", BROWSER="true")
        pipe = subprocess.PIPE
        self.server = subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait()

    def run(self, line, folder, until=None, timeout=240):
        """(exit code, output) of a shell line; other programs than ours and Python's run in bash.

        until: what a command that runs until it is stopped prints when it is ready; it then gets Ctrl-C.
        """
        for part in re.split(r" && ", line):
            words = shlex.split(part, comments=True)
            if words[0] not in ("stylegan-tf", "python"):
                words = ["bash", "-c", part]
            code, output = self.call(words, folder, until, timeout)
            if code:
                break
        return code, output

    def call(self, words, folder, until=None, timeout=240):
        self.server.stdin.write(json.dumps([words, str(folder), str(self.log), until, timeout]) + "\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        return code, self.log.read_text(errors="replace")


def _command(words, folder, log):
    """The forked process."""
    os.setsid()
    os.chdir(folder)
    with open(log, "wb") as stream, open(os.devnull) as nothing:
        for number, file in enumerate((nothing, stream, stream)):
            os.dup2(file.fileno(), number)
    if words[0] == "bash":
        os.execvp("bash", words)
    if words[:2] == ["python", "-c"]:
        exec(compile(words[2], "<documentation>", "exec"), {"__name__": "__main__"})
    elif words[:2] == ["python", "-m"]:
        sys.argv = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    elif words[0] == "python":
        sys.argv = words[1:]
        sys.path[0] = str(Path(words[1]).resolve().parent)
        runpy.run_path(words[1], run_name="__main__")
    else:
        sys.argv = words
        runpy.run_module("stylegan_tf", run_name="__main__")


def _wait(pid, log, until, timeout):
    """Exit code of the command; 124 after `timeout` seconds; 0 if it got Ctrl-C because it was ready."""
    end, stopped = time.monotonic() + timeout, False
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return 0 if stopped and code in (0, 130) else code
        if until and not stopped and until in Path(log).read_text(errors="replace"):
            os.kill(pid, signal.SIGINT)
            stopped = True
        time.sleep(0.05)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 124


def _serve():
    import tensorflow_hub  # noqa: F401

    import stylegan_tf.metrics.evaluation
    import stylegan_tf.training.run.loop  # noqa: F401

    for request in sys.stdin:
        words, folder, log, until, timeout = json.loads(request)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _command(words, folder, log)
                code = 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
            except BaseException:
                import traceback

                traceback.print_exc()
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
        print(_wait(pid, log, until, timeout), flush=True)


if __name__ == "__main__":
    _serve()
