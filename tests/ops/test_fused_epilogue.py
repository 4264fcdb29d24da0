"""Noise, activation and AdaIN in one: against NumPy, against the layer's separate operations, and its limits."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.networks.layers.progan import EqualizedConv2D
from stylegan_tf.networks.layers.style import SynthesisLayer
from stylegan_tf.ops.elementwise import noise_activation_adain
from stylegan_tf.ops.forms import compiled_chains, compiled_for_cpu, is_compiled, plain_form
from tests.helpers import numpy_networks as plain


def _inputs(noise_batch=4, size=8, channels=3):
    shapes = [(4, size, size, channels), (noise_batch, size, size, 1), (channels,), (channels,), (4, channels)]
    random = np.random.RandomState(0)
    return [random.randn(*shape).astype(np.float32) for shape in [*shapes, (4, channels)]]


def _in_numpy(x, noise, strength, bias, scale, offset):
    u = plain.leaky_relu(np.float64(x) + noise * strength + bias)
    v = (u - u.mean((1, 2), keepdims=True)) / np.sqrt(u.var((1, 2), keepdims=True) + 1e-8)
    return v * scale[:, None, None] + offset[:, None, None]


@pytest.mark.parametrize("noise_batch", [4, 1])
def test_values_and_every_gradient_are_those_of_the_equation(noise_batch):
    inputs = [tf.constant(value) for value in _inputs(noise_batch)]
    direction = np.random.RandomState(1).randn(4, 8, 8, 3).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = noise_activation_adain(*inputs)
        total = tf.reduce_sum(y * direction)
    np.testing.assert_allclose(y, _in_numpy(*_inputs(noise_batch)), rtol=1e-4, atol=1e-5)
    for index, gradient in enumerate(tape.gradient(total, inputs)):
        steps = []
        towards = np.random.RandomState(2).randn(*gradient.shape)
        for step in (1e-5, -1e-5):
            moved = [np.float64(value) for value in _inputs(noise_batch)]
            moved[index] += step * towards
            steps.append(np.sum(_in_numpy(*moved) * direction))
        assert np.sum(gradient * towards) == pytest.approx((steps[0] - steps[1]) / 2e-5, rel=1e-3, abs=1e-3)


def test_statistics_are_float32_beside_bfloat16_activations():
    x, *others = _inputs(size=16)
    x = tf.cast(100 + 4 * x, tf.bfloat16)  # Sums of squares in bfloat16 would lose the deviation.
    y = noise_activation_adain(x, *others)
    assert y.dtype == tf.bfloat16
    expected = _in_numpy(tf.cast(x, tf.float32).numpy(), *others)
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, rtol=2**-7, atol=2**-7)


def _second_derivatives(function, inputs):
    """Gradients by every input of random weights times the gradients of a curved function of the result."""
    random = np.random.RandomState(3)
    directions = [tf.cast(random.randn(*value.shape), value.dtype) for value in inputs]
    weights = tf.cast(random.randn(*inputs[0].shape), inputs[0].dtype)
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            total = tf.reduce_sum(tf.sin(function(*inputs)) * weights)
        gradients = inner.gradient(total, inputs)
        total = tf.add_n([tf.reduce_sum(gradient * way) for gradient, way in zip(gradients, directions)])
    return outer.gradient(total, inputs)


def _in_tensorflow(x, noise, strength, bias, scale, offset):
    u = tf.nn.leaky_relu(x + noise * strength + bias)
    u -= tf.reduce_mean(u, [1, 2], keepdims=True)  # Not `tf.nn.moments`: its second derivatives are wrong.
    deviation = tf.sqrt(tf.reduce_mean(tf.square(u), [1, 2], keepdims=True) + 1e-8)
    return u / deviation * scale[:, None, None] + offset[:, None, None]


@pytest.mark.parametrize("form", ["eager", "traced", "compiled"])
def test_second_derivatives_are_those_of_the_equation_in_every_form(form):
    size, noise_batch = (128, 1) if form == "compiled" else (8, 4)
    inputs = [tf.constant(value) for value in _inputs(noise_batch, size)]
    expected = _second_derivatives(_in_tensorflow, [tf.cast(value, tf.float64) for value in inputs])
    compute = functools.partial(_second_derivatives, noise_activation_adain, inputs)
    with compiled_chains():
        traced = tf.function(compute)
        ours = compute() if form == "eager" else traced()
        if form != "eager":
            assert _is_compiled(traced) == (form == "compiled")
    for value, right in zip(ours, expected):
        np.testing.assert_allclose(value, right, rtol=0, atol=1e-4 * np.abs(right).max())


def _is_compiled(function, *inputs):
    """Whether the traced function hands anything to XLA."""
    library = function.get_concrete_function(*inputs).graph.as_graph_def().library
    return any(traced.attr["_XlaMustCompile"].b for traced in library.function)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 0.1)])
@pytest.mark.parametrize("use_noise", [True, False])
def test_a_large_layer_takes_it_compiled_and_computes_what_its_separate_operations_do(dtype, tolerance, use_noise):
    layer = SynthesisLayer(EqualizedConv2D(32, dtype=dtype), dtype=dtype)
    layer.build_for((None, 32, 32, 4), 32, w_size=5)
    random = np.random.RandomState(0)
    layer.set_weights([random.randn(*value.shape) for value in layer.get_weights()])
    x, w = (tf.constant(random.randn(*shape).astype(np.float32)) for shape in ((2, 32, 32, 4), (2, 5)))
    variables = {name: v for name, v in trainable_variables(layer).items() if use_noise or "noise" not in name}

    def compute(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.cast(layer(x, w=w, use_noise=use_noise), tf.float32)
            total = tf.reduce_sum(tf.sin(y))
        return {"y": y, **tape.gradient(total, {"x": x, "w": w, **variables})}

    with compiled_chains():
        fast = tf.function(compute)
        assert _is_compiled(fast, x, w)
    assert not _is_compiled(tf.function(compute), x, w)  # It could not be converted for other programs.
    ours = fast(x, w)
    with compiled_chains(), plain_form():
        separate = tf.function(compute)
        assert not _is_compiled(separate, x, w)
        expected = separate(x, w)
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance * np.abs(value).max(), err_msg=name)


def test_what_is_small_eager_or_of_open_shape_is_not_compiled():
    double = compiled_for_cpu(lambda x: 2 * x)
    large, small = tf.TensorSpec([4, 128, 128]), tf.TensorSpec([4, 128])
    assert not _is_compiled(tf.function(double), large)
    with compiled_chains():
        assert _is_compiled(tf.function(double), large)
        assert not _is_compiled(tf.function(double), small)
        assert not _is_compiled(tf.function(double), tf.TensorSpec([None, 128, 128]))
        assert not is_compiled(tf.zeros([4, 128, 128]))  # Eager.
        np.testing.assert_array_equal(tf.function(double)(tf.ones([4, 128, 128])), np.full([4, 128, 128], 2))
    assert not _is_compiled(tf.function(double), large)
