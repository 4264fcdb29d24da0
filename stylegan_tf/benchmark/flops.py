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


@dataclasses.dataclass(frozen=True)
class Work:
    """Multiply-adds of one image through a network."""

    forward: int
    first: int  # Those of the layers whose input is no other layer's output.


def generator_work(config: GeneratorConfig, resolution: int, fused: bool = True, mixing: bool = True) -> Work:
    """One image, all layers that run at `resolution`. mixing: two latents go through the mapping network."""
    latents, mapping = 2 if mixing else 1, []
    width = config.latent_size * (2 if config.label_size and config.embed_labels else 1)
    width += config.label_size if config.label_size and not config.embed_labels else 0
    hidden = [config.mapping_fmaps] * (config.mapping_layers - 1) + [config.dlatent_size]
    for units in hidden[: config.mapping_layers]:
        mapping.append(width * units)
        width = units
    if config.label_size and config.embed_labels:
        mapping.append(config.label_size * config.latent_size)
    total = latents * sum(mapping)
    for r in (r for r in config.resolutions if r <= resolution):
        channels, below = config.feature_maps(r), config.feature_maps(r // 2)
        pixels = r * r
        if r == 4:
            total += 9 * pixels * channels * channels
            total += 0 if config.const_input else config.w_size * 16 * channels
        else:
            total += 9 * _resampling_pixels(r, fused) * below * channels + 9 * pixels * channels * channels
        if config.use_styles:
            total += 2 * config.w_size * 2 * channels
        if r >= resolution // 2:  # Two levels are turned to RGB and cross-faded.
            total += pixels * channels * config.num_channels
    return Work(total, latents * mapping[0] if mapping else 0)


def discriminator_work(config: DiscriminatorConfig, resolution: int, fused: bool = True) -> Work:
    """One image of `resolution`."""
    levels = [resolution, resolution // 2] if resolution > 4 else [resolution]
    first = sum(r * r * config.num_channels * config.feature_maps(r) for r in levels)  # From RGB.
    total = first
    for r in (r for r in config.resolutions[1:] if r <= resolution):
        channels, below = config.feature_maps(r), config.feature_maps(r // 2)
        total += 9 * r * r * channels * channels + 9 * _resampling_pixels(r, fused) * channels * below
    channels, dense = config.feature_maps(4), config.feature_maps(2)
    total += 9 * 16 * (channels + (1 if config.mbstd_group_size else 0)) * channels
    total += 16 * channels * dense + dense * (config.label_size if config.label_size and config.use_labels else 1)
    return Work(total, first)


def _resampling_pixels(r: int, fused: bool) -> int:
    """Where a resampling convolution multiplies: at the pixels of the large image, r x r, or of the small one."""
    return (r // 2) ** 2 if fused else r * r


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
    plain_sample = generator_work(generator, resolution, fused, mixing=False).forward
    return {
        "discriminator": 2 * d_step,
        "generator": 2 * g_step,
        "iteration": 2 * (d_step + g_step),
        "generation": 2 * plain_sample,
    }
