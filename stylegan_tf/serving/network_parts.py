"""The parts of a generator as graphs: for signatures, sharing one set of weights, and as bare functions for converters.

The weights are stored in a dtype of their own, and hold nothing that the parts do not read.

Bare: weights are constants, built-in operations only, one graph for any batch size, the network's own noise maps, and
no validation: NaN, infinity, or inputs of different lengths give garbage or an error of the runtime.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.ops.forms import without_custom_gradients
from stylegan_tf.ops.resampling import to_uint8

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
    count = len(traced.inputs) - len(traced.captured_inputs)  # Number of arguments; the handles of variables follow.
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


class NetworkParts:
    """`mapping`, `truncate` and `synthesize`: functions on tensors, to call while a signature is traced.

    They hold the current resolution of the network only, without the layers that lower ones needed.
    """

    def __init__(self, generator: Generator, options: ServingOptions):
        self.config, self.options = generator.config, options
        self._resolution = generator.growth.resolution
        self._synthesis_network = generator.synthesis  # For drawing noise; none of its weights is used.
        config = self.config
        z, w = tf.TensorSpec([None, config.latent_size]), tf.TensorSpec([None, self.num_layers, config.w_size])
        labels = [tf.TensorSpec([None, config.label_size])] if config.label_size else []
        shapes = self._synthesis_network.noise_shapes(self._resolution) if options.noise_mode == "random" else []
        noise = [tf.TensorSpec([None, *shape]) for shape in shapes]

        def mapping(z, labels=None):
            return generator.broadcast(generator.mapping_network(z, labels=labels))

        self._has_centres = config.use_styles and config.label_size and options.truncation_centre == "class"
        if self._has_centres:
            centres = generator.truncation_centre("class", np.eye(config.label_size))
            offsets = tf.Variable(centres - generator.truncation_centre("all"), trainable=False)

        def truncate(ws, psi, labels=None):
            centre = generator.truncation_centre("all")
            if labels is not None:
                shares = tf.maximum(labels, 0)
                shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, axis=1, keepdims=True))
                centre += shares @ offsets
            return generator.truncate(ws, Truncation(psi, options.truncation_cutoff, centre))

        def synthesize(ws, *noise):
            return generator.synthesis(ws, noise_mode=options.noise_mode, noise=list(noise) or None)

        arguments = {
            "mapping": (mapping, [z, *labels]),
            "truncation": (truncate, [w, tf.TensorSpec([None]), *(labels if self._has_centres else [])]),
            "synthesis": (synthesize, [w, *noise]),
        }
        if not config.use_styles:
            del arguments["truncation"]
        frozen = {part: freeze(function, specs) for part, (function, specs) in arguments.items()}
        arrays = {f"{part}/{name}": a for part, graph in frozen.items() for name, a in graph.weights.items()}
        self.weights = StoredWeights(arrays, options.weights, options.constants)
        self._frozen = frozen

    @property
    def num_layers(self) -> int:
        """L of w [N, L, W]: 1 for the traditional generator, which takes w at its start only."""
        return self._synthesis_network.num_layers_at(self._resolution) if self.config.use_styles else 1

    @property
    def image_shape(self) -> list[int]:
        """[H, W, C] of the images served."""
        whole = tf.zeros([1, self._resolution, self._resolution, self.config.num_channels])
        return crop_to_box(whole, self.options.content_box).shape[1:].as_list()

    def mapping(self, latents: tf.Tensor, labels: Optional[tf.Tensor] = None) -> tf.Tensor:
        """z [N, Z], labels [N, labels] for a conditional network -> w [N, L, W]."""
        return self._run("mapping", latents, *([] if labels is None else [labels]))

    def truncate(self, ws: tf.Tensor, psi: tf.Tensor, labels: Optional[tf.Tensor] = None) -> tf.Tensor:
        """w [N, L, W], psi [N], labels as in `mapping` -> w [N, L, W]. The traditional generator has no truncation."""
        if not self.config.use_styles:
            return ws
        return self._run("truncation", ws, psi, *([labels] if self._has_centres else []))

    def synthesize(self, ws: tf.Tensor, seeds: Optional[tf.Tensor] = None) -> tf.Tensor:
        """w [N, L, W] -> float32 images [N, H, W, C], about [-1, 1], without the bars of letterboxed pictures.

        seeds: int64 [N]; random noise then depends on them alone.
        """
        noise = self._drawn(tf.shape(ws)[0], seeds) if self.options.noise_mode == "random" else []
        return self._with_shape(self.render(ws, noise), tf.shape(ws)[0])

    def render(self, ws: tf.Tensor, noise: Sequence[tf.Tensor]) -> tf.Tensor:
        """`synthesize` with these noise maps, [N, r, r, 1] for each layer, for `noise_mode` "random" only."""
        return crop_to_box(self._run("synthesis", ws, *noise), self.options.content_box)

    def _with_shape(self, images, count):
        """oneDNN's convolutions give an empty batch the wrong number of channels."""
        shape = tf.stack([count, *self.image_shape])
        shape += tf.minimum(tf.reduce_min(shape), 0)  # Zero, but no optimiser knows that and drops the reshape.
        return tf.ensure_shape(tf.reshape(images, shape), [None, *self.image_shape])

    def _run(self, part, *arguments):
        return self._frozen[part].call(arguments, self.weights.tensors(f"{part}/"))

    def _drawn(self, count, seeds):
        if seeds is None:
            return self._synthesis_network.draw_noise(count, self._resolution)
        low = tf.bitcast(tf.cast(seeds, tf.uint32), tf.int32)
        pairs = tf.stack([low, tf.zeros_like(low)], axis=1)
        return self._synthesis_network.draw_noise_of_images(pairs, self._resolution)


