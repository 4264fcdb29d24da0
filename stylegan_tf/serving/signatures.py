"""The signatures of an exported generator, and the validation of their requests inside the graph.

Other runtimes (ONNX, OpenVINO) drop assertions. What must not pass there either also fails in an operation that cannot
be computed (`_fail_unless`), or is marked in the data (`valid_rows`).

The batch is the first dimension of every input and output, so that a server can batch requests and REST rows work.
All batch sizes share one graph.
"""

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.networks.generator import Generator, mix_styles
from stylegan_tf.ops.resampling import to_uint8
from stylegan_tf.serving.mt19937 import standard_normal
from stylegan_tf.serving.network_parts import NetworkParts

Limits = Optional[tuple[int, int]]
LARGEST_SEED = 2**32 - 1


def checked(name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]], limits: Limits = None) -> tf.Tensor:
    """`tensor`, once it is known to have this shape (None: any size), to be finite, and to lie within the limits."""
    tensor = checked_shape(name, tensor, shape)
    valid = tf.reduce_all(valid_rows(tensor, limits))
    message = [f"{name} must be finite, got NaN or infinity."]
    if limits:
        message = [f"{name} must lie within {limits[0]} to {limits[1]}, got", tensor]
    with tf.control_dependencies([_assertion(valid, message)]):
        return _fail_unless(valid, tensor)


