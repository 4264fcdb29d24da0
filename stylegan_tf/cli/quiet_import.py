"""TensorFlow's import without its own lines on stderr."""

import contextlib
import faulthandler
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Before absl::InitializeLog(), which newer versions never call, the C++ code heeds no TF_CPP_MIN_LOG_LEVEL.
_CHATTER = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:")


class QuietTensorFlow(importlib.abc.MetaPathFinder):
    """Put it first in `sys.meta_path`: it acts once, on the first import of TensorFlow, whoever makes it."""

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module):
                with _without_chatter():
                    execute(module)

            spec.loader.exec_module = execute_quietly
        return spec


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Everything else that is written to stderr meanwhile appears at the end."""
    sys.stderr.flush()
    stderr = os.dup(2)
    was_enabled = faulthandler.is_enabled()
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        faulthandler.enable(stderr)  # What is written before a crash, as on a CPU without AVX, is lost.
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            faulthandler.disable()
            if was_enabled:
                faulthandler.enable()
            os.close(stderr)
            written.seek(0)
            for line in written:
                if not _CHATTER.match(line):
                    os.write(2, line)
