"""Networks as Keras models: copied, saved and loaded by Keras' own means, alone and in a model of the user's."""

import copy
import pickle

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.truncation import Truncation
from tests.helpers import tiny_networks as tiny

GROWING = Growth(8, alpha=0.25)


def _network(kind, **options):
    network = (tiny.generator if kind == "generator" else tiny.discriminator)(label_size=3, **options)[0]
    assert type(network).__name__.lower() == kind
    return network


def _assert_same(copied, network):
    assert type(copied) is type(network) and copied.get_config() == network.get_config()
    ours, theirs = named_variables(network), named_variables(copied)
    assert list(theirs) == list(ours)
    for name, variable in ours.items():
        assert theirs[name] is not variable
        np.testing.assert_array_equal(theirs[name], variable, err_msg=name)


def _through_keras_file(network, folder):
    network.save(folder / "network.keras")
    return tf.keras.models.load_model(folder / "network.keras")


WAYS = {
    "deepcopy": lambda network, folder: copy.deepcopy(network),
    "pickle": lambda network, folder: pickle.loads(pickle.dumps(network)),
    "keras": _through_keras_file,
}


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
@pytest.mark.parametrize("way", WAYS)
def test_copies_and_files_of_keras_have_the_same_weights_bit_for_bit(way, kind, tmp_path):
    network = _network(kind)
    _assert_same(WAYS[way](network, tmp_path), network)


def _trainable(network):
    return [getattr(variable, "path", variable.name) for variable in network.trainable_variables]


@pytest.mark.parametrize("way", [*WAYS, "clone"])
def test_what_is_frozen_stays_frozen(way, tmp_path):
    make = {**WAYS, "clone": lambda network, _: tf.keras.models.clone_model(network)}[way]
    whole, part, generator = _network("discriminator"), _network("discriminator"), _network("generator")
    whole.trainable = part.from_rgb["8x8"].trainable = generator.mapping_network.trainable = False
    generator.synthesis.blocks["8x8"][1].source.trainable = False
    assert len(_trainable(part)) == len(named_variables(part)) - 2
    for network in (whole, part, generator):
        copied = make(network, tmp_path)
        assert _trainable(copied) == _trainable(network) and copied.trainable is network.trainable
    whole.trainable = True
    assert len(_trainable(make(whole, tmp_path))) == len(named_variables(whole))


def test_two_networks_of_other_names_fit_into_one_model():
    config, z = tiny.generator()[0].config, tf.keras.Input([5])
    first, second = Generator(config), Generator(config, name="second")
    assert copy.deepcopy(second).name == "second" and list(named_variables(second)) == list(named_variables(first))
    model = tf.keras.Model(z, [first(z, noise_mode="const"), second(z, noise_mode="const")])
    for images, network in zip(model(tiny.normal(2, 5)), (first, second)):
        tiny.assert_close(images, network(tiny.normal(2, 5), noise_mode="const"), 1e-5)


def test_a_config_of_an_earlier_version_has_no_name_and_freezes_nothing():
    config = tiny.discriminator()[0].get_config()
    network = Discriminator.from_config({name: config[name] for name in set(config) - {"name", "frozen"}})
    assert network.get_config() == config and config["frozen"] == []


def test_a_copy_keeps_precision_and_growth():
    network = tiny.generator(precision="float16", half_levels=1, growth=GROWING)[0]
    for copied in (copy.deepcopy(network), tf.keras.models.clone_model(network)):
        assert copied.get_config() == network.get_config() and copied.growth == GROWING
        layers = [network.synthesis.blocks["8x8"][0], copied.synthesis.blocks["8x8"][0]]
        assert [layer.compute_dtype for layer in layers] == ["float16"] * 2
        assert copied.synthesis.blocks["4x4"][0].compute_dtype == "float32"


