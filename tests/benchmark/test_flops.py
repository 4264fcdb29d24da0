"""Counted work: against numbers worked out by hand, and against the convolutions and products of the traced graph."""

import math

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.benchmark.flops import network_work, training_flops, training_passes
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.ops.forms import plain_form
from stylegan_tf.training.gradients import Gradients, Images, Scalars
from stylegan_tf.training.microbatches import SplitGroups
from stylegan_tf.training.random_inputs import FakeInputs
from stylegan_tf.training.state import TrainState

BATCH = 4
WIDTHS = {"resolution": 16, "fmap_base": 32, "fmap_max": 6}  # 6 channels at 4x4 and 8x8, 4 at 16x16.


def test_the_smallest_networks_by_hand():
    generator = GeneratorConfig(resolution=4, fmap_max=2, latent_size=3, dlatent_size=5, mapping_layers=1)
    # Mapping 3 x 5; two styles of 5 -> 2 x 2; one 3x3 convolution of 2 -> 2 and RGB of 2 -> 3 at 16 pixels.
    assert network_work(generator, 4, mixing=False).forward.multiply_adds == 15 + 2 * 20 + 16 * (9 * 4 + 6)
    assert network_work(generator, 4).forward.multiply_adds == 2 * 15 + 2 * 20 + 16 * (9 * 4 + 6)
    discriminator = DiscriminatorConfig(resolution=4, fmap_max=2)
    # RGB of 3 -> 2; 3x3 of 2 + 1 -> 2; dense 32 -> 2 -> 1.
    work = network_work(discriminator, 4)
    assert (work.first.multiply_adds, work.forward.multiply_adds) == (16 * 6, 16 * 6 + 16 * 9 * 6 + 64 + 2)


def test_the_fused_form_does_a_quarter_of_a_resampling_convolution():
    wide = {"resolution": 8, "fmap_max": 100, "num_channels": 1}
    plain, fused = (network_work(GeneratorConfig(**wide), 8, form).forward.multiply_adds for form in (False, True))
    assert plain - fused == 9 * 48 * 100 * 100
    plain, fused = (network_work(DiscriminatorConfig(**wide), 8, form).forward.multiply_adds for form in (False, True))
    assert plain - fused == 9 * 48 * 100 * 100


def _needed(outputs):
    """The operations that the outputs depend on."""
    found, waiting = {}, [tensor.op for tensor in outputs]
    while waiting:
        op = waiting.pop()
        if op.name not in found:
            found[op.name] = op
            waiting += [tensor.op for tensor in op.inputs]
    return found.values()


def _multiply_adds(op):
    """Of a convolution, one of its gradients, or a matrix product, by their static shapes."""
    if op.type in ("MatMul", "BatchMatMulV2"):
        left = op.inputs[0].shape
        inner = left[0] if op.type == "MatMul" and op.get_attr("transpose_a") else left[-1]
        return math.prod(op.outputs[0].shape) * inner
    if op.type == "Conv2D":
        return math.prod(op.outputs[0].shape) * math.prod(op.inputs[1].shape[:3])
    if op.type in ("Conv2DBackpropInput", "Conv2DBackpropFilter"):
        kernel = op.inputs[1].shape if op.type == "Conv2DBackpropInput" else op.outputs[0].shape
        return math.prod(op.inputs[2].shape) * math.prod(kernel[:3])
    return 0


def _traced(form, part, level):
    """(multiply-adds per image of the gradients' graph, both configurations)."""
    vectors = {"latent_size": 16, "dlatent_size": 12, "mapping_fmaps": 10, "mapping_layers": 2}
    generator, discriminator = GeneratorConfig(**WIDTHS, **vectors), DiscriminatorConfig(**WIDTHS)
    config = TrainConfig(data_dir="none", run_dir="none")
    state = TrainState(config, generator, discriminator)
    gradients = Gradients(config, state, level, BATCH)
    if form == "split":
        gradients = SplitGroups(config, state, level, BATCH, count=1)
        gradients._microbatched = lambda compute: compute  # No loop, where one operation counts for all.
    noise = [tf.zeros([BATCH, size, size, 1]) for size in (4, 4, 8, 8, 16, 16) if size <= level]

    @tf.function
    def compute():
        z = tf.ones([BATCH, generator.latent_size])
        images = Images(FakeInputs(z, 2 * z, noise), reals=tf.ones([BATCH, level, level, 3]))
        return getattr(gradients, part)(images, Scalars(tf.constant(0.5), tf.constant(1))).gradients

    if form == "plain":
        with plain_form():
            graph = compute.get_concrete_function()
    else:
        graph = compute.get_concrete_function()
    counted = sum(_multiply_adds(op) for op in _needed(graph.outputs))
    return counted / BATCH, generator, discriminator


@pytest.mark.parametrize("form, level", [("fused", 8), ("plain", 8), ("fused", 16)])
@pytest.mark.parametrize("part", ["discriminator", "generator"])
def test_the_count_is_that_of_the_traced_graph_of_every_level(form, level, part):
    traced, generator, discriminator = _traced(form, part, level)
    counted = training_flops(generator, discriminator, level, fused=form == "fused")[part] / 2
    np.testing.assert_allclose(counted, traced, rtol=0.02)


@pytest.mark.parametrize("part", ["discriminator", "generator"])
def test_split_groups_cost_the_passes_that_are_computed_anew(part):
    traced, generator, discriminator = _traced("split", part, 8)
    passes = training_passes(generator, discriminator, 8, split_groups=True)
    counted = sum(work.multiply_adds for name, work in passes.items() if name.startswith(part[0].upper()))
    np.testing.assert_allclose(counted, traced, rtol=0.02)
