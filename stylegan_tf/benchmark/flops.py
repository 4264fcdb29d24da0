"""The work of training, counted from the shapes of the convolutions and dense layers.

Only products with weights count; element-wise work, resampling and normalisation do not (below a hundredth of the
multiply-adds). Every layer does its product once forward, once for the gradient of its input and once for that of its
weight:

    generator's step       G: forward, input, weight;  D: forward, input
    discriminator's step   G: forward;  D on fakes: forward, input, weight;
                           D on reals: forward, input, weight, and for R1 the gradient of the gradient by the image:
                           input (that gradient), forward (its derivative runs forward again), weight
    microbatches that     D up to the minibatch statistics: forward, again for each set of images and for each
    groups                 penalty; in the generator's step G and that part of D: forward

The first layer's gradient by its input is not counted where nothing needs it. Upscaling and downscaling 3x3
convolutions do 9 multiply-adds per pixel of the large image, channel in and channel out in the plain form, and 9
per pixel of the small one in the fused form: the count is that of the form that runs.
"""

from collections.abc import Iterator
from typing import NamedTuple

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, LossConfig
from stylegan_tf.networks.variable_shapes import LayerShape, NetworkConfig, layer_shapes

_PAPERS_LOSSES = LossConfig()


class Work(NamedTuple):
    """Work for one image in the products of a network or of a part of it."""

    multiply_adds: float = 0
    values: float = 0  # Read and written by the products: their inputs and outputs, without the weights.

    def __add__(self, other: "Work") -> "Work":
        return Work(self.multiply_adds + other.multiply_adds, self.values + other.values)

    def __mul__(self, times: float) -> "Work":
        return Work(self.multiply_adds * times, self.values * times)


class NetworkWork(NamedTuple):
    """One pass forward of one image."""

    forward: Work
    first: Work  # Work of the layers whose input is not another layer's output.
    stored: int  # Values of the layers' outputs, which the gradients need again.


def running_layers(config: NetworkConfig, resolution: int) -> Iterator[LayerShape]:
    """The layers that run at `resolution`: two levels are turned to or from RGB and cross-faded."""
    for layer in layer_shapes(config):
        lowest = resolution // 2 if layer.path.endswith(("/to_rgb", "/from_rgb")) else 4
        if layer.level == 0 or lowest <= layer.level <= resolution:
            yield layer


def network_work(config: NetworkConfig, resolution: int, fused: bool = True, mixing: bool = True) -> NetworkWork:
    """One image of `resolution`. mixing: two latents go through the mapping network."""
    total = first = Work()
    stored, latents = 0, 2 if mixing else 1
    for index, layer in enumerate(running_layers(config, resolution)):
        times = latents if layer.path.startswith("mapping/") else 1
        inputs, outputs = layer.values()
        work = Work(layer.multiply_adds(fused), inputs + outputs) * times
        total += work
        stored += outputs * times
        if layer.path.endswith("/from_rgb") or (isinstance(config, GeneratorConfig) and index == 0):
            first += work
    return NetworkWork(total, first, stored)


def training_passes(
    generator: GeneratorConfig,
    discriminator: DiscriminatorConfig,
    resolution: int,
    fused: bool = True,
    losses: LossConfig = _PAPERS_LOSSES,
    split_groups: bool = False,
) -> dict[str, Work]:
    """The work of an iteration for one image by pass; the names of those of the discriminator's step begin with "D".

    split_groups: with the recomputation of `training.microbatches.SplitGroups`.
    """
    g = network_work(generator, resolution, fused)
    d = network_work(discriminator, resolution, fused)
    with_weights = d.forward * 3 + d.first * -1
    penalties = [gamma > 0 for gamma in (losses.r1_gamma, losses.r2_gamma)]
    features = d.forward  # Without the layers after the minibatch statistics.
    for layer in layer_shapes(discriminator):
        if layer.path.startswith(("4x4/conv", "4x4/dense")):
            features += Work(layer.multiply_adds(fused), sum(layer.values())) * -1
    seen = 2 + bool(losses.gp_lambda)  # Each set of images gets its features again; so does each penalty on it.
    penalised = sum(penalties) / losses.r1_interval + bool(losses.gp_lambda)
    passes = {
        "D: generator forward": g.forward,
        "D: on fakes": with_weights,
        "D: on reals": with_weights,
        "D: R1, R2": d.forward * (3 * sum(penalties) / losses.r1_interval),
        "D: WGAN-GP": (with_weights + d.forward * 3) * bool(losses.gp_lambda),
        "D: recomputed": features * ((seen + penalised) * split_groups),
        "G: generator": g.forward * 3 + g.first * -1,
        "G: discriminator": d.forward * 2,
        "G: recomputed": (g.forward + features) * split_groups,
    }
    return {name: work for name, work in passes.items() if work.multiply_adds}


def training_flops(
    generator: GeneratorConfig, discriminator: DiscriminatorConfig, resolution: int, fused: bool = True
) -> dict[str, int]:
    """Floating-point operations (a multiply-add counts as two) per image of each part that the benchmark measures."""
    passes = training_passes(generator, discriminator, resolution, fused)
    steps = {"discriminator": "D:", "generator": "G:", "iteration": ""}
    return {
        part: round(2 * sum(work.multiply_adds for name, work in passes.items() if name.startswith(prefix)))
        for part, prefix in steps.items()
    }
