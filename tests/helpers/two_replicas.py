"""Two replicas on the two logical CPUs of the tests."""

import functools

import tensorflow as tf


@functools.cache
def two_replicas() -> tf.distribute.MirroredStrategy:
    """One strategy for all tests of a process.

    Each strategy numbers its collective operations from the start, and TensorFlow remembers the shapes that went with
    a number on the same devices: a second strategy would meet those of the first.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
