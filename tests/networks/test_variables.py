"""Names of variables: files and checkpoints depend on them, so they are spelled out here."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import named_variables, trainable_variables
from tests.helpers import tiny_networks as tiny

GENERATOR = [
    "mapping/label_embedding/weight",
    "mapping/dense0/weight",
    "mapping/dense0/bias",
    "mapping/dense1/weight",
    "mapping/dense1/bias",
    "truncation/w_avg",
    "synthesis/4x4/const/const",
    "synthesis/4x4/const/bias",
    "synthesis/4x4/const/noise/strength",
    "synthesis/4x4/const/noise/map",
    "synthesis/4x4/const/style/weight",
    "synthesis/4x4/const/style/bias",
    "synthesis/4x4/conv/weight",
    "synthesis/4x4/conv/bias",
    "synthesis/4x4/conv/noise/strength",
    "synthesis/4x4/conv/noise/map",
    "synthesis/4x4/conv/style/weight",
    "synthesis/4x4/conv/style/bias",
    "synthesis/4x4/to_rgb/weight",
    "synthesis/4x4/to_rgb/bias",
    "synthesis/8x8/conv0_up/weight",
    "synthesis/8x8/conv0_up/bias",
    "synthesis/8x8/conv0_up/noise/strength",
    "synthesis/8x8/conv0_up/noise/map",
    "synthesis/8x8/conv0_up/style/weight",
    "synthesis/8x8/conv0_up/style/bias",
    "synthesis/8x8/conv1/weight",
    "synthesis/8x8/conv1/bias",
    "synthesis/8x8/conv1/noise/strength",
    "synthesis/8x8/conv1/noise/map",
    "synthesis/8x8/conv1/style/weight",
    "synthesis/8x8/conv1/style/bias",
    "synthesis/8x8/to_rgb/weight",
    "synthesis/8x8/to_rgb/bias",
]

DISCRIMINATOR = [
    "4x4/from_rgb/weight",
    "4x4/from_rgb/bias",
    "8x8/from_rgb/weight",
    "8x8/from_rgb/bias",
    "8x8/conv0/weight",
    "8x8/conv0/bias",
    "8x8/conv1_down/weight",
    "8x8/conv1_down/bias",
    "4x4/conv/weight",
    "4x4/conv/bias",
    "4x4/dense0/weight",
    "4x4/dense0/bias",
    "4x4/dense1/weight",
    "4x4/dense1/bias",
]


def test_the_generator_names_its_variables():
    generator, _ = tiny.generator(label_size=3)
    variables = named_variables(generator)
    assert sorted(variables) == sorted(GENERATOR)
    shapes = {name: tuple(variables[f"synthesis/{name}"].shape) for name in ("4x4/const/const", "8x8/conv1/noise/map")}
    assert shapes == {"4x4/const/const": (1, 4, 4, 6), "8x8/conv1/noise/map": (1, 8, 8, 1)}


def test_the_traditional_generator_starts_with_a_dense_layer():
    generator, _ = tiny.generator(**tiny.ROWS["a"])
    assert sorted(named_variables(generator.synthesis)) == sorted(
        f"{layer}/{variable}"
        for layer in ("4x4/dense", "4x4/conv", "4x4/to_rgb", "8x8/conv0_up", "8x8/conv1", "8x8/to_rgb")
        for variable in ("weight", "bias")
    )


def test_the_discriminator_names_its_variables():
    discriminator, _ = tiny.discriminator()
    assert sorted(named_variables(discriminator)) == sorted(DISCRIMINATOR)


def test_names_do_not_depend_on_what_was_built_before():
    assert list(named_variables(tiny.generator()[0])) == list(named_variables(tiny.generator()[0]))


def test_every_variable_of_a_network_has_a_name_of_its_own():
    for network in (tiny.generator(label_size=3)[0], tiny.discriminator()[0]):
        variables = named_variables(network)
        assert len({id(variable) for variable in variables.values()}) == len(variables) == len(network.weights)
        assert all(isinstance(variable, tf.Variable) for variable in variables.values())


def test_averages_and_noise_maps_are_not_trained():
    generator, _ = tiny.generator()
    fixed = set(named_variables(generator)) - set(trainable_variables(generator))
    assert fixed == {"truncation/w_avg"} | {name for name in GENERATOR if name.endswith("noise/map")}


def test_assigning_a_named_variable_changes_the_network():
    generator, _ = tiny.generator()
    named_variables(generator)["synthesis/8x8/to_rgb/weight"].assign(tf.zeros([1, 1, 6, 3]))
    named_variables(generator)["synthesis/8x8/to_rgb/bias"].assign([1.0, 2.0, 3.0])
    np.testing.assert_allclose(generator(tiny.normal(1, 5))[0], np.tile([1.0, 2.0, 3.0], [8, 8, 1]), rtol=1e-5)


@pytest.mark.parametrize("make", [tiny.generator, tiny.discriminator])
def test_a_checkpoint_and_a_saved_model_of_a_network_hold_every_variable(make, tmp_path):
    (network, _), (other, _) = make(label_size=3), make(seed=1, label_size=3)
    path = tf.train.Checkpoint(network=network).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(network=other).restore(path).expect_partial()
    for name, variable in named_variables(network).items():
        np.testing.assert_array_equal(named_variables(other)[name], variable, err_msg=name)
    module = tf.Module()
    module.network, size = network, 5 if make is tiny.generator else [8, 8, 3]
    specs = [tf.TensorSpec([None, *np.atleast_1d(size)]), tf.TensorSpec([None, 3])]
    options = {"noise_mode": "const"} if make is tiny.generator else {}
    module.call = tf.function(lambda x, labels: network(x, labels=labels, **options), input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    x, labels = tiny.normal(4, *np.atleast_1d(size)), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    tiny.assert_close(loaded.call(x, labels), module.call(x, labels), 1e-5)
