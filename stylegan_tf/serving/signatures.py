"""What a served generator answers to: the signatures of an export.

Every input and output has the batch as its first dimension, so that a server may join requests, and so that REST's
rows work. Any batch size runs the same graph.
"""

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.networks.generator import Generator, mix_styles
from stylegan_tf.ops.pixels import to_uint8
from stylegan_tf.serving.input_checks import (
    checked,
    checked_batch,
    checked_shape,
    rows_in_order,
    with_rows_replaced,
)
from stylegan_tf.serving.network_parts import NetworkParts, ServingOptions
from stylegan_tf.serving.seed_latents import seed_latents

LARGEST_SEED = 2**32 - 1

Tensors = dict[str, tf.Tensor]


class _Answer(NamedTuple):
    """A signature before it is traced."""

    compute: Callable[[Tensors], tf.Tensor]  # From checked inputs.
    inputs: list[str]
    output: str


class ServedGenerator(tf.Module):
    """`signatures` to be saved, and `__call__` for TensorFlow Hub. Holds the weights that they use and no others."""

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
        return {name: self._signature(answer) for name, answer in self._answers().items()}

    def inputs(self) -> dict[str, list[str]]:
        """Name of each signature -> names of its inputs."""
        return {name: answer.inputs for name, answer in self._answers().items()}

    def example_requests(self, names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """One row for each of these signatures, as their users may send it."""
        config = self._parts.config
        examples = {
            "latents": np.random.RandomState(0).randn(1, config.latent_size).astype(np.float32),
            "seeds": np.array([0], np.int64),
            "truncation_psi": np.array([0.7], np.float32),
            "labels": np.eye(1, config.label_size, dtype=np.float32),
        }
        return {name: {key: examples[key] for key in self._answers()[name].inputs} for name in names}

    @tf.function(autograph=False)
    def __call__(self, inputs):
        """For TensorFlow Hub: float32 images [N, H, W, C] in [0, 1].

        inputs: the inputs of `serving_default` as a dictionary; or, for a network without labels, latents [N, Z] alone,
        which gives the full variety, as truncation_psi 1 does.
        """
        if not isinstance(inputs, dict):
            inputs = {"latents": inputs, "truncation_psi": tf.ones([tf.shape(inputs)[0]])}
        images = self._from_latents(self._checked(inputs))
        return tf.clip_by_value(images * 0.5 + 0.5, 0.0, 1.0)

    def _answers(self) -> dict[str, _Answer]:
        psi, labels, others = ["truncation_psi"], self._labels("labels"), self._labels("other_labels")
        latents, seeds = ["latents", *psi, *labels], ["seeds", *psi, *labels]
        answers = {
            "serving_default": _Answer(self._from_latents, latents, "images"),
            "png": _Answer(self._from_latents, latents, "png_bytes"),
            "mapping": _Answer(self._mapping, ["latents", *labels], "dlatents"),
            "synthesis": _Answer(lambda inputs: self._parts.synthesize(inputs["dlatents"]), ["dlatents"], "images"),
            "seed": _Answer(self._from_seeds, seeds, "images"),
            "seed_png": _Answer(self._from_seeds, seeds, "png_bytes"),
        }
        if self._parts.config.use_styles:  # The traditional generator has one w for all layers: nothing to mix.
            two = ["latents", "other_latents", "crossover", *psi, *labels, *others]
            answers["mix"] = _Answer(self._mix, two, "images")
        return answers

    def _signature(self, answer: _Answer) -> Callable:
        specs = self._specs()

        @tf.function(input_signature=[specs[name] for name in answer.inputs], autograph=False)
        def signature(*tensors):
            inputs, outputs = dict(zip(answer.inputs, tensors)), {}
            if self._parts.options.bad_rows == "mark":
                result, outputs["ok"] = self._marked(answer, inputs)
            else:
                result = answer.compute(self._checked(inputs))
            if answer.output != "dlatents":
                result = to_uint8(result)
            outputs[answer.output] = tf.io.encode_png(result) if answer.output == "png_bytes" else result
            return outputs

        return signature

    def _hub_inputs(self):
        specs = self._specs()
        whole = {name: specs[name] for name in self._answers()["serving_default"].inputs}
        return [whole] if self._parts.config.label_size else [whole, specs["latents"]]

    def _from_latents(self, inputs: Tensors) -> tf.Tensor:
        return self._parts.synthesize(self._truncated(inputs, inputs["latents"]))

    def _truncated(self, inputs: Tensors, z: tf.Tensor, labels: str = "labels") -> tf.Tensor:
        """w of every layer of z with the labels of that name."""
        ws = self._parts.mapping(z, inputs.get(labels))
        return self._parts.truncate(ws, inputs["truncation_psi"], inputs.get(labels))

    def _from_seeds(self, inputs: Tensors) -> tf.Tensor:
        z = seed_latents(inputs["seeds"], self._parts.config.latent_size)
        return self._parts.synthesize(self._truncated(inputs, z), inputs["seeds"])

    def _mix(self, inputs: Tensors) -> tf.Tensor:
        ws, other = (
            self._truncated(inputs, inputs["latents"]),
            self._truncated(inputs, inputs["other_latents"], "other_labels"),
        )
        return self._parts.synthesize(mix_styles(ws, other, inputs["crossover"]))

    def _mapping(self, inputs: Tensors) -> tf.Tensor:
        return self._parts.mapping(inputs["latents"], inputs.get("labels"))

    def _specs(self) -> dict[str, tf.TensorSpec]:
        """All inputs that a signature may have, by the names that requests call them."""
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

    def _marked(self, answer: _Answer, inputs: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """-> what `answer` computes, zeros (gray) in bad rows; bool [N], whether a row is good. Nothing of a bad row
        enters the networks. Shapes are of a whole request: wrong ones are refused as ever."""
        limits, specs = self._limits(), self._specs()
        shaped = {name: checked_shape(name, tensor, specs[name].shape.as_list()) for name, tensor in inputs.items()}
        inputs = checked_batch(shaped)
        good = [rows_in_order(tensor, limits.get(name)) for name, tensor in inputs.items()]
        good = tf.reduce_all(tf.stack(good), axis=0)
        result = answer.compute({name: with_rows_replaced(tensor, good) for name, tensor in inputs.items()})
        good &= rows_in_order(result)  # Finite inputs of 1e30 overflow on their way.
        return with_rows_replaced(result, good), good

    def _labels(self, name: str) -> list[str]:
        return [name] if self._parts.config.label_size else []
