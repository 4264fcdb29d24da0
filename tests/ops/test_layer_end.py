"""Noise, activation and AdaIN in one: against NumPy, against the layer's separate operations, and its limits."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.layers.equalized import EqualizedConv2D
from stylegan_tf.layers.synthesis_layer import SynthesisLayer
from stylegan_tf.networks.variables import trainable_variables
from stylegan_tf.ops.compiled import compiled_for_cpu, pays
from stylegan_tf.ops.layer_end import noise_activation_adain
from stylegan_tf.ops.plain_form import plain_form
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


def test_second_derivatives_are_refused_by_name_of_the_way_out():
    @tf.function
    def second(x):
        others = [tf.constant(value) for value in _inputs()[1:]]
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(noise_activation_adain(x, *others) ** 2)
            gradient = inner.gradient(y, x)
        return outer.gradient(gradient, x)

    with pytest.raises(Exception, match="plain_form"):
        second(tf.constant(_inputs()[0]))


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

    fast = tf.function(compute)
    assert _is_compiled(fast, x, w)
    ours = fast(x, w)
    with plain_form():
        separate = tf.function(compute)
        assert not _is_compiled(separate, x, w)
        expected = separate(x, w)
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance * np.abs(value).max(), err_msg=name)


def test_what_is_small_eager_or_of_open_shape_is_not_compiled():
    double = compiled_for_cpu(lambda x: 2 * x)
    large, small = tf.TensorSpec([4, 128, 128]), tf.TensorSpec([4, 128])
    assert _is_compiled(tf.function(double), large)
    assert not _is_compiled(tf.function(double), small)
    assert not _is_compiled(tf.function(double), tf.TensorSpec([None, 128, 128]))
    assert not pays(tf.zeros([4, 128, 128]))  # Eager.
    np.testing.assert_array_equal(tf.function(double)(tf.ones([4, 128, 128])), np.full([4, 128, 128], 2))
