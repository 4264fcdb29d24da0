"""What every layer must satisfy."""

import json

import numpy as np
import tensorflow as tf


def check_layer(layer, *inputs, **options):
    """Asserts that graph and eager agree and that the config makes an equal layer; returns the eager output.

    The layer must be built, with any weights; its config must survive JSON.
    """
    eager = layer(*inputs, **options)
    graph = tf.function(lambda: layer(*inputs, **options))()
    np.testing.assert_allclose(tf.cast(graph, tf.float32), tf.cast(eager, tf.float32), rtol=1e-5, atol=1e-5)
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    twin(*inputs, **options)  # Builds it.
    assert [weight.shape for weight in twin.weights] == [weight.shape for weight in layer.weights]
    twin.set_weights(layer.get_weights())
    again = twin(*inputs, **options)
    assert again.dtype == eager.dtype
    np.testing.assert_array_equal(tf.cast(again, tf.float32), tf.cast(eager, tf.float32))
    assert twin.get_config() == layer.get_config()
    return eager


def randomize(layer, seed=0):
    """Gives a built layer random weights; returns them by their short names as float64."""
    rng = np.random.RandomState(seed)
    layer.set_weights([rng.randn(*weight.shape).astype(np.float32) for weight in layer.weights])
    names = [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]
    return {name: value.astype(np.float64) for name, value in zip(names, layer.get_weights())}
