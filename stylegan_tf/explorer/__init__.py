"""A page to play with a network in the browser: from a view to its picture."""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As in the commands.


def __getattr__(name: str):
    if name == "show":  # What it needs is imported when it is asked for.
        from stylegan_tf.explorer.server import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
