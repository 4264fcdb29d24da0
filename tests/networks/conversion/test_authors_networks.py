"""Pickles of the authors -> network files -> arrays under the authors' names."""

import json
import pickle

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.attribute_classifiers import load_classifiers
from stylegan_tf.networks.conversion.authors_networks import convert_networks, export_networks, import_pickle
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import load_networks
from tests.helpers import authors_layout as authors
from tests.helpers.authors_pickles import pickled

FILES = {
    "style": {"generator": {}},
    "wide": {"common": {"resolution": 32, "fmap_base": 128, "fmap_max": 20}, "generator": {"mapping_layers": 8}},
    "smallest": {"common": {"resolution": 4}, "generator": {"mapping_layers": 1}},
    "conditional": {"common": {"label_size": 3}},
    "gray": {"common": {"num_channels": 1, "resolution": 8}},
    "traditional": {"generator": authors.TRADITIONAL},
    "no mapping": {"generator": {"mapping_layers": 0, "latent_size": 7}},
    "no blur": {"common": {"blur_filter": None}},
    "fused": {"common": {"resolution": 128, "fmap_base": 128, "fmap_max": 3}},
    "never fused": {"common": {"resolution": 128, "fmap_base": 128, "fmap_max": 3, "fused_scale": False}},
}


def networks_of(common=(), generator=()):
    common = dict(common)
    g, gs = (authors.style_generator(name, seed, **common, **dict(generator)) for name, seed in (("G", 1), ("Gs", 4)))
    return g, authors.discriminator(seed=7, **common), gs


def progan_networks(**common):
    g, gs = (authors.progan_generator(name, seed, **common) for name, seed in (("G", 1), ("Gs", 4)))
    return g, authors.discriminator(function="D_paper", **common), gs


def write(tmp_path, *networks, protocol=4):
    path = tmp_path / "network.pkl"
    path.write_bytes(pickled(networks, protocol))
    return path


def exported(path):
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def assert_same_weights(entries, networks):
    expected = {f"{n.name}/{name}": value for n in networks for name, value in authors.full_names(n).items()}
    assert set(entries) == set(expected) | {"config"}
    for name, value in expected.items():
        if not name.endswith("lod"):
            np.testing.assert_array_equal(entries[name], value, err_msg=name)


