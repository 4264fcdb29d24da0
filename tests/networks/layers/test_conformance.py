"""Every layer, built, in graphs, from its config, in a SavedModel, and on one and two replicas, gives the same."""

import importlib
import pkgutil

import numpy as np
import pytest
import tensorflow as tf

import stylegan_tf.networks.layers
from stylegan_tf.networks.keras_model import named_variables, trainable_variables
from stylegan_tf.networks.layers.progan import EqualizedConv2D, EqualizedDense, MinibatchStddev, PreciseLayer
from stylegan_tf.networks.layers.style import (
    DenseInput,
    LearnedConstant,
    NoiseInput,
    StyleModulation,
    SynthesisLayer,
    TruncationLayer,
)
from stylegan_tf.ops.forms import compiled_chains
from tests.helpers.layer_checks import check_layer
from tests.helpers.two_replicas import two_replicas

BATCH = 8


def _normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(BATCH, *shape).astype(np.float32)


IMAGES, W = {"x": _normal(4, 4, 3)}, {"w": _normal(5, seed=1)}
NOISE = {"noise": _normal(4, 4, 1, seed=2)}
# Name -> (makes the layer, the arguments of its call; the first one is given by position). All of them are batches.
CASES = {
    "EqualizedDense": (lambda: EqualizedDense(6, lrmul=0.1), {"x": _normal(5)}),
    "EqualizedConv2D": (lambda: EqualizedConv2D(6, use_bias=False), IMAGES),
    "EqualizedConv2D, up": (lambda: EqualizedConv2D(6, resample="up"), IMAGES),
    "EqualizedConv2D, down": (lambda: EqualizedConv2D(6, resample="down", clamp=2.0), IMAGES),
    "LearnedConstant": (lambda: LearnedConstant(3), W),
    "DenseInput": (lambda: DenseInput(3), W),
    "MinibatchStddev": (lambda: MinibatchStddev(2), IMAGES),
    "NoiseInput": (NoiseInput, {**IMAGES, **NOISE}),
    "NoiseInput, fixed": (NoiseInput, IMAGES),
    "StyleModulation": (lambda: StyleModulation(3), {**W, **IMAGES}),
    "SynthesisLayer": (lambda: SynthesisLayer(EqualizedConv2D(6)), {**IMAGES, **W, **NOISE}),
    "SynthesisLayer, compiled": (lambda: SynthesisLayer(EqualizedConv2D(32)), {"x": _normal(16, 16, 3), **W}),
    "SynthesisLayer, first": (lambda: SynthesisLayer(LearnedConstant(3)), {"x": W["w"], **W}),
    "SynthesisLayer, ProGAN's": (
        lambda: SynthesisLayer(
            DenseInput(3), use_noise=False, use_pixel_norm=True, use_instance_norm=False, use_style=False
        ),
        {"x": W["w"]},
    ),
    "TruncationLayer": (TruncationLayer, {"ws": _normal(4, 5), "psi": _normal(seed=3)}),
}
cases = pytest.mark.parametrize("name", CASES)


def _call(layer, inputs):
    first, *others = inputs.items()
    with compiled_chains():
        return layer(first[1], **dict(others))


def _built(make, inputs):
    """A layer with random weights."""
    layer = make()
    _call(layer, inputs)
    rng = np.random.RandomState(4)
    for variable in named_variables(layer).values():
        variable.assign(rng.randn(*variable.shape).astype(np.float32))
    return layer


def test_every_layer_has_a_case():
    modules = [
        importlib.import_module(f"stylegan_tf.networks.layers.{module.name}")
        for module in pkgutil.iter_modules(stylegan_tf.networks.layers.__path__)
    ]
    layers = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, tf.keras.layers.Layer) and value.__module__ == module.__name__
    }
    assert {name for name in layers if not name.startswith("_")} - {PreciseLayer.__name__} == {
        name.partition(",")[0] for name in CASES
    }


@cases
def test_a_layer_is_built_by_its_first_call_with_float32_variables_of_distinct_names(name):
    make, inputs = CASES[name]
    layer = make()
    assert not layer.built and not layer.weights
    _call(layer, inputs)
    variables = named_variables(layer)
    assert layer.built and len(variables) == len(layer.weights)
    assert all(variable.dtype == tf.float32 for variable in variables.values())


@cases
def test_a_layer_is_the_same_in_a_graph_and_when_made_from_its_config(name):
    make, inputs = CASES[name]
    first, *others = inputs.values()
    with compiled_chains():
        check_layer(_built(make, inputs), first, **dict(zip(list(inputs)[1:], others)))


@cases
def test_a_saved_model_of_a_layer_gives_the_same_for_any_batch(name, tmp_path):
    make, inputs = CASES[name]
    layer, module = _built(make, inputs), tf.Module()
    module.layer = layer
    specs = [tf.TensorSpec([None, *value.shape[1:]], tf.float32) for value in inputs.values()]
    module.call = tf.function(lambda *values: _call(layer, dict(zip(inputs, values))), input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "layer"))
    loaded = tf.saved_model.load(str(tmp_path / "layer"))
    for size in (BATCH, 2):
        some = {key: tf.constant(value[:size]) for key, value in inputs.items()}
        np.testing.assert_allclose(loaded.call(*some.values()), _call(layer, some), rtol=1e-5, atol=1e-5)


@cases
@pytest.mark.parametrize("replicas", [1, 2])
def test_replicas_give_values_and_gradients_of_one_device(name, replicas):
    make, inputs = CASES[name]
    alone = _built(make, inputs)
    shares = [{key: tf.constant(value[index::replicas]) for key, value in inputs.items()} for index in range(replicas)]
    strategy = tf.distribute.OneDeviceStrategy("CPU:0") if replicas == 1 else two_replicas()
    with strategy.scope():
        layer = make()
        _call(layer, shares[0])
        for key, variable in named_variables(layer).items():
            variable.assign(named_variables(alone)[key])

    def values_and_gradients(layer, share):
        with tf.GradientTape() as tape:
            y = _call(layer, share)
            loss = tf.reduce_sum(tf.sin(y))
        return y, tape.gradient(loss, list(trainable_variables(layer).values()), unconnected_gradients="zero")

    @tf.function
    def on_replicas(batch):
        y, gradients = strategy.run(values_and_gradients, (layer, batch))
        return strategy.experimental_local_results(y), [strategy.reduce("SUM", each, axis=None) for each in gradients]

    batch = strategy.experimental_distribute_values_from_function(
        lambda context: shares[context.replica_id_in_sync_group]
    )
    ys, sums = on_replicas(batch)
    expected = [values_and_gradients(alone, share) for share in shares]
    for y, (expected_y, _) in zip(ys, expected):
        np.testing.assert_allclose(y, expected_y, rtol=1e-4, atol=1e-5)
    for each, expected_gradients in zip(sums, zip(*(gradients for _, gradients in expected))):
        expected_sum = tf.add_n(expected_gradients)
        np.testing.assert_allclose(each, expected_sum, rtol=0, atol=1e-4 * np.abs(expected_sum).max() + 1e-4)
