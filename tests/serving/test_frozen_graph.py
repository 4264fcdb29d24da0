"""Functions of networks as graphs without their weights."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.serving.network_parts import freeze

SPEC = [tf.TensorSpec([None, 3])]


def run(frozen, *arguments, weights=None):
    """In a graph of its own, in which nothing but these weights is known."""
    values = weights or frozen.weights

    @tf.function(autograph=False)
    def call(arguments, weights):
        return frozen.call(arguments, weights)

    return call([tf.constant(a) for a in arguments], {n: tf.constant(v) for n, v in values.items()}).numpy()


def test_weights_are_those_that_the_function_reads():
    kernel, bias, unread = tf.Variable(tf.ones([3, 2]) * 2), tf.Variable([1.0, 4.0]), tf.Variable(1.0)

    def function(x):
        unread.read_value()
        return tf.matmul(x, tf.transpose(kernel[::-1] * 0.5, [1, 0]), transpose_b=True) + bias

    frozen = freeze(function, SPEC)
    values = sorted(frozen.weights.values(), key=np.size)
    np.testing.assert_array_equal(values[0], [1, 4])
    np.testing.assert_array_equal(values[1], np.full([3, 2], 2))
    assert len(values) == 2 and "ReadVariableOp" not in {node.op for node in frozen.graph_def.node}
    np.testing.assert_array_equal(run(frozen, [[1.0, 2.0, 3.0]]), [[7, 10]])


def test_the_graph_computes_with_the_weights_that_it_is_given():
    kernel = tf.Variable(tf.ones([3, 2]))
    frozen = freeze(lambda x: tf.matmul(x, kernel), SPEC)
    (name,) = frozen.weights
    kernel.assign(tf.zeros([3, 2]))
    np.testing.assert_array_equal(run(frozen, [[1.0, 1.0, 1.0]]), [[3, 3]])
    doubled = {name: 2 * frozen.weights[name]}
    np.testing.assert_array_equal(run(frozen, [[1.0, 1.0, 1.0]], weights=doubled), [[6, 6]])


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
