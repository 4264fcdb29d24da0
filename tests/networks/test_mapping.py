"""The mapping network."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny

LABELS = np.eye(3, dtype=np.float32)[[0, 2, 1, 2]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mapping_layers": 1},
        {"mapping_layers": 5, "mapping_lrmul": 0.1},
        {"normalize_latents": False},
        {"label_size": 3},
        {"label_size": 3, "embed_labels": False},
        {"label_size": 3, "mapping_layers": 0},
        {"mapping_layers": 0},
    ],
    ids=str,
)
def test_w_follows_the_equations(options):
    generator, v = tiny.generator(**options)
    z = tiny.normal(4, 5)
    w = generator.mapping_network(z, labels=LABELS if generator.config.label_size else None)
    assert w.shape == (4, generator.config.w_size) and w.dtype == tf.float32
    tiny.assert_close(w, plain.mapping(generator.config, v, z.astype(np.float64), LABELS), 1e-5)


def test_without_layers_w_is_the_normalised_z():
    generator, _ = tiny.generator(mapping_layers=0)
    w = generator.mapping_network(np.array([[1, 2, 2, 4, 0]], np.float32))  # The root mean square is sqrt(5).
    np.testing.assert_allclose(w, np.array([[1, 2, 2, 4, 0]]) / 5**0.5, rtol=1e-6)


def test_normalised_latents_do_not_depend_on_the_length_of_z():
    generator, _ = tiny.generator()
    z = tiny.normal(2, 5)
    tiny.assert_close(generator.mapping_network(3 * z), generator.mapping_network(z), 1e-5)


def test_w_depends_on_the_labels():
    generator, _ = tiny.generator(label_size=3)
    z = np.tile(tiny.normal(1, 5), [4, 1])
    w = generator.mapping_network(z, labels=LABELS).numpy()
    np.testing.assert_array_equal(w[1], w[3])
    assert np.abs(w[0] - w[1]).max() > 0.1


def test_a_conditional_network_asks_for_its_labels():
    generator, _ = tiny.generator(label_size=3)
    with pytest.raises(ValueError, match=r"labels \[N, 3\]"):
        generator.mapping_network(tiny.normal(2, 5))


def test_widths_are_as_configured():
    _, v = tiny.generator(mapping_layers=3, label_size=3)
    shapes = {name[len("mapping/") :]: value.shape for name, value in v.items() if name.startswith("mapping/")}
    assert shapes == {
        "label_embedding/weight": (3, 5),
        "dense0/weight": (10, 9),
        "dense0/bias": (9,),
        "dense1/weight": (9, 9),
        "dense1/bias": (9,),
        "dense2/weight": (9, 7),
        "dense2/bias": (7,),
    }


def test_the_graph_computes_the_same():
    generator, _ = tiny.generator(label_size=3)
    z = tiny.normal(4, 5)
    graph = tf.function(generator.mapping_network)(z, labels=LABELS)
    tiny.assert_close(graph, generator.mapping_network(z, labels=LABELS), 1e-6)
