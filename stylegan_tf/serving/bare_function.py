"""A generator as bare functions, from which converters to other formats start: mapping, synthesis, and the whole.

Bare: weights are constants, built-in operations only, one graph for any batch size, the network's own noise maps, and
no validation: NaN, infinity, or inputs of different lengths give garbage or an error of the runtime.
"""

import dataclasses
from typing import Callable, NamedTuple

import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.networks.generator import Generator
from stylegan_tf.ops.pixels import to_uint8
from stylegan_tf.serving.network_parts import NetworkParts


class BareFunction(NamedTuple):
    """A function with named inputs and one named output."""

    function: Callable[..., tf.Tensor]  # Of tensors in the order of `inputs`.
    inputs: dict[str, tf.TensorSpec]
    output: str  # "images" or "dlatents".

    def traced(self) -> Callable[..., dict[str, tf.Tensor]]:
        """As a `tf.function` with one output of that name."""

        def call(*tensors):
            return {self.output: self.function(*tensors)}

        return tf.function(call, input_signature=list(self.inputs.values()), autograph=False)


def bare_functions(generator: Generator, options: ServingOptions, as_bytes: bool = True) -> dict[str, BareFunction]:
    """By name: `generator`, `mapping`, `synthesis`, with inputs and outputs as in the SavedModel's signatures.

    `options.weights` is left to the format; `noise_mode` is "const" or "none". as_bytes: images are uint8; otherwise
    float32, about [-1, 1], for converters that do not know bytes.
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
        images = parts.render(ws, noise)
        return to_uint8(images) if as_bytes else images

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