@pytest.mark.parametrize("name", list(FILES))
def test_a_file_becomes_ours_and_the_authors_again(tmp_path, name):
    networks = networks_of(**FILES[name])
    import_pickle(write(tmp_path, *networks), tmp_path / "ours.npz")
    export_networks(tmp_path / "ours.npz", tmp_path / "theirs.npz")
    entries = exported(tmp_path / "theirs.npz")
    if name == "never fused":  # The export is for the authors' default, which fuses here: mirrored.
        for g in ("G", "Gs"):
            kernel = entries[f"{g}/G_synthesis/128x128/Conv0_up/weight"]
            entries[f"{g}/G_synthesis/128x128/Conv0_up/weight"] = kernel[::-1, ::-1]
    assert_same_weights(entries, networks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.pkl", "ours.npz", "theirs.npz"]


@pytest.mark.parametrize("common", [{}, {"resolution": 8, "num_channels": 1}, {"label_size": 2, "latent_size": 4}])
def test_a_progan_file_becomes_ours_and_the_authors_again(tmp_path, common):
    networks = progan_networks(**common)
    import_pickle(write(tmp_path, *networks, protocol=2), tmp_path / "ours.npz")
    export_networks(tmp_path / "ours.npz", tmp_path / "theirs.npz")
    assert_same_weights(exported(tmp_path / "theirs.npz"), networks)


def test_the_export_records_function_and_arguments(tmp_path):
    import_pickle(write(tmp_path, *networks_of(common={"label_size": 3})), tmp_path / "ours.npz")
    export_networks(tmp_path / "ours.npz", tmp_path / "theirs.npz")
    config = json.loads(str(exported(tmp_path / "theirs.npz")["config"]))
    assert {name: entry["build_func_name"] for name, entry in config.items()} == {
        "G": "G_style",
        "D": "D_basic",
        "Gs": "G_style",
    }
    sizes = {**authors.SIZES, **authors.VECTORS, "label_size": 3, "const_input_layer": True}
    assert sizes.items() <= config["Gs"]["static_kwargs"].items()


def test_unfused_progan_layers_have_no_suffix(tmp_path):
    def renamed(network, old, new):
        network.variables = [(name.replace(old, new), value) for name, value in network.variables]
        return network

    g = renamed(authors.progan_generator(fused_scale=False), "Conv0_up", "Conv0")
    d = renamed(authors.discriminator(function="D_paper", fused_scale=False), "Conv1_down", "Conv1")
    converted = convert_networks(write(tmp_path, g, d))
    stored = authors.full_names(g)["8x8/Conv0/weight"]
    np.testing.assert_array_equal(converted["generator"].arrays["synthesis/8x8/conv0_up/weight"], stored)
    assert "16x16/conv1_down/weight" in converted["discriminator"].arrays


def test_the_networks_have_their_values_in_the_parts_of_their_names(tmp_path):
    g, d, gs = networks_of()
    import_pickle(write(tmp_path, gs, d, g), tmp_path / "ours.npz")
    loaded = load_networks(tmp_path / "ours.npz")
    for network, source in ((loaded.generator, g), (loaded.generator_ema, gs)):
        np.testing.assert_array_equal(network.truncation.w_avg.numpy(), authors.full_names(source)["dlatent_avg"])
    assert "CC BY-NC 4.0" in loaded.metadata["licence"] and loaded.metadata["converted_from"] == "network.pkl"


@pytest.mark.parametrize(
    "names, parts",
    [
        ("G", ["generator"]),
        ("D", ["discriminator"]),
        ("Gs", ["generator_ema"]),
        ("D Gs", ["discriminator", "generator_ema"]),
        ("first", ["generator"]),
        ("first Dx second", ["generator", "discriminator", "generator_ema"]),
        ("other G", ["generator_ema", "generator"]),
    ],
)
def test_parts_follow_from_names_or_else_from_functions_and_order(tmp_path, names, parts):
    networks = [
        (authors.discriminator if name.startswith("D") else authors.style_generator)(name) for name in names.split()
    ]
    assert sorted(convert_networks(write(tmp_path, *networks))) == sorted(parts)
    if len(networks) == 1:  # Also alone, without a tuple around it.
        (tmp_path / "network.pkl").write_bytes(pickled(networks[0]))
        assert list(convert_networks(tmp_path / "network.pkl")) == parts


@pytest.mark.parametrize(
    "networks, message",
    [
        ([authors.discriminator("G")], "network 'G' is built by 'D_basic', which does not fit"),
        ([authors.style_generator("D")], "network 'D' is built by 'G_style', which does not fit"),
        ([authors.style_generator(), authors.style_generator()], "two networks of the name 'G'"),
        ([authors.style_generator(name) for name in "abc"], "network 'c' is one more"),
    ],
)
def test_networks_that_are_not_a_g_d_and_gs_are_refused(tmp_path, networks, message):
    with pytest.raises(UserError, match="network.pkl: .*" + message):
        convert_networks(write(tmp_path, *networks))


def changed(network, function=None, component=None, **options):
    target = network if component is None else network.components[component]
    target.static_kwargs = type(target.static_kwargs)(target.static_kwargs, **options)
    target.build_func_name = function or target.build_func_name
    return network


@pytest.mark.parametrize(
    "network, message",
    [
        (changed(authors.style_generator(), nonlinearity="relu"), "option nonlinearity"),
        (changed(authors.style_generator(), fmap_max=5), "option fmap_max is 5, but 6 in its component 'synthesis'"),
        (changed(authors.style_generator(), "training.networks_stylegan2.G_main"), "function 'G_main' is unknown"),
        (changed(authors.style_generator(), "x.G_x", "mapping"), "component 'mapping' is built by 'G_x'"),
        (changed(authors.discriminator("D2"), fmap_max=5), "variable 'FromRGB_lod2/weight' has shape"),
        (changed(authors.discriminator(), mbstd_group_size=1), "variable '4x4/Conv/weight' has shape"),
        (changed(authors.progan_generator(latent_size=6), label_size=1), "variable '4x4/Dense/weight' has shape"),
        (changed(authors.progan_generator(), resolution=2**20, fmap_base=2**20), "variable '.*' is missing"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_and_network(tmp_path, network, message):
    with pytest.raises(UserError, match=f"network.pkl: network '{network.name}': .*{message}"):
        convert_networks(write(tmp_path, network))


def test_nothing_is_written_when_the_conversion_fails(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(print, 4))
    with pytest.raises(UserError, match="nothing in it was run"):
        import_pickle(tmp_path / "evil.pkl", tmp_path / "ours.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pkl"]


def test_a_file_that_was_not_written_right_does_not_appear(tmp_path, monkeypatch):
    def save_wrongly(path, networks, **options):
        networks.generator.truncation.w_avg.assign_add([1.0] * 7)
        save(path, networks, **options)

    save = import_pickle.__globals__["save_networks"]
    monkeypatch.setitem(import_pickle.__globals__, "save_networks", save_wrongly)
    with pytest.raises(RuntimeError, match="generator: dlatent_avg was not written"):
        import_pickle(write(tmp_path, *networks_of()), tmp_path / "ours.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["network.pkl"]


@pytest.mark.parametrize("lod, growth", [(2.0, Growth(4)), (0.25, Growth(16, 0.75)), (1.5, Growth(4 * 2, 0.5))])
@pytest.mark.parametrize("style", [True, False], ids=["stylegan", "progan"])
def test_the_level_of_growth_is_kept_both_ways(tmp_path, style, lod, growth):
    networks = networks_of({"lod": lod}) if style else progan_networks(lod=lod)
    import_pickle(write(tmp_path, *networks), tmp_path / "ours.npz")
    ours = load_networks(tmp_path / "ours.npz")
    assert all(network.growth == growth for network in ours[:3])
    images = ours.generator_ema(np.zeros([1, ours.generator.config.latent_size], np.float32), noise_mode="const")
    assert images.shape[1] == growth.resolution
    export_networks(tmp_path / "ours.npz", tmp_path / "theirs.npz")
    found = {key: float(value) for key, value in exported(tmp_path / "theirs.npz").items() if key.endswith("/lod")}
    assert found == dict.fromkeys(found, lod) and {"G/lod", "D/lod", "Gs/lod"} <= set(found)


@pytest.mark.parametrize("lod", [-1.0, 2.5])
def test_a_level_of_growth_that_cannot_be_is_refused(tmp_path, lod):
    with pytest.raises(UserError, match=r"variable 'lod' \(the level of growth\) is .* expected a number from 0 to 2"):
        import_pickle(write(tmp_path, *networks_of({"lod": lod})), tmp_path / "ours.npz")


REFERENCES = ["config_a", "config_b", "config_f", "conditional", "fused_256"]


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_pickles_make_the_authors_images_and_come_back_as_they_were(reference, tmp_path, name):
    data = np.load(reference / f"{name}.npz", allow_pickle=False)
    import_pickle(reference / f"{name}.pkl", tmp_path / "ours.npz")
    generator = load_networks(tmp_path / "ours.npz").generator
    cases = {"images_lod0": {}, "images_psi0.7_cutoff8": {"truncation_psi": 0.7, "truncation_cutoff": 8}}
    cases = {key: options for key, options in cases.items() if key in data.files}
    assert len(cases) == (1 if name in ("config_a", "config_b") else 2)  # Traditional ones are not truncated.
    for key, options in cases.items():
        images = generator(data["latents"], labels=data["labels"], noise_mode="const", **options)
        theirs = levels(data[key].transpose(0, 2, 3, 1))
        difference = np.abs(levels(images.numpy()) - theirs).max()
        assert theirs.std() > 10 and difference <= 1, f"{key}: {difference} levels"
    export_networks(tmp_path / "ours.npz", tmp_path / "theirs.npz")
    entries = exported(tmp_path / "theirs.npz")
    expected = {key[len("var/") :]: data[key] for key in data.files if key.startswith("var/")}
    assert set(expected) == {key for key in entries if key.startswith(("G/", "D/"))}
    for key, value in expected.items():
        if not key.endswith("lod"):
            np.testing.assert_array_equal(entries[key], value, err_msg=key)


def levels(images):
    """[-1, 1] -> 0..255, rounded; independent of `visualize`."""
    return np.clip(np.floor(images * 127.5 + 128), 0, 255)


@pytest.mark.parametrize("options", [{}, {"label_size": 1}, {"function": "D_paper"}, {"mbstd_group_size": 1}])
def test_a_pickle_of_one_classifier_becomes_a_classifier(tmp_path, options):
    network = authors.discriminator(name="classifier", seed=3, **options)
    (tmp_path / "smiling.pkl").write_bytes(pickled(network))
    (tmp_path / "classifiers").mkdir()
    import_pickle(tmp_path / "smiling.pkl", tmp_path / "classifiers" / "smiling.npz")
    classifiers = load_classifiers(tmp_path / "classifiers")
    assert classifiers.names == ("smiling",)
    images = np.random.RandomState(0).uniform(-1, 1, [4, 16, 16, 3]).astype(np.float32)
    discriminator = load_networks(tmp_path / "classifiers" / "smiling.npz").discriminator
    labels = np.ones([4, 1], np.float32) if discriminator.config.label_size else None
    expected = discriminator(images, labels=labels)
    np.testing.assert_allclose(classifiers(images)[:, 0], expected, rtol=1e-5)
