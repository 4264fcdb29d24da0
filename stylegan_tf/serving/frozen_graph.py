"""A function of a network as a graph without its weights, and the weights in the dtype in which they are stored.

The graphs of several functions share one set of weights, which hold nothing that the functions do not read.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.ops.forms import without_custom_gradients

DTYPES = ("float32", "bfloat16", "float16")


class StoredWeights:
    """Named arrays in the form in which a graph reads them: stored as `dtype`, computed with in float32.

    Vectors (biases, noise strengths) stay float32, as they take next to no space. Raises UserError if a weight is too
    large for the dtype.
    """

    def __init__(self, arrays: dict[str, np.ndarray], dtype: str = "float32", as_constants: bool = False):
        if dtype not in DTYPES:
            raise UserError(f"`weights` must be one of {', '.join(DTYPES)}, got {dtype!r}.")
        self._arrays = {name: as_stored(name, value, dtype) for name, value in arrays.items()}
        self._variables = {}
        if not as_constants:
            for index, (name, value) in enumerate(sorted(self._arrays.items())):
                self._variables[name] = tf.Variable(value, trainable=False, name=f"weight{index}")

    @property
    def variables(self) -> list[tf.Variable]:
        """What has to be saved with the graph."""
        return list(self._variables.values())

    def tensors(self, prefix: str) -> dict[str, tf.Tensor]:
        """The weights whose names start with `prefix`, which is removed, as float32 tensors of the current graph."""
        stored = {name: self._variables.get(name, value) for name, value in self._arrays.items()}
        names = [name for name in stored if name.startswith(prefix)]
        return {name[len(prefix) :]: tf.cast(tf.convert_to_tensor(stored[name]), tf.float32) for name in names}

    def sha256(self) -> str:
        """A fingerprint of all values: not of their names, which follow from how TensorFlow names operations."""
        values = [str(value.shape).encode() + value.tobytes() for value in self._arrays.values()]
        digests = sorted(hashlib.sha256(value).digest() for value in values)
        return hashlib.sha256(b"".join(digests)).hexdigest()


def as_stored(name: str, value: np.ndarray, dtype: str, wider: str = "bfloat16") -> np.ndarray:
    """The array in `dtype`, vectors in float32. Raises UserError, which recommends `wider`, if it is too large."""
    value = np.asarray(value, np.float32)
    if value.ndim < 2:
        return value
    with np.errstate(over="ignore"):
        rounded = value.astype(tf.dtypes.as_dtype(dtype).as_numpy_dtype)
    if not np.isfinite(rounded.astype(np.float32)).all() and np.isfinite(value).all():
        raise UserError(
            f"the weight {name} reaches {np.abs(value).max():g}, too much for {dtype}: choose `weights={wider}`."
        )
    return rounded


class FrozenGraph(NamedTuple):
    """`call` adds the function to the current graph."""

    graph_def: tf.compat.v1.GraphDef
    inputs: tuple[Optional[str], ...]  # Names of the arguments' tensors; None if unused.
    output: str
    weights: dict[str, np.ndarray]  # By tensor name.

    def call(self, arguments: Sequence[tf.Tensor], weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """`weights`: tensors in place of `self.weights`, with the same names, shapes and dtypes."""
        feeds = {name: tensor for name, tensor in zip(self.inputs, arguments) if name} | dict(weights)
        (output,) = tf.graph_util.import_graph_def(self.graph_def, feeds, [self.output], name="")
        return output


def freeze(function: Callable[..., tf.Tensor], specs: Sequence[tf.TensorSpec]) -> FrozenGraph:
    """Traces `function(*tensors)`, which has one output, with arguments of these shapes."""
    with without_custom_gradients():
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    count = len(traced.inputs) - len(traced.captured_inputs)  # Of arguments; the handles of variables follow.
    handles = dict(zip((tensor.name for tensor in traced.inputs[count:]), traced.captured_inputs))
    needed, weights, pending = set(), {}, [traced.outputs[0]]
    while pending:
        tensor = pending.pop()
        operation = tensor.op
        if operation.type == "ReadVariableOp":
            handle = handles[operation.inputs[0].name]
            weights[tensor.name] = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tensor.dtype).numpy()
        elif operation.name not in needed:
            needed.add(operation.name)
            pending += operation.inputs
    whole = traced.graph.as_graph_def()
    nodes = [node for node in whole.node if node.name in needed]
    for node in nodes:
        node.input[:] = [name for name in node.input if not name.startswith("^")]  # They only order reads of variables.
    return FrozenGraph(
        tf.compat.v1.GraphDef(node=nodes, versions=whole.versions, library=whole.library),
        tuple(tensor.name if tensor.op.name in needed else None for tensor in traced.inputs[:count]),
        traced.outputs[0].name,
        dict(sorted(weights.items())),
    )
