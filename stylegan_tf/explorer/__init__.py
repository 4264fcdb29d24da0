"""A page to play with a network in the browser: from a view to its picture."""

import os


def __getattr__(name: str):
    if name == "show":  # What it needs is imported when it is asked for.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As in the commands, before TensorFlow is imported.
        from stylegan_tf.explorer.server import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
