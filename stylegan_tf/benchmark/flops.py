"""Floating-point operations of training, counted from the shapes of the convolutions and dense layers.

A multiply-add counts as two. Only products with weights count; element-wise work, resampling and normalisation do
not (below a hundredth). Every layer does its product once forward, once for the gradient of its input and once for
that of its weight:

    generator's step       G: forward, input, weight;  D: forward, input
    discriminator's step   G: forward;  D on fakes: forward, input, weight;
                           D on reals: forward, input, weight, and for R1 the gradient of the gradient by the image:
                           input (that gradient), forward (its derivative runs forward again), weight

The first layer's gradient by its input is left out where nothing asks for it. Upscaling and downscaling 3x3
convolutions do 9 multiply-adds per pixel of the large image, channel in and channel out in the plain form, and 9
per pixel of the small one in the fused form: the count is that of the form that runs.
"""

import dataclasses

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.networks.variable_shapes import layer_shapes, mapping_layers


@dataclasses.dataclass(frozen=True)
class Work:
    """Multiply-adds of one image through a network."""

    forward: int
    first: int  # Those of the layers whose input is no other layer's output.


def generator_work(config: GeneratorConfig, resolution: int, fused: bool = True, mixing: bool = True) -> Work:
    """One image, all layers that run at `resolution`. mixing: two latents go through the mapping network."""
    latents = 2 if mixing else 1
    mapping = {layer.path: latents * layer.multiply_adds() for layer in mapping_layers(config)}
    total = sum(mapping.values())
    for layer in layer_shapes(config):
        # Two levels are turned to RGB and cross-faded.
        lowest = resolution // 2 if layer.path.endswith("/to_rgb") else 4
        if lowest <= layer.level <= resolution:
            total += layer.multiply_adds(fused)
    return Work(total, next(iter(mapping.values()), 0))


def discriminator_work(config: DiscriminatorConfig, resolution: int, fused: bool = True) -> Work:
    """One image of `resolution`."""
    total = first = 0
    for layer in layer_shapes(config):
        if layer.path.endswith("/from_rgb"):
            if resolution // 2 <= layer.level <= resolution:
                first += layer.multiply_adds()
        elif layer.level <= resolution:
            total += layer.multiply_adds(fused)
    return Work(first + total, first)


def training_flops(
    generator: GeneratorConfig, discriminator: DiscriminatorConfig, resolution: int, fused: bool = True, r1: bool = True
) -> dict[str, int]:
    """Floating-point operations per image of each part that the benchmark measures."""
    g = generator_work(generator, resolution, fused)
    d = discriminator_work(discriminator, resolution, fused)
    on_fakes = 3 * d.forward - d.first
    on_reals = on_fakes + (3 * d.forward if r1 else 0)
    d_step = g.forward + on_fakes + on_reals
    g_step = 3 * g.forward - g.first + 2 * d.forward
    return {
        "discriminator": 2 * d_step,
        "generator": 2 * g_step,
        "iteration": 2 * (d_step + g_step),
    }
