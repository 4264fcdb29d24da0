"""Gradients of our own inside of graphs: nothing of a graph outlives it."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.ops import resampling
from stylegan_tf.ops.elementwise import add_broadcast, leaky_relu, multiply_broadcast, noise_activation_adain


def _layer_end(x):
    channel, image = x[0, 0, 0], x[:, 0, 0]
    return noise_activation_adain(x, x[..., :1], channel, channel, image, image)


FUNCTIONS = {
    "leaky_relu": leaky_relu,
    "upscale_conv_2d": lambda x: resampling.upscale_conv_2d(x, tf.ones([3, 3, 2, 2])),
    "conv_downscale_2d": lambda x: resampling.conv_downscale_2d(x, tf.ones([3, 3, 2, 2])),
    "add_broadcast": lambda x: tf.cast(add_broadcast(tf.cast(x, tf.float16), x[0, 0, 0]), tf.float32),
    "multiply_broadcast": lambda x: tf.cast(multiply_broadcast(tf.cast(x, tf.float16), x[0, 0, 0]), tf.float32),
    "noise_activation_adain": _layer_end,
}


def _gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.sin(function(x)))
    return tape.gradient(y, x)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_graph_that_nobody_needs_any_more_is_freed(name):
    traced = tf.function(lambda x: _gradient(FUNCTIONS[name], x))
    graph = weakref.ref(traced.get_concrete_function(tf.TensorSpec([2, 4, 4, 2])).graph)
    del traced
    gc.collect()
    assert graph() is None


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_forward_derivatives_are_those_of_the_gradient(name, traced):
    random = np.random.RandomState(0)
    x, direction = (tf.constant(random.randn(2, 4, 4, 2).astype(np.float32)) for _ in range(2))

    def forward(x):
        with tf.autodiff.ForwardAccumulator(x, direction) as accumulator:
            y = tf.reduce_sum(tf.sin(FUNCTIONS[name](x)))
        return accumulator.jvp(y)

    expected = tf.reduce_sum(_gradient(FUNCTIONS[name], x) * direction)
    tolerance = 1e-2 if "broadcast" in name else 1e-4  # float16
    np.testing.assert_allclose((tf.function(forward) if traced else forward)(x), expected, rtol=tolerance)
