"""Functions of networks as graphs with folded weights."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.serving.frozen_graph import freeze

SPEC = [tf.TensorSpec([None, 3])]


def run(frozen, *arguments, weights=None):
    """In a graph of its own, in which nothing but these weights is known."""
    values = weights or frozen.weights

    @tf.function(autograph=False)
    def call(arguments, weights):
        return frozen.call(arguments, weights)

    return call([tf.constant(a) for a in arguments], {n: tf.constant(v) for n, v in values.items()}).numpy()


def test_what_depends_on_weights_alone_is_computed_once():
    kernel, bias = tf.Variable(tf.ones([3, 2]) * 2), tf.Variable([1.0, 4.0])
    frozen = freeze(lambda x: tf.matmul(x, tf.transpose(kernel[::-1] * 0.5, [1, 0]), transpose_b=True) + bias, SPEC)
    values = sorted(frozen.weights.values(), key=np.size)
    np.testing.assert_array_equal(values[0], [1, 4])
    np.testing.assert_array_equal(values[1], np.ones([2, 3]))  # Halved and transposed.
    assert "ReadVariableOp" not in {node.op for node in frozen.graph_def.node}
    np.testing.assert_array_equal(run(frozen, [[1.0, 2.0, 3.0]]), [[7, 10]])


def test_the_graph_computes_with_the_weights_that_it_is_given():
    kernel = tf.Variable(tf.ones([3, 2]))
    frozen = freeze(lambda x: tf.matmul(x, kernel), SPEC)
    (name,) = frozen.weights
    kernel.assign(tf.zeros([3, 2]))
    np.testing.assert_array_equal(run(frozen, [[1.0, 1.0, 1.0]]), [[3, 3]])
    doubled = {name: 2 * frozen.weights[name]}
    np.testing.assert_array_equal(run(frozen, [[1.0, 1.0, 1.0]], weights=doubled), [[6, 6]])


def test_products_that_would_need_much_more_space_than_their_factors_stay_in_the_graph():
    noise, strengths = tf.Variable(tf.ones([1, 3, 1])), tf.Variable(tf.range(20.0))  # A product of 60 elements.
    frozen = freeze(lambda x: x[:, :, None] + noise * strengths, SPEC)
    assert sorted(value.size for value in frozen.weights.values()) == [3, 20]
    images = run(frozen, np.zeros([2, 3], np.float32))
    np.testing.assert_array_equal(images, np.broadcast_to(np.arange(20.0), [2, 3, 20]))


def test_arguments_without_a_part_are_ignored():
    kernel = tf.Variable(tf.ones([3, 1]))
    frozen = freeze(lambda unused, x: tf.matmul(x, kernel), SPEC * 2)
    assert frozen.inputs[0] is None
    ones = np.ones([1, 3], np.float32)
    np.testing.assert_array_equal(run(frozen, np.full([1, 3], np.nan, np.float32), ones), [[3]])


def test_weights_of_the_wrong_shape_are_an_error():
    kernel = tf.Variable(tf.ones([3, 2]))
    frozen = freeze(lambda x: tf.matmul(x, kernel), SPEC)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        run(frozen, np.ones([1, 3], np.float32), weights={name: np.ones([4, 2]) for name in frozen.weights})