def checked_result(name: str, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor`, once it is known to be finite: finite inputs of 1e38 overflow inside the network."""
    valid = tf.reduce_all(valid_rows(tensor))
    with tf.control_dependencies(
        [_assertion(valid, [f"{name} overflow: truncation_psi or another input is too large."])]
    ):
        return _fail_unless(valid, tensor)


def valid_rows(tensor: tf.Tensor, limits: Limits = None) -> tf.Tensor:
    """bool [N]: whether all of a row is finite and lies within the limits."""
    valid = tf.ones_like(tensor, tf.bool)
    if tensor.dtype.is_floating:
        valid &= tf.math.is_finite(tensor)
    if limits:
        valid &= (tensor >= limits[0]) & (tensor <= limits[1])
    return tf.reduce_all(valid, axis=list(range(1, tensor.shape.rank)))


def zero_invalid_rows(tensor: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """`tensor` [N, ...] with zeros in the rows where `valid` [N] is False."""
    # By index: converters to ONNX turn `tf.where` into products, and 0 times NaN is NaN.
    zeros = tf.zeros(tf.concat([[1], tf.shape(tensor)[1:]], axis=0), tensor.dtype)
    rows = tf.cast(valid, tf.int32) * (1 + tf.range(tf.shape(tensor)[0]))
    return tf.ensure_shape(tf.gather(tf.concat([zeros, tensor], axis=0), rows), tensor.shape)


def checked_batch(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The tensors, once it is known that all have the same first dimension."""
    (first, reference), *others = tensors.items()
    count = tf.shape(reference)[0]
    conditions, equal = [], {first: tf.constant(True)}
    for name, tensor in others:
        message = f"{name} must have as many rows as {first}; they have"
        equal[name] = tf.equal(tf.shape(tensor)[0], count)
        conditions.append(_assertion(equal[name], [message, tf.shape(tensor)[0], count]))
    with tf.control_dependencies(conditions):
        return {name: _fail_unless(equal[name], tensor) for name, tensor in tensors.items()}


def checked_shape(name: str, tensor: tf.Tensor, shape: Sequence[Optional[int]]) -> tf.Tensor:
    """`tensor`, once it is known to have this shape."""
    # The signature declares the shape, and a runtime that trusts it would optimise the comparison below away. The
    # minimum added here is zero, but no optimiser knows that, and so none knows the sizes.
    sizes = tf.shape(tensor)
    sizes += tf.minimum(tf.reduce_min(sizes), 0)
    fits = tf.reduce_sum(tf.cast(sizes >= 0, tf.int32)) == len(shape)  # The rank.
    padded = tf.concat([sizes, [-1] * len(shape)], axis=0)
    for axis, size in enumerate(shape):
        if size is not None:
            fits &= padded[axis] == size
    expected = ", ".join(["N"] + [str(size) for size in shape[1:]])
    assertion = _assertion(fits, [f"{name} must have the shape [{expected}], got", sizes])
    with tf.control_dependencies([assertion]):
        return tf.ensure_shape(tf.identity(tensor), list(shape))


def _fail_unless(valid: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """`tensor` if `valid` (a scalar) holds; otherwise a reshape to a size that it does not have, an error anywhere."""
    if tensor.shape.rank == 1:  # Runtimes drop a reshape from one dimension to one as a no-op.
        return _fail_unless(valid, tf.stack([tensor, tensor], axis=1))[:, 0]
    rows = tf.shape(tensor)[0] + tf.cast(tf.logical_not(valid), tf.int32)
    return tf.reshape(tensor, tf.stack([rows, *tensor.shape[1:]]))


def _assertion(condition, data):
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)


Tensors = dict[str, tf.Tensor]


class _Signature(NamedTuple):
    """A signature before it is traced."""

    compute: Callable[[Tensors], tf.Tensor]  # From validated inputs.
    inputs: list[str]
    output: str


class ServedGenerator(tf.Module):
    """`signatures` to save, and `__call__` for TensorFlow Hub. Holds the weights that they use and no others."""

    def __init__(self, generator: Generator, options: Optional[ServingOptions] = None):
        super().__init__(name="generator")
        self._parts = NetworkParts(generator, options or ServingOptions())
        self.weights = self._parts.weights.variables
        for inputs in self._hub_inputs():
            self.__call__.get_concrete_function(inputs)

    @property
    def weights_sha256(self) -> str:
        return self._parts.weights.sha256()

    @property
    def image_shape(self) -> list[int]:
        """[H, W, C]."""
        return self._parts.image_shape

    def signatures(self) -> dict[str, Callable]:
        """Name -> function, as `tf.saved_model.save` takes them."""
        return {name: self._traced(signature) for name, signature in self._signatures().items()}

    def inputs(self) -> dict[str, list[str]]:
        """Name of each signature -> names of its inputs."""
        return {name: signature.inputs for name, signature in self._signatures().items()}

    def example_requests(self, names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """A request of one row for each of these signatures."""
        config = self._parts.config
        examples = {
            "latents": np.random.RandomState(0).randn(1, config.latent_size).astype(np.float32),
            "seeds": np.array([0], np.int64),
            "truncation_psi": np.array([0.7], np.float32),
            "labels": np.eye(1, config.label_size, dtype=np.float32),
        }
        signatures = self._signatures()
        return {name: {key: examples[key] for key in signatures[name].inputs} for name in names if name in signatures}

    @tf.function(autograph=False)
    def __call__(self, inputs):
        """For TensorFlow Hub: float32 images [N, H, W, C] in [0, 1].

        inputs: the inputs of `serving_default` as a dictionary; or, for a network without labels, latents [N, Z] alone,
        which are not truncated.
        """
        if not isinstance(inputs, dict):
            inputs = {"latents": inputs, "truncation_psi": tf.ones([tf.shape(inputs)[0]])}
        images = checked_result("images", self._from_latents(self._checked(inputs)))
        return tf.clip_by_value(images * 0.5 + 0.5, 0.0, 1.0)

    def _signatures(self) -> dict[str, _Signature]:
        psi, labels, others = ["truncation_psi"], self._labels("labels"), self._labels("other_labels")
        latents, seeds = ["latents", *psi, *labels], ["seeds", *psi, *labels]
        signatures = {
            "serving_default": _Signature(self._from_latents, latents, "images"),
            "png": _Signature(self._from_latents, latents, "png_bytes"),
            "mapping": _Signature(self._mapping, ["latents", *labels], "dlatents"),
            "synthesis": _Signature(lambda inputs: self._parts.synthesize(inputs["dlatents"]), ["dlatents"], "images"),
            "seed": _Signature(self._from_seeds, seeds, "images"),
            "seed_png": _Signature(self._from_seeds, seeds, "png_bytes"),
        }
        if self._parts.config.num_channels not in (1, 3, 4):  # No picture holds them.
            del signatures["png"], signatures["seed_png"]
        if not labels:  # One input, as Keras' TFSMLayer and hub.KerasLayer in a Sequential need it.
            signatures["sample"] = _Signature(self._untruncated, ["latents"], "images")
        if self._parts.config.use_styles:  # The traditional generator has one w for all layers: nothing to mix.
            two = ["latents", "other_latents", "crossover", *psi, *labels, *others]
            signatures["mix"] = _Signature(self._mix, two, "images")
        return signatures

    def _traced(self, signature: _Signature) -> Callable:
        specs = self._specs()

        @tf.function(input_signature=[specs[name] for name in signature.inputs], autograph=False)
        def call(*tensors):
            inputs, outputs = dict(zip(signature.inputs, tensors)), {}
            if self._parts.options.bad_rows == "mark":
                result, outputs["ok"] = self._marked(signature, inputs)
            else:
                result = checked_result(signature.output, signature.compute(self._checked(inputs)))
            if signature.output != "dlatents":
                result = to_uint8(result)
            outputs[signature.output] = _encode_png(result) if signature.output == "png_bytes" else result
            return outputs

        return call

    def _hub_inputs(self):
        specs = self._specs()
        whole = {name: specs[name] for name in self._signatures()["serving_default"].inputs}
        return [whole] if self._parts.config.label_size else [whole, specs["latents"]]

    def _from_latents(self, inputs: Tensors) -> tf.Tensor:
        return self._parts.synthesize(self._truncated(inputs, inputs["latents"]))

    def _truncated(self, inputs: Tensors, z: tf.Tensor, labels: str = "labels") -> tf.Tensor:
        """w of every layer of z with the labels of that name."""
        ws = self._parts.mapping(z, inputs.get(labels))
        return self._parts.truncate(ws, inputs["truncation_psi"], inputs.get(labels))

    def _from_seeds(self, inputs: Tensors) -> tf.Tensor:
        z = standard_normal(inputs["seeds"], self._parts.config.latent_size)
        return self._parts.synthesize(self._truncated(inputs, z), inputs["seeds"])

    def _mix(self, inputs: Tensors) -> tf.Tensor:
        ws = self._truncated(inputs, inputs["latents"])
        other = self._truncated(inputs, inputs["other_latents"], "other_labels")
        return self._parts.synthesize(mix_styles(ws, other, inputs["crossover"]))

    def _untruncated(self, inputs: Tensors) -> tf.Tensor:
        return self._parts.synthesize(self._mapping(inputs))

    def _mapping(self, inputs: Tensors) -> tf.Tensor:
        return self._parts.mapping(inputs["latents"], inputs.get("labels"))

    def _specs(self) -> dict[str, tf.TensorSpec]:
        """All inputs that a signature may have, by their names in requests."""
        config = self._parts.config
        shapes = {
            "latents": [config.latent_size],
            "other_latents": [config.latent_size],
            "truncation_psi": [],
            "labels": [config.label_size],
            "other_labels": [config.label_size],
            "dlatents": [self._parts.num_layers, config.w_size],
            "seeds": [],
            "crossover": [],
        }
        dtypes = {"seeds": tf.int64, "crossover": tf.int32}
        return {
            name: tf.TensorSpec([None, *shape], dtypes.get(name, tf.float32), name) for name, shape in shapes.items()
        }

    def _limits(self) -> dict[str, tuple[int, int]]:
        return {"seeds": (0, LARGEST_SEED), "crossover": (0, self._parts.num_layers)}

    def _checked(self, inputs: Tensors) -> Tensors:
        limits, specs = self._limits(), self._specs()
        rows = {
            name: checked(name, tensor, specs[name].shape.as_list(), limits.get(name))
            for name, tensor in inputs.items()
        }
        return checked_batch(rows)

    def _marked(self, signature: _Signature, inputs: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """-> the result, zeros (gray) in invalid rows; bool [N], which rows are valid. No value of an invalid row
        reaches the networks. Shapes concern the whole request: wrong ones also fail it here.
        """
        limits, specs = self._limits(), self._specs()
        shaped = {name: checked_shape(name, tensor, specs[name].shape.as_list()) for name, tensor in inputs.items()}
        inputs = checked_batch(shaped)
        valid = [valid_rows(tensor, limits.get(name)) for name, tensor in inputs.items()]
        valid = tf.reduce_all(tf.stack(valid), axis=0)
        result = signature.compute({name: zero_invalid_rows(tensor, valid) for name, tensor in inputs.items()})
        valid &= valid_rows(result)  # Finite inputs of 1e30 overflow inside the network.
        return zero_invalid_rows(result, valid), valid

    def _labels(self, name: str) -> list[str]:
        return [name] if self._parts.config.label_size else []


def _encode_png(images: tf.Tensor) -> tf.Tensor:
    """uint8 [N, H, W, C] -> string [N]."""
    return tf.ensure_shape(tf.io.encode_png(images), [None])
