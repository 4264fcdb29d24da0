"""Builds pickles as the authors' code writes them, with stand-ins for its classes and for NumPy's constructors."""

import io
import pickle

import numpy as np


class Network:
    """Stand-in for the authors' class: pickled as its dictionary."""

    written_as = ("dnnlib.tflib.network", "Network")

    def __init__(self, **state):
        self.__dict__.update(state)


class ProganNetwork(Network):
    written_as = ("tfutil", "Network")


class EasyDict(dict):
    written_as = ("dnnlib.util", "EasyDict")


class Calls:
    """Pickled as the call function(*args), with a state to restore if one is given."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """The pickler wants a function to be callable; a call may give the function of another call."""


class Global:
    """Pickled as the name module.name, which need not exist."""

    def __init__(self, module, name):
        self.written_as = (module, name)

    def __call__(self):
        """As in `Calls`."""


class Pickler(pickle._Pickler):
    """Writes classes under the names of `written_as` and NumPy's functions in `core`."""

    def __init__(self, file, protocol, core):
        super().__init__(file, protocol)
        self.core = core

    def reducer_override(self, value):
        if isinstance(value, Calls) or not callable(value):
            return NotImplemented
        return "a global name"

    def save_global(self, value, name=None):
        module, name = getattr(value, "written_as", None) or (value.__module__, value.__qualname__)
        module = module.replace("numpy._core", self.core).replace("numpy.core", self.core)
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(value)


def pickled(value, protocol=4, core="numpy.core"):
    file = io.BytesIO()
    Pickler(file, protocol, core).dump(value)
    return file.getvalue()


def array(*shape):
    return np.random.RandomState(len(shape)).randn(*shape).astype(np.float32)


def network(own=(), kind=Network, **changes):
    """A small network; `changes` replace parts of its state, None removes one."""
    state = dict(
        version=3,
        name="G",
        static_kwargs=EasyDict(resolution=4),
        components={},
        build_module_src="# source",
        build_func_name="training.networks_stylegan.G_style",
        variables=[("lod", np.float32(2.5)), *own],
    )
    state.update(changes)
    return kind(**{key: value for key, value in state.items() if value is not None})


def generator():
    mapping = network([("Dense0/weight", array(3, 2))], name="G_mapping", build_func_name="G_mapping")
    synthesis = network([("4x4/Const/const", array(1, 2, 4, 4))], name="G_synthesis")
    return network([("dlatent_avg", array(3))], components={"mapping": mapping, "synthesis": synthesis})