def test_the_parts_of_a_generator_round_trip_through_their_configs():
    network = tiny.generator(precision="float16", half_levels=1, growth=GROWING, label_size=3)[0]
    for part in (network.mapping_network, network.synthesis):
        again = type(part).from_config(part.get_config())
        assert again.get_config() == part.get_config() and again.name == part.name
        assert list(named_variables(again)) == list(named_variables(part))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"resolution": 8, "lambda": "print()"}}, "unknown GeneratorConfig option.*lambda"),
        ({"config": {"resolution": "__import__('os')"}}, "resolution"),
        ({"precision": "float8"}, "precision must be one of"),
        ({"half_levels": "1"}, "half_levels must be None or a number of levels, got '1'"),
        ({"growth": {"resolution": 16}}, "its resolution is 16"),
        ({"frozen": ["/mapping", {}]}, "must freeze layers that it has"),
        ({"frozen": 3}, "must freeze layers that it has"),
    ],
)
def test_a_config_that_no_network_has_is_refused_in_a_line(change, message):
    config = tiny.generator()[0].get_config()
    with pytest.raises(UserError, match=message):
        Generator.from_config({**config, **change})
    with pytest.raises(UserError, match="lacks config, growth, half_levels, precision"):
        Generator.from_config({})
    synthesis = tiny.generator()[0].synthesis
    with pytest.raises(UserError, match="dtype policies must be among"):
        type(synthesis).from_config({**synthesis.get_config(), "policies": ["float32", {"class_name": "Lambda"}]})


def test_what_keras_cannot_save_names_what_can(tmp_path):
    with pytest.raises(UserError, match="ends in .keras, or write a network file"):
        _network("generator").save(tmp_path / "network.h5")
    with pytest.raises(UserError, match="ends in .weights.h5"):
        _network("generator").save_weights(tmp_path / "network.h5")
    with pytest.raises(UserError, match="also takes labels: export tf.keras.Model"):
        _network("discriminator").export(str(tmp_path / "network"))
    assert not list(tmp_path.iterdir())


def test_an_export_and_a_tflite_model_of_keras_compute_the_same(tmp_path):
    network, images = tiny.discriminator()[0], tiny.images(4, 8)
    expected = network(images)
    network.export(str(tmp_path / "exported"))
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    tiny.assert_close(exported.serve(images), expected, 1e-5)
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(network).convert())
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, images)
    interpreter.invoke()
    tiny.assert_close(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), expected, 1e-5)


@tf.keras.utils.register_keras_serializable(package="tests")
class _Gan(tf.keras.Model):
    """What a user would write around the two networks."""

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(**kwargs)
        self.generator, self.discriminator = generator, discriminator

    def call(self, z):
        return self.generator(z, noise_mode="const")

    def train_step(self, images):
        for variable in self.discriminator.trainable_variables:
            variable.assign(variable + 0.1)
        return {"loss": tf.reduce_mean(self.discriminator(images))}

    def get_config(self):
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: tf.keras.utils.serialize_keras_object(network) for name, network in networks.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: tf.keras.utils.deserialize_keras_object(value) for name, value in config.items()})


def _gan(seed=0):
    gan = _Gan(tiny.generator(seed)[0], tiny.discriminator(seed)[0])
    gan(tiny.normal(1, 5))
    gan.compile("sgd", run_eagerly=True)
    return gan


def test_a_users_own_gan_goes_through_the_callbacks_and_files_of_keras(tmp_path):
    gan, callbacks = _gan(), tf.keras.callbacks
    saving = [
        callbacks.ModelCheckpoint(str(tmp_path / "a.weights.h5"), save_weights_only=True),
        callbacks.ModelCheckpoint(str(tmp_path / "a.keras")),
        callbacks.BackupAndRestore(str(tmp_path / "backup"), delete_checkpoint=False),
    ]
    gan.fit(tiny.images(4, 8), batch_size=4, epochs=1, verbose=0, callbacks=saving)
    weights, restored = _gan(seed=1), _gan(seed=2)
    weights.load_weights(str(tmp_path / "a.weights.h5"))
    restored.fit(tiny.images(4, 8), batch_size=4, epochs=1, verbose=0, callbacks=saving[2:])  # Nothing is left to do.
    for other in (weights, restored, tf.keras.models.load_model(str(tmp_path / "a.keras"))):
        _assert_same(other.generator, gan.generator)
        _assert_same(other.discriminator, gan.discriminator)


@pytest.mark.parametrize("label_size", [0, 2])
def test_a_saved_model_of_a_network_that_was_never_called_holds_all_of_it(tmp_path, label_size):
    sizes = {"resolution": 8, "fmap_base": 32, "fmap_max": 8, "label_size": label_size}
    network = Discriminator(DiscriminatorConfig(**sizes))
    tf.saved_model.save(network, str(tmp_path / "saved"))
    stored = [name for name, _ in tf.train.list_variables(str(tmp_path / "saved" / "variables" / "variables"))]
    assert sum(name.endswith("VARIABLE_VALUE") for name in stored) == len(network.weights)


