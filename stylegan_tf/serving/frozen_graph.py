"""Constant folding: a function of a network as a graph and its weights, each in the form in which the graph uses it.

Layers store raw weights, and scale and mirror them at every call (`layers.progan`, `ops.resampling`). The weights of a
served network are constant, so whatever depends on them alone is computed once, here.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
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
            for index, name in enumerate(sorted(arrays)):
                variable = tf.Variable(self._arrays[name], trainable=False, name=f"weight{index}")
                self._variables[name] = variable

    @property
    def variables(self) -> list[tf.Variable]:
        """What has to be saved with the graph."""
        return list(self._variables.values())

    @property
    def size_bytes(self) -> int:
        return sum(value.nbytes for value in self._arrays.values())

    def tensors(self, prefix: str) -> dict[str, tf.Tensor]:
        """The weights whose names start with `prefix`, which is removed, as float32 tensors of the current graph."""
        found = {name: value for name, value in self._arrays.items() if name.startswith(prefix)}
        return {name[len(prefix) :]: self._tensor(name, value) for name, value in found.items()}

    def sha256(self) -> str:
        """A fingerprint of all values: not of their names, which follow from how TensorFlow names operations."""
        values = [str(value.shape).encode() + value.tobytes() for value in self._arrays.values()]
        digests = sorted(hashlib.sha256(value).digest() for value in values)
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def _tensor(self, name, value):
        stored = self._variables[name] if name in self._variables else tf.constant(value)
        return tf.cast(tf.convert_to_tensor(stored), tf.float32)


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
        return _import(self.graph_def, feeds, [self.output])[0]


def freeze(function: Callable[..., tf.Tensor], specs: Sequence[tf.TensorSpec]) -> FrozenGraph:
    """Traces `function(*tensors)`, which has one output, with arguments of these shapes."""
    with without_custom_gradients():
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    arguments = traced.inputs[: len(traced.inputs) - len(traced.captured_inputs)]
    reads = _variable_reads(traced)
    folded = _Folding(traced, reads).frontier(traced.outputs[0])
    definition = _subgraph(traced, traced.outputs, folded)
    kept = {node.name for node in definition.node}
    return FrozenGraph(
        definition,
        tuple(tensor.name if tensor.op.name in kept else None for tensor in arguments),
        traced.outputs[0].name,
        _evaluate(traced, reads, folded),
    )


def _variable_reads(traced) -> dict[str, np.ndarray]:
    """Output tensor of every ReadVariableOp -> the variable's value."""
    count = len(traced.captured_inputs)
    handles = dict(zip((tensor.name for tensor in traced.inputs[len(traced.inputs) - count :]), traced.captured_inputs))
    reads = {}
    for operation in traced.graph.get_operations():
        if operation.type == "ReadVariableOp" and operation.inputs[0].name in handles:
            handle, dtype = handles[operation.inputs[0].name], operation.outputs[0].dtype
            reads[operation.outputs[0].name] = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype).numpy()
    return reads


class _Folding:
    """Finds the tensors that depend on weights alone and that the rest of the graph uses."""

    def __init__(self, traced, reads):
        self._reads = reads
        self._weights = {}  # Tensor that depends on weights alone -> these weights.
        self._sizes = {name: value.size for name, value in reads.items()}
        for operation in traced.graph.get_operations():  # In the order of creation: inputs come first.
            self._visit(operation)

    def frontier(self, output: tf.Tensor) -> list[str]:
        """Names of the folded tensors that `output` is computed from, besides arguments and plain constants."""
        found, seen, pending = [], set(), [output]
        while pending:
            tensor = pending.pop()
            if tensor.name in seen:
                continue
            seen.add(tensor.name)
            if self._weights.get(tensor.name) and self._is_compact(tensor):
                found.append(tensor.name)
            elif tensor.op.type != "Const":
                pending.extend(tensor.op.inputs)
        return sorted(found)

    def _visit(self, operation) -> None:
        if operation.type == "Const":
            self._weights[operation.outputs[0].name] = frozenset()
        elif operation.outputs and operation.outputs[0].name in self._reads:
            self._weights[operation.outputs[0].name] = frozenset([operation.outputs[0].name])
        elif self._is_foldable(operation):
            weights = frozenset().union(*(self._weights[tensor.name] for tensor in operation.inputs))
            self._weights.update(dict.fromkeys((tensor.name for tensor in operation.outputs), weights))

    def _is_compact(self, tensor) -> bool:
        """Whether it is no larger than the weights it comes from, unlike a noise map times strengths of channels."""
        weights = sum(self._sizes[name] for name in self._weights[tensor.name])
        return (tensor.shape.num_elements() or np.inf) <= weights

    def _is_foldable(self, operation) -> bool:
        stateful = operation.op_def is None or operation.op_def.is_stateful
        known = all(tensor.name in self._weights for tensor in operation.inputs)
        return bool(operation.inputs) and known and not stateful


def _subgraph(traced, outputs: Sequence[tf.Tensor], given: Collection[str]) -> tf.compat.v1.GraphDef:
    """The operations that compute `outputs` from the tensors named `given`, without control inputs."""
    needed, pending = set(), [tensor.op for tensor in outputs]
    while pending:
        operation = pending.pop()
        if operation.name not in needed:
            needed.add(operation.name)
            pending += [tensor.op for tensor in operation.inputs if tensor.name not in given]
    whole = traced.graph.as_graph_def()
    nodes = [node for node in whole.node if node.name in needed]
    for node in nodes:
        # They only order reads of variables.
        node.input[:] = [name for name in node.input if not name.startswith("^")]
    return tf.compat.v1.GraphDef(node=nodes, versions=whole.versions, library=whole.library)


def _evaluate(traced, reads: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    computed = [name for name in names if name not in reads]
    graph_def = _subgraph(traced, [traced.graph.get_tensor_by_name(name) for name in computed], reads)
    used = {name for node in graph_def.node for name in node.input}  # "layer/read" stands for its output 0.
    feeds = {name: tf.constant(value) for name, value in reads.items() if used & {name, name.partition(":")[0]}}
    run = tf.function(lambda feeds: _import(graph_def, feeds, computed), autograph=False)
    values = run.get_concrete_function(feeds)(feeds)  # Called directly, TensorFlow would warn of many traces.
    return {name: reads[name] if name in reads else values[computed.index(name)].numpy() for name in names}


def _import(graph_def, feeds: Mapping[str, tf.Tensor], names: Sequence[str]) -> list[tf.Tensor]:
    return tf.graph_util.import_graph_def(graph_def, input_map=dict(feeds), return_elements=list(names), name="")
