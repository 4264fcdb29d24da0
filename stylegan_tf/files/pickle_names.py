"""What the authors' network pickles, and pickles of NumPy arrays, may name (see `pickle_machine`)."""

from enum import Enum

from stylegan_tf.files.pickle_machine import Vocabulary


class Known(Enum):
    """What a (module, name) pair in the file may stand for."""

    NETWORK = "Network"
    DICT = "a dictionary class"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy's _reconstruct"
    FROMBUFFER = "numpy's _frombuffer"
    SCALAR = "numpy's scalar"
    ENCODE = "_codecs.encode"


_NAMES = {
    ("dnnlib.tflib.network", "Network"): Known.NETWORK,
    ("tfutil", "Network"): Known.NETWORK,  # ProGAN
    ("dnnlib.util", "EasyDict"): Known.DICT,
    ("dnnlib", "EasyDict"): Known.DICT,
    ("config", "EasyDict"): Known.DICT,
    ("collections", "OrderedDict"): Known.DICT,
    ("numpy", "ndarray"): Known.NDARRAY,
    ("numpy", "dtype"): Known.DTYPE,
    ("_codecs", "encode"): Known.ENCODE,  # How protocol 2 spells bytes.
}
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and NumPy 2
    _NAMES[_core + ".multiarray", "_reconstruct"] = Known.RECONSTRUCT
    _NAMES[_core + ".multiarray", "scalar"] = Known.SCALAR
    _NAMES[_core + ".numeric", "_frombuffer"] = Known.FROMBUFFER
NETWORKS = Vocabulary(
    kind="network pickle",
    advice="nothing in it was run; only network pickles of the authors' ProGAN and StyleGAN code can be read",
    names=_NAMES,
    dictionaries=frozenset({Known.DICT}),
    reducible=frozenset({Known.DTYPE, Known.RECONSTRUCT, Known.FROMBUFFER, Known.SCALAR, Known.ENCODE}),
    newable=frozenset({Known.NETWORK}),
    buildable=frozenset({Known.NETWORK, Known.DTYPE, Known.RECONSTRUCT}),
)