@pytest.mark.parametrize("make", [tiny.generator, tiny.discriminator])
def test_no_two_variables_have_one_name(make):
    network, _ = make(label_size=3)
    names = [getattr(variable, "path", variable.name) for variable in network.weights]  # Keras 3 has paths.
    assert len(set(names)) == len(names) and all(name.startswith(f"{network.name}/") for name in names)


def test_inputs_of_a_wrong_kind_are_refused_in_a_sentence():
    plain, conditional = tiny.generator()[0], tiny.generator(label_size=3)[0]
    discriminator, scorer = tiny.discriminator()[0], tiny.discriminator(label_size=3)[0]
    maps = [np.zeros([1, r, r, 1]) for r in (4, 4, 8, 8)]
    for call, sentence in (
        (lambda: plain(np.zeros([2, 4])), r"z must be \[N, 5\], got \(2, 4\)"),
        (lambda: plain(np.zeros([2, 5]), labels=np.eye(2)), "expected no labels for an unconditional network"),
        (lambda: conditional(np.zeros([2, 5]), labels=np.array([0, 2])), r"tf.one_hot\(labels, 3\)"),
        (lambda: conditional(np.zeros([2, 5]), labels=np.eye(2)), r"labels must be \[2, 3\], got \(2, 2\)"),
        (lambda: plain.synthesis(tf.zeros([2, 4, 6])), r"ws must be \[N, N, 7\]"),
        (lambda: discriminator(tf.zeros([2, 8, 8, 3], tf.uint8)), "x / 127.5 - 1"),
        (lambda: discriminator(tf.zeros([2, 8, 8, 3]), labels=np.eye(2)), "expected no labels"),
        (lambda: conditional(np.zeros([2, 5]), labels=np.eye(3)), r"labels must be \[2, 3\], got \(3, 3\)"),
        (lambda: scorer(tf.zeros([2, 8, 8, 3]), labels=np.eye(3)[:1]), r"labels must be \[2, 3\], got \(1, 3\)"),
        (lambda: plain(np.zeros([1, 5]), truncation=Truncation(np.ones(4))), r"one per image, \[1\], got \(4,\)"),
        (lambda: Truncation(centre="clas"), "centre must be one of class, all or a tensor, got 'clas'"),
        (lambda: Truncation(cutoff=-1), "cutoff must be a number of layers or None, got -1"),
        (lambda: plain(np.zeros([1, 5]), alpha=5), "alpha must be from 0 to 1, got 5"),
        (lambda: plain(np.zeros([1, 5]), noise=maps[:3]), "one tensor for each of 4 layers, got 3"),
        (lambda: plain(np.zeros([1, 5]), noise=maps[::-1]), r"noise\[0\] must be \[N, 4, 4, 1\], got \(1, 8, 8, 1\)"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


@pytest.mark.parametrize("make, other", [(Generator, Discriminator), (Discriminator, Generator)])
def test_options_that_no_network_has_are_refused_in_a_sentence(make, other):
    right, wrong = (kind.config_class(resolution=8, fmap_base=32) for kind in (make, other))
    for call, sentence in (
        (lambda: make(wrong), f"config must be a {make.__name__}Config, got a {other.__name__}Config"),
        (lambda: make({"resolution": 8}), "got a dict"),
        (lambda: make(right, growth=Growth(6)), "its resolution is 6, expected one of 4, 8"),
        (lambda: make(right, growth=Growth(8, 3.0)), "its alpha is 3.0"),
        (lambda: make(right, "bfloat16", -1), "half_levels must be None or a number of levels, got -1"),
    ):
        with pytest.raises(UserError, match=sentence):
            call()
    growth = make(right, growth=Growth(8, np.float32(0.5))).growth
    assert growth == Growth(8, 0.5) and type(growth.alpha) is float


def test_the_global_policy_is_the_precision_where_none_is_given():
    before = tf.keras.mixed_precision.global_policy()
    try:
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        network = tiny.generator(precision=None)[0]
        assert network.precision == "bfloat16" and network.synthesis.blocks["8x8"][0].compute_dtype == "bfloat16"
        assert network.mapping_network.dense[0].compute_dtype == "float32"
        assert tiny.discriminator()[0].precision == "float32"
        tf.keras.mixed_precision.set_global_policy("float64")
        with pytest.raises(UserError, match="global policy is float64"):
            tiny.generator(precision=None)
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
