"""Runs a command, and ends it where it writes in a way that a power cut or a kill would spoil.

    python -m tests.guarded stylegan_tf.train --flagfile ...

A file may get its name only after all of its content has been brought to the disk, and a file that has its name may
only be appended to. Files that TensorFlow writes itself are not seen.
"""

import builtins
import io
import os
import runpy
import stat
import sys

EXIT_CODE = 77
_synced = set()


def _state(found):
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _end(problem):
    sys.__stderr__.write(f"guarded: {problem}\n")
    sys.__stderr__.flush()
    os._exit(EXIT_CODE)


def _guard_naming(name):
    original = getattr(os, name)

    def guarded(source, target, *args, **kwargs):
        found = os.stat(source)
        if stat.S_ISREG(found.st_mode) and _state(found) not in _synced:
            _end(f"{target} gets its name before its content is on the disk")
        return original(source, target, *args, **kwargs)

    setattr(os, name, guarded)


def _guard_opening(module):
    original = module.open

    def guarded(file, mode="r", *args, **kwargs):
        path = os.fspath(file) if isinstance(file, (str, os.PathLike)) else ""
        plain = path and not path.startswith(("/dev/", "/proc/")) and not os.path.isdir(path)
        if plain and ("w" in mode or "x" in mode):
            hidden = any(part.startswith(".") and part != ".." for part in path.split(os.sep) if part != ".")
            if not hidden:
                _end(f"{path} is written in place")
        return original(file, mode, *args, **kwargs)

    module.open = guarded


def guard() -> None:
    sync = os.fsync

    def recorded(descriptor):
        sync(descriptor)
        _synced.add(_state(os.fstat(descriptor if isinstance(descriptor, int) else descriptor.fileno())))

    os.fsync = recorded
    for name in ("replace", "rename"):
        _guard_naming(name)
    for module in (builtins, io):
        _guard_opening(module)


if __name__ == "__main__":
    guard()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
