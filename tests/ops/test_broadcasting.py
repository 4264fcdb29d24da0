"""Sums and products with a small float32 tensor: values, and gradients that float16 alone would get wrong."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.ops.elementwise import add_broadcast, multiply_broadcast


@pytest.mark.parametrize("shape", [[3], [2, 1, 1, 3], [1, 1, 1, 3], [2, 4, 5, 3]])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float16])
def test_values_and_first_and_second_gradients_are_those_of_numpy(shape, dtype):
    random = np.random.RandomState(0)
    x, y, weight = random.randn(2, 4, 5, 3), random.randn(*shape), random.randn(2, 4, 5, 3)
    x_in, y_in, w_in = tf.constant(x, dtype), tf.constant(y, tf.float32), tf.constant(weight, dtype)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch([x_in, y_in])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x_in, y_in])
            total, product = add_broadcast(x_in, y_in) * w_in, multiply_broadcast(x_in, y_in) * w_in
        dx = tape.gradient(product, x_in)  # weight * y
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype == tf.float16 else {"rtol": 1e-5, "atol": 1e-5}
    axes = tuple(axis for axis in range(4) if axis < 4 - len(shape) or shape[axis - (4 - len(shape))] == 1)
    axes = tuple(axis for axis in axes if weight.shape[axis] != 1)

    def summed(value):
        return value.sum(axis=axes, keepdims=True).reshape(shape)

    assert total.dtype == product.dtype == dtype
    np.testing.assert_allclose(total, (x + y) * weight, **tolerance)
    np.testing.assert_allclose(product, x * y * weight, **tolerance)
    for ours, expected in [
        (tape.gradient(total, x_in), weight),
        (tape.gradient(total, y_in), summed(weight)),
        (dx, weight * y),
        (tape.gradient(product, y_in), summed(weight * x)),
        (outer.gradient(dx, y_in), summed(weight)),
    ]:
        np.testing.assert_allclose(ours, expected, **tolerance)


def test_the_gradient_of_the_broadcast_operand_is_summed_in_float32():
    """Adding ones in float16 gets stuck at 2048, where 2049 cannot be told apart."""
    x, y = tf.zeros([2, 64, 64, 1], tf.float16), tf.constant([1.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(y)
        total = add_broadcast(x, y)
        product = multiply_broadcast(x + 1, y)
    assert float(tape.gradient(total, y)[0]) == float(tape.gradient(product, y)[0]) == 2 * 64 * 64


def test_a_smaller_first_operand_gets_its_sum_too():
    noise, strength = tf.ones([1, 2, 2, 1], tf.float16), tf.constant([1.0, 2.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(noise)
        y = multiply_broadcast(noise, strength)
    assert y.shape == [1, 2, 2, 3]
    np.testing.assert_array_equal(tape.gradient(y, noise), np.full([1, 2, 2, 1], 7.0))
