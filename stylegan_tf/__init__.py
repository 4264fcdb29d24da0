"""StyleGAN (Karras, Laine, Aila; CVPR 2019) for TensorFlow 2.

`load_networks(path)` gives the networks of a network file or of a run folder.
"""

from stylegan_tf import deprecated

__version__ = "0.1.0.dev0"
__all__ = ["load_networks"]


def __getattr__(name):
    """Imports TensorFlow only when it is needed: `--help` is instant."""
    if name == "load_networks":
        from stylegan_tf.networks.network_file import load_networks

        return load_networks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


deprecated.install()