class BareFunction(NamedTuple):
    """A function with named inputs and one named output."""

    function: Callable[..., tf.Tensor]  # Takes tensors in the order of `inputs`.
    inputs: dict[str, tf.TensorSpec]
    output: str  # "images" or "dlatents".

    def traced(self) -> Callable[..., dict[str, tf.Tensor]]:
        """As a `tf.function` with one output of that name."""

        def call(*tensors):
            return {self.output: self.function(*tensors)}

        return tf.function(call, input_signature=list(self.inputs.values()), autograph=False)


def bare_functions(generator: Generator, options: ServingOptions) -> dict[str, BareFunction]:
    """By name: `generator`, `mapping`, `synthesis`, with inputs and outputs as in the SavedModel's signatures.

    `options.weights` is left to the format; `noise_mode` is "const" or "none". Images are uint8.
    """
    with_noise = options.noise_mode == "const"
    noise_mode = "random" if with_noise else "none"  # "random": the maps are inputs of the synthesis network.
    inner = dataclasses.replace(options, weights="float32", constants=True, noise_mode=noise_mode)
    parts, config = NetworkParts(generator, inner), generator.config
    fixed = generator.synthesis.fixed_noise(generator.growth.resolution) if with_noise else []
    fixed = [maps.numpy() for maps in fixed]

    def synthesize(ws):
        # A map for every row: converters would fold the product of one map and its strengths into [1, H, W, C].
        noise = [tf.tile(tf.constant(maps), [tf.shape(ws)[0], 1, 1, 1]) for maps in fixed]
        return to_uint8(parts.render(ws, noise))

    def generate(latents, psi, labels=None):
        return synthesize(parts.truncate(parts.mapping(latents, labels), psi, labels))

    shapes = {"latents": [config.latent_size], "truncation_psi": [], "dlatents": [parts.num_layers, config.w_size]}
    shapes.update({"labels": [config.label_size]} if config.label_size else {})
    specs = {name: tf.TensorSpec([None, *shape], tf.float32, name) for name, shape in shapes.items()}

    def bare(function, output, *inputs):
        return BareFunction(function, {name: specs[name] for name in inputs}, output)

    labels = ["labels"] if config.label_size else []
    return {
        "generator": bare(generate, "images", "latents", "truncation_psi", *labels),
        "mapping": bare(parts.mapping, "dlatents", "latents", *labels),
        "synthesis": bare(synthesize, "images", "dlatents"),
    }
